"""The commands. Each reads its arguments, calls the library and prints; nothing heavy is imported before it is needed.

Exit status: 0 done; 1 a bug, with its traceback; 2 bad input, in one line; 130 interrupted, with what was trained kept.
"""

import json as json_format
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from importlib.metadata import version
from io import TextIOWrapper
from itertools import count as count_from
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number
from pydantic import ValidationError

from aevb.cli import process
from aevb.cli import terminal as page
from aevb.config.problems import describe
from aevb.config.schema import Config, DataConfig, command_config
from aevb.errors import BadInput, Lost, NonFinite, Notice
from aevb.files import require_local, write_atomically
from aevb.memory import keep_freed_memory

if TYPE_CHECKING:
    import torch

    from aevb.data import Dataset
    from aevb.reproduction.facts import Report
    from aevb.reproduction.run import Plan
    from aevb.runs.run_folder import RunFolder
    from aevb.workflow.loggers import Together

app = App(
    name="aevb",
    help="Variational autoencoders: train one on your data, trust its numbers, look around in what it learned.",
    version=lambda: version("aevb"),
    default_parameter=Parameter(consume_multiple=True, negative=()),
    suppress_keyboard_interrupt=False,
)

Count = Annotated[int, Parameter(validator=Number(gte=1))]
Seed = Annotated[int, Parameter(validator=Number(gte=0))]
Given = dict[str, str]
JUDGED_BY = 100
"""Draws of z for each example, when a model is judged for its page."""
CONFIGURATION = 2**24
"""Characters, at most, of a configuration file."""
Measure = Literal["likelihood", "quadrature", "annealing", "sandwich", "gaps", "latent-space", "sample-quality"]


@app.command
def train(
    data: str | None = None,
    /,
    *,
    settings: Annotated[Config, Parameter(name="*")] = Config(),  # noqa: B008  (immutable)
    config: Path | None = None,
    out: Path | None = None,
    resume: Path | None = None,
    seeds: Count = 1,
    samples: Count = 1000,
    logger: list[Literal["tensorboard", "trackio"]] = [],  # noqa: B006  (never changed)
    device: str = "auto",
    json: bool = False,
) -> int:
    """Train a model, measure it on held-out data and draw its figures.

    Parameters
    ----------
    data
        digits (default), mnist, fashion-mnist, gaussian, gaussian-rotated, figure-8, blobs, mixture, a .npy or .npz
        file, a table (.csv, .tsv, .parquet), or a folder of images.
    config
        A JSON file with any of the grouped options below, such as another run's config.json; options win over it.
    out
        The run folder to make. Default: runs/NAME-N with the first N that is free.
    resume
        Go on with a run that was cut off, from its last checkpoint: on the same processor it ends as it would have
        without, bit for bit. Its data and settings are those that it was begun with.
    seeds
        Models to train, with the seeds from --seed on: small ones all at once, for little more than the time of one.
        Each gets a run folder below the one to make, and the table their means and deviations.
    samples
        K, draws of z for each test example in the estimate of log p(x).
    logger
        Where the numbers of epochs go beside the run folder: tensorboard (into RUN/tensorboard; extra tensorboard),
        trackio (on this machine; extra trackio).
    device
        auto, cpu, cuda or mps.
    json
        Print JSON instead of tables.
    """
    chosen = _begun(resume, settings, config or out, data, seeds) if resume else _configuration(settings, config, data)
    from aevb.data import load_data
    from aevb.training import environment
    from aevb.workflow import loggers

    if logger and seeds > 1:
        raise BadInput("--logger is for one run: leave it out, or --seeds")
    with loggers.chosen(logger) as told:
        with environment.process_group(_device(device)) as place:
            dataset = load_data(**chosen.load_options())
            if dataset.columns:
                page.show_columns(dataset)
            folder = environment.run_on_first(lambda: resume or out or _free_folder(dataset.name))
            if seeds > 1 and environment.world_size() > 1:
                raise BadInput(f"--seeds {seeds} under torchrun: train one model there, or several without it")
            if seeds > 1:
                return _swept(_absolute(chosen), {}, folder, seeds=seeds, samples=samples, device=place, json=json)
            run = _trained(_absolute(chosen), folder, dataset, told, resume=resume is not None, device=place)
            first = environment.is_first()
        return _measured(run, dataset, told, samples=samples, json=json) if first else 0


@app.command
def sweep(
    data: str | None = None,
    /,
    *,
    over: list[str],
    settings: Annotated[Config, Parameter(name="*")] = Config(),  # noqa: B008  (immutable)
    config: Path | None = None,
    out: Path | None = None,
    seeds: Count = 1,
    jobs: Count = 1,
    samples: Count = 1000,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Train every combination of some values, each with several seeds, and compare them.

    What is finished is not repeated: the same command goes on where it was interrupted.

    Parameters
    ----------
    data
        As for train.
    over
        Fields and their values: --over model.latent 2 5 20 train.lr 1e-3 1e-2.
    config
        As for train.
    out
        The folder of the runs. Default: runs/NAME-sweep.
    seeds
        Runs of each combination, with the seeds from --seed on.
    jobs
        Processes at once.
    samples
        K, draws of z for each test example in the estimate of log p(x).
    device
        auto, cpu, cuda or mps.
    json
        Print JSON instead of a table.
    """
    from aevb.data import load_data

    place = _device(device)
    chosen = _absolute(_configuration(settings, config, data))
    folder = out or Path("runs") / f"{load_data(**chosen.load_options()).name}-sweep"
    axes = _axes(over)
    return _swept(chosen, axes, folder, seeds=seeds, jobs=jobs, samples=samples, device=place, json=json)


@app.command
def reproduce(
    names: list[str],
    /,
    *,
    scale: Literal["smoke", "default", "full"] = "default",
    seeds: Count | None = None,
    jobs: Count | None = None,
    out: Path = Path("runs"),
    data_dir: str | None = None,
    json: bool = False,
) -> int:
    """Repeat the experiments of published reports, and put what came out beside what they say.

    What is finished is not repeated: the same command goes on where it was interrupted.

    Parameters
    ----------
    names
        hu, yong, zhao, guo, laird, or all.
    scale
        How long it takes: smoke (seconds), default (minutes on two cores), full (as in the report).
    seeds
        Runs of each experiment. Default: as many as the report needs; one at smoke.
    jobs
        Processes at once. Default: as many as there are cores.
    out
        The folder in which each report gets its own, NAME-SCALE, with runs, figures and report.html.
    data_dir
        Folder of the named data sets.
    json
        Print JSON instead of tables.
    """
    chosen = _reports(names)
    from aevb.reproduction import run as reproduction

    plans = [reproduction.plan(name, scale, seeds, out, _data_folder(data_dir)) for name in chosen]
    cells = [cell for plan in plans for cell in plan.cells]
    reproduction.check_data(cells)
    share = partial(reproduction.share_done, cells)
    try:
        reports = [_reproduced(plan, jobs, share, json) for plan in plans]
    except KeyboardInterrupt:
        print("interrupted: the same command goes on where it stopped", file=sys.stderr)
        return 130
    if json:
        page.show_reports_json(reports)
    failures = [f"{report.recipe.name}: {failure}" for report in reports for failure in report.failures]
    for failure in failures:
        print(f"aevb: {failure}", file=sys.stderr)
    return 2 if failures else 0


@app.command
def baseline(
    data: str | None = None,
    /,
    *,
    settings: Annotated[DataConfig, Parameter(name="data")] = DataConfig(),  # noqa: B008  (immutable)
    latent: Count = 2,
    components: Count = 10,
    covariance: Literal["full", "diag"] = "full",
    seed: Seed = 0,
    json: bool = False,
) -> None:
    """Measure what simpler models reach on the same parts of the data: PCA, a mixture of normals.

    Parameters
    ----------
    data
        As for train.
    latent
        Principal components.
    components
        Normals in the mixture.
    covariance
        Of each normal of the mixture: full or diag.
    seed
        Of the mixture's start.
    json
        Print JSON instead of a table.
    """
    from aevb.data import load_data
    from aevb.evaluation import baselines

    dataset = load_data(**settings.model_copy(update={"source": data} if data else {}).model_dump())
    with page.status("fitting"):
        fitted: dict[str, Any] = {f"PCA, {latent} components": baselines.pca(dataset, latent)}
        if baselines.has_density(dataset):
            mixture = baselines.mixture(dataset, components, covariance=covariance, seed=seed)
            fitted[f"{components} normals, {covariance}"] = mixture
    page.show_baselines({name: baselines.measure(model, dataset) for name, model in fitted.items()}, json)


@app.command
def evaluate(
    run: Path,
    /,
    *,
    split: Literal["train", "valid", "test"] = "test",
    measure: list[Measure] = ["likelihood"],  # noqa: B006  (never changed)
    samples: Count = 1000,
    examples: Count | None = None,
    memory: Count = 1024,
    seed: Seed = 0,
    data_dir: str | None = None,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Measure a trained model on held-out data.

    The scores are added to the run's scores.json.

    Parameters
    ----------
    run
        A run folder.
    split
        Which part of the data.
    measure
        One or more of: likelihood (bound, rate, distortion, log p(x) by importance sampling, information, active
        units), quadrature (log p(x) exactly, for up to two latent dimensions), annealing (log p(x) by annealed
        importance sampling), sandwich (log p(x) of simulated data from both sides), gaps (what the family of posteriors
        and the encoder cost), latent-space (continuous, structured, without holes), sample-quality (samples against
        the data).
    samples
        K, draws of z for each example.
    examples
        Measure so many examples of the split, evenly spaced. Default: all; 100 for annealing, sandwich and gaps.
    memory
        About how many MiB the tensors may take.
    seed
        Seed of the draws.
    data_dir
        Folder of the named data sets, if it has moved since training.
    device
        auto, cpu, cuda or mps.
    json
        Print JSON instead of a table.
    """
    from aevb.evaluation import measures
    from aevb.evaluation.measures import Effort
    from aevb.runs.run_folder import RunFolder

    loaded = RunFolder.load(run, _device(device))
    dataset = loaded.load_data(data_dir)
    effort = Effort(samples, examples, seed, memory * 2**20)
    scores = []
    for name in measure:
        with page.status(f"measuring {name} of {loaded.folder}"):
            scores += measures.measure(name, loaded.model, dataset, split, effort)
            loaded.save_scores(scores)
    loaded.scores = scores
    page.show(loaded, json)


@app.command
def diagnose(
    run: Path,
    /,
    *,
    samples: Count = 1000,
    seed: Seed = 0,
    data_dir: str | None = None,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Say what is wrong with a trained model, by what numbers, why, and what to try.

    Only training and validation examples are looked at.

    Parameters
    ----------
    run
        A run folder.
    samples
        K, draws of z for each example.
    seed
        Seed of the draws.
    data_dir
        Folder of the named data sets, if it has moved since training.
    device
        auto, cpu, cuda or mps.
    json
        Print JSON instead of text.
    """
    from aevb.runs.run_folder import RunFolder
    from aevb.workflow import diagnosis as doctor

    loaded = RunFolder.load(run, _device(device))
    dataset = loaded.load_data(data_dir)
    with page.status("measuring training and validation examples"):
        findings = doctor.diagnose(loaded, dataset, samples=samples, seed=seed)
    doctor.remember(loaded, findings)
    page.show_findings(run, findings, len(doctor.EXPLAINS), json)


@app.command
def sample(
    run: Path,
    /,
    *,
    count: Count = 100,
    draw: bool = False,
    given: Given = {},  # noqa: B006  (never changed)
    out: Path | None = None,
    seed: Seed = 0,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Decode draws from the prior; of a table, draw whole rows.

    Parameters
    ----------
    run
        A run folder.
    count
        How many.
    draw
        Draw x from p(x|z), with its noise, instead of taking its mean.
    given
        Of a conditional model: what it is given, as in --given.label 7. Default: each class in turn, if that is all.
    out
        A .png picture (images only), a .npy array, or of a table .csv, .tsv or .parquet. Default: samples.png,
        samples.npy or samples.csv in the run folder.
    seed
        Seed of the draws.
    device
        auto, cpu, cuda or mps.
    json
        Print JSON instead of a line.
    """
    from aevb.rng import RNGStream, seeded
    from aevb.runs.run_folder import RunFolder

    loaded, place = RunFolder.load(run, _device(device)), _device(device)
    condition, columns = _given(loaded, given, count), round(count**0.5) or 1
    with seeded(seed, RNGStream.SAMPLES, device=place):
        x = loaded.model.sample(count, condition, draw=draw or bool(loaded.data.columns)).cpu()
    columns = -(-count // len(condition.unique(dim=0))) if condition is not None and len(condition) > 1 else columns
    _write_examples(loaded, out, "samples", x, columns=columns, condition=condition, json=json)


@app.command
def encode(
    run: Path,
    data: str,
    /,
    *,
    out: Path | None = None,
    data_dir: str | None = None,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Write the codes of examples: the means of q(z|x).

    Parameters
    ----------
    run
        A run folder.
    data
        Examples like those that the model learned from: a name or a file, as for train.
    out
        A .npy array, or .csv, .tsv or .parquet. Default: codes.npy in the run folder.
    data_dir
        Folder of the named data sets, if it has moved since training.
    device
        auto, cpu, cuda or mps.
    json
        Print JSON instead of a line.
    """
    from aevb.data.tables.write import write_table
    from aevb.evaluation.latent_means import latent_means
    from aevb.runs.run_folder import RunFolder

    loaded = RunFolder.load(run, _device(device))
    means = latent_means(loaded.model, loaded.read_examples(data, data_dir)).double().numpy()
    path = out or loaded.folder / "codes.npy"
    if path.suffix == ".npy":
        _write_array(path, means.astype("float32"))
    else:
        named = {f"z{place + 1}": column.tolist() for place, column in enumerate(means.T)}
        write_atomically(_table_file(path), lambda file: write_table(file, named))
    _tell(path, means.shape, json)


@app.command
def score(
    run: Path,
    data: str,
    /,
    *,
    false_alarms: Annotated[float, Parameter(validator=Number(gt=0, lt=1))] = 0.05,
    samples: Count = 1000,
    out: Path | None = None,
    seed: Seed = 0,
    data_dir: str | None = None,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Say how unusual examples are: log p(x) of each, and whether it is an anomaly.

    The test part of the run's data, which the model has not seen, says how low log p(x) is for usual examples: at most
    a share --false-alarms of such are called anomalies. Where the data were in memory, the rows do that which a
    VAEOutlierDetector has held out, as it has measured them; without one, log p(x) is all.

    Parameters
    ----------
    run
        A run folder.
    data
        Examples like those that the model learned from: a name or a file, as for train.
    false_alarms
        The rate of false alarms.
    samples
        K, draws of z for each example.
    out
        A .csv, .tsv or .parquet file: row, log_px, p_value, anomaly. Default: scores-DATA.csv in the run folder.
    seed
        Seed of the draws.
    data_dir
        Folder of the named data sets, if it has moved since training.
    device
        auto, cpu, cuda or mps.
    json
        Print JSON instead of a line.
    """
    import torch

    from aevb.data.tables.write import write_table
    from aevb.evaluation.anomalies import p_values, threshold
    from aevb.evaluation.likelihood import per_example
    from aevb.runs.run_folder import RunFolder

    loaded = RunFolder.load(run, _device(device))
    path = _table_file(out or loaded.folder / f"scores-{Path(data).stem}.csv")
    judged = loaded.read_examples(data, data_dir)
    with page.status(f"measuring {len(judged)} examples and the held-out ones"):
        usual = loaded.reference_scores(samples, seed=seed, data_dir=data_dir)
        if usual:
            samples, seed = usual.n_importance_samples, usual.seed
        model = loaded.model.double() if loaded.estimator else loaded.model
        found = per_example(model, judged, samples, seed=seed).log_px
    named: dict[str, Any] = {"row": range(len(found)), "log_px": found.tolist()}
    content = {"file": str(path), "examples": len(found), "held_out": len(usual.log_px) if usual else 0}
    if usual:
        held_out = torch.tensor(usual.log_px, dtype=torch.float64)
        limit = threshold(held_out, false_alarms)
        named |= {"p_value": p_values(found, held_out).tolist(), "anomaly": (found < limit).tolist()}
        content |= {"anomalies": sum(named["anomaly"]), "threshold": limit, "false_alarms": false_alarms}
    write_atomically(path, lambda file: write_table(file, named))
    page.show_anomalies(content, json)


@app.command
def impute(
    run: Path,
    data: str,
    /,
    *,
    draws: Count = 100,
    samples: Count = 1000,
    out: Path | None = None,
    seed: Seed = 0,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Fill in what is missing in a table, and say how sure that is.

    Draws from p(missing | observed). The first file has the table, each gap filled with the median of the draws, or
    with the most frequent value; the second has a line for each gap: its row and column, what it was filled with,
    mean, deviation and the 5 % and 95 % quantiles of the draws (of a category its share), and the draws themselves.

    Parameters
    ----------
    run
        A run folder of a table.
    data
        A table with the same columns.
    draws
        Of each row.
    samples
        K, candidates for z that they are chosen from.
    out
        A .csv, .tsv or .parquet file; the second is called NAME-draws. Default: imputed.csv in the run folder.
    seed
        Seed of the draws.
    device
        auto, cpu, cuda or mps.
    json
        Print JSON instead of a line.
    """
    from aevb.data.tables.encode import decode_rows
    from aevb.data.tables.write import write_table
    from aevb.evaluation import imputation
    from aevb.runs.run_folder import RunFolder

    loaded = RunFolder.load(run, _device(device))
    if not loaded.data.columns:
        raise BadInput(f"{run} learned from {loaded.data.kind} values of which none were missing: expected a table")
    path = _table_file(out or loaded.folder / "imputed.csv")
    beside = path.with_stem(f"{path.stem}-draws")
    examples = loaded.read_examples(data)
    with page.status(f"drawing what is missing in {len(examples)} rows"):
        found = imputation.impute(loaded.model, examples, draws, samples=samples, seed=seed).draws
    columns, given = loaded.data.columns, None if examples.condition is None else examples.condition.numpy()
    filled = imputation.filled(columns, examples.values, found)
    rows, gaps = (
        decode_rows(columns, filled, loaded.data.condition_columns, given),
        imputation.gaps(columns, examples.values, found),
    )
    write_atomically(path, lambda file: write_table(file, rows, (*columns, *loaded.data.condition_columns)))
    write_atomically(beside, lambda file: write_table(file, gaps))
    content = {"file": str(path), "draws": str(beside), "rows": len(examples), "gaps": len(gaps["row"])}
    page.show_imputed(content, json)


@app.command
def export(
    run: Path,
    /,
    *,
    out: Path | None = None,
    json: bool = False,
) -> None:
    """Write encoder and decoder as ONNX files, and compare what they compute with PyTorch.

    The encoder gives mean and deviation of q(z|x), the decoder the mean of p(x|z), for any number of examples at once.

    Parameters
    ----------
    run
        A run folder.
    out
        The folder for encoder.onnx and decoder.onnx. Default: onnx in the run folder.
    json
        Print JSON instead of lines.
    """
    from aevb.runs import export as exports
    from aevb.runs.run_folder import RunFolder

    loaded = RunFolder.load(run)
    with page.status("exporting"):
        files = exports.export(loaded, out or loaded.folder / "onnx")
    page.show_exported(files, json)


@app.command
def explore(
    runs: list[Path],
    /,
    *,
    no_open: bool = False,
    given: Given = {},  # noqa: B006  (never changed)
    serve: bool = False,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 0,
    data_dir: str | None = None,
    json: bool = False,
) -> None:
    """Write explorer.html, a page to look around in what a model learned, and open it.

    It is one file in the folder of the run, needs no network, and decodes under the pointer. Of two runs, the page has
    them side by side, in the folder of the first.

    Parameters
    ----------
    runs
        A run folder, or two to compare.
    no_open
        Only write the page, or only serve it.
    given
        Of a conditional model: under what it is shown, as in --given.label 7.
    serve
        Hand the page out instead of writing it, until Ctrl-C: for networks that are too large to be in it.
    host
        Where to serve: on this machine alone, unless this is another of its names or addresses, or 0.0.0.0.
    port
        Where to serve. Default: any that is free.
    data_dir
        Folder of the named data sets, if it has moved since training.
    json
        Print JSON instead of a line.
    """
    import webbrowser

    from aevb import explorer
    from aevb import report as reports
    from aevb.runs.run_folder import RunFolder
    from aevb.workflow import diagnosis as doctor

    if len(runs) > 2:
        raise BadInput(f"explore shows one run or compares two: {len(runs)} given")
    loaded = [(run, run.load_data(data_dir)) for run in map(RunFolder.load, runs)]
    if given or any(run.data.condition_columns for run, _ in loaded):
        loaded = [explorer.under(run, dataset, _stated(run, given)) for run, dataset in loaded]
    if serve:
        _serve(loaded, host, port, no_open=no_open)
        return
    with page.status("writing the page"):
        path = explorer.explore(loaded)
        if (path.parent / "report.html").is_file():  # which leads there
            first = RunFolder.load(runs[0])
            reports.write_run(first, doctor.remembered(first))
    print(json_format.dumps({"file": str(path)}) if json else f"wrote {path}")
    if not no_open:
        webbrowser.open(path.resolve().as_uri())


@app.command
def reconstruct(
    run: Path,
    /,
    *,
    count: Count = 50,
    given: Given = {},  # noqa: B006  (never changed)
    out: Path | None = None,
    data_dir: str | None = None,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Pass test examples through the model: the mean of p(x|z) at the mean of q(z|x).

    Parameters
    ----------
    run
        A run folder.
    count
        How many examples, from the first on.
    given
        Of a conditional model: what their codes are decoded under, as in --given.label 7. Default: what each is.
    out
        A .png picture (images only; each example above its reconstruction), a .npy array (2, count, ...), examples
        and reconstructions, or of a table .csv, .tsv or .parquet with reconstructions: the mean of a number, the most
        probable value of the others. Default: reconstructions.png, .npy or .csv in the run folder.
    data_dir
        Folder of the named data sets, if it has moved since training.
    device
        auto, cpu, cuda or mps.
    json
        Print JSON instead of a line.
    """
    import torch

    from aevb.runs.run_folder import RunFolder

    loaded, place = RunFolder.load(run, _device(device)), _device(device)
    some = loaded.load_data(data_dir).test[:count]
    batch = some.all()
    condition = _given(loaded, given, len(some)) if given else batch.condition
    with torch.no_grad():
        z = loaded.model.latent_means(batch.to(place))[-1]
        again = loaded.model.decode(z, condition).mean.cpu()
    written = again if loaded.data.columns else torch.stack([batch.x, again])
    _write_examples(loaded, out, "reconstructions", written, columns=10, condition=condition, json=json)


@app.command
def report(
    run: Path,
    /,
    *,
    data_dir: str | None = None,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Draw the figures of a run again, judge it, and write its page, report.html.

    Parameters
    ----------
    run
        A run folder.
    data_dir
        Folder of the named data sets, if it has moved since training.
    device
        auto, cpu, cuda or mps.
    json
        Print JSON instead of a line.
    """
    from aevb.runs.run_folder import RunFolder

    loaded = RunFolder.load(run, _device(device))
    dataset = loaded.load_data(data_dir)
    with page.status("drawing and judging"):
        path = _report(loaded, dataset)
    print(json_format.dumps({"file": str(path)}) if json else f"wrote {path}")


@app.command
def push(
    run: Path,
    repo: str,
    /,
    *,
    private: bool = False,
    message: str = "Push a run of aevb",
    json: bool = False,
) -> None:
    """Put a run with a model card on the Hugging Face hub: its weights and numbers, not its data or pictures.

    Needs the extra hub, and to be logged in there: hf auth login.

    Parameters
    ----------
    run
        A run folder.
    repo
        OWNER/NAME; it is made where there is none.
    private
        Make it so that only its owner sees it.
    message
        Of the commit.
    json
        Print JSON instead of a line.
    """
    from aevb.runs import sharing
    from aevb.runs.run_folder import RunFolder

    place = sharing.push_to_hub(RunFolder.load(run), repo, commit_message=message, private=private or None)
    print(json_format.dumps({"place": place}) if json else f"pushed {run} to {place}")


@app.command
def pull(
    repo: str,
    /,
    *,
    out: Path | None = None,
    json: bool = False,
) -> None:
    """Fetch a run from the Hugging Face hub into a run folder.

    Needs the extra hub. Nothing of it is executed.

    Parameters
    ----------
    repo
        OWNER/NAME, or OWNER/NAME@REVISION for a branch, a tag or a commit.
    out
        The run folder to make. Default: runs/NAME.
    json
        Print JSON instead of a line.
    """
    from aevb.runs import hub, sharing
    from aevb.runs.run_folder import RunFolder

    name = repo.removeprefix(hub.PREFIX)
    folder = out or Path("runs") / Path(name.partition("@")[0]).name
    sharing.save_pretrained(RunFolder.load(hub.PREFIX + name), folder)
    print(json_format.dumps({"run": str(folder)}) if json else f"wrote {folder}")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal without Greek still gets its numbers.
            stream.reconfigure(errors="replace")
    keep_freed_memory()
    try:
        with warnings.catch_warnings(), _ended_as_by_ctrl_c(), process.one_voice():
            warnings.showwarning = _show
            _declare_options(arguments)
            status = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        _fail(describe(error.__cause__) if isinstance(error.__cause__, ValidationError) else str(error))
    except (BadInput, NonFinite) as error:
        _fail(str(error))
    except Lost as error:
        print(f"aevb: {error}", file=sys.stderr)
        sys.exit(130)
    except (MemoryError, RuntimeError) as error:
        if not _is_lack_of_memory(error):
            raise
        _fail("out of memory: use fewer samples, a smaller batch or a smaller model")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(status or 0)


def _declare_options(arguments: list[str] | None) -> None:
    """Give train and sweep the options of all registered pieces, if one of the two is called."""
    name = next(iter(sys.argv[1:] if arguments is None else arguments), "")
    for command in (train, sweep):
        if command.__name__ == name:
            command.__annotations__["settings"] = Annotated[command_config(), Parameter(name="*")]


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Who asks a command to end means what Ctrl-C means: what was trained is kept."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _is_lack_of_memory(error: Exception) -> bool:
    """PyTorch says so in words on the CPU, and by type on a GPU."""
    return isinstance(error, MemoryError) or "alloc" in str(error) or "out of memory" in str(error)


def _show(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any) -> None:
    """Our own warnings in a line, those of others as ever."""
    ours = issubclass(category, Notice)
    sys.stderr.write(f"aevb: {message}\n" if ours else warnings.formatwarning(message, category, filename, lineno))


def _fail(message: str) -> NoReturn:
    if process.is_first():
        print(f"aevb: {BadInput(message)}", file=sys.stderr)
    sys.exit(2)


# Settings.


def _begun(run: Path, settings: Config, path: Path | None, data: str | None, seeds: int) -> Config:
    """The configuration that a run to go on with was begun with, wherever its data lie now."""
    from aevb.runs.run_folder import RunFolder

    given = settings.model_dump(exclude_unset=True)
    moved = given.get("data", {}).pop("data_dir", None)
    if data or path or seeds > 1 or any(given.values()):
        raise BadInput(f"--resume {run} goes on as it was begun: leave out all but --data-dir, --samples and --device")
    loaded = RunFolder.load(run)
    if loaded.finished:
        raise BadInput(f"{run} is finished: there is nothing to go on with")
    place = {"data_dir": moved} if moved else {}
    return loaded.config.model_copy(update={"data": loaded.config.data.model_copy(update=place)})


def _configuration(options: Config, file: Path | None, data: str | None) -> Config:
    """What the file says, with the options that were given over it."""
    content = _read(file) if file else {}
    content = _overlay(content, options.model_dump(exclude_unset=True))
    content = _overlay(content, {"data": {"source": data}} if data else {})
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise BadInput(f"{file}: {describe(error)}") from error


def _reports(names: list[str]) -> list[str]:
    """The reports that are meant, each once."""
    from aevb.reproduction import NAMES

    known = (*NAMES, "all")
    for name in names:
        if name not in known:
            match = get_close_matches(name, known, n=1)
            nearest = f": did you mean {match[0]}?" if match else ""
            raise BadInput(f"no report is named {name!r}{nearest or ': expected ' + ', '.join(known)}")
    return list(NAMES if "all" in names else dict.fromkeys(names))


def _reproduced(plan: "Plan", jobs: int | None, share: Callable[[], float], json: bool) -> "Report":
    """Carry out a recipe, with a bar over everything that is planned, write its pages and show what became of it."""
    from joblib import cpu_count

    from aevb.reproduction import pages
    from aevb.reproduction.run import reproduce

    with page.reproducing(plan.recipe.name, len(plan.cells), share) as on_run:
        failures = reproduce(plan.recipe, plan.results, jobs=jobs or cpu_count(), on_run=on_run)
    with page.status(f"writing {plan.results.folder / 'report.html'}"):
        made = pages.write(plan.recipe, plan.results, plan.scale, failures)
    if not json:
        page.show_report(made)
    return made


def _trained(
    config: Config, folder: Path, dataset: "Dataset", logger: "Together", *, resume: bool, device: "torch.device"
) -> "RunFolder":
    """Train one model, with a bar."""
    from aevb.workflow import experiment

    with page.training_progress(config, dataset) as (on_step, on_epoch):
        watched = {"on_step": on_step, "on_epoch": on_epoch, "loggers": [logger]}
        try:
            return experiment.train(config, folder, dataset, device=device, resume=resume, **watched)
        except Lost as error:
            raise Lost(f"{error}: go on, with any number of processes, by aevb train --resume {folder}") from error


def _measured(run: "RunFolder", dataset: "Dataset", logger: "Together", *, samples: int, json: bool) -> int:
    """Measure what was trained, draw its figures and show what it has reached."""
    if run.outcome and run.outcome.ended == "interrupted":
        print(
            f"interrupted: {run.folder} has what was trained; measure it with: aevb evaluate {run.folder},"
            f" or go on with: aevb train --resume {run.folder}",
            file=sys.stderr,
        )
        return 130
    try:
        with page.status(f"measuring {len(dataset.test)} test examples, {samples} draws each"):
            run.evaluate(dataset, "valid", n_importance_samples=run.config.objective.n_samples or 1)
            run.evaluate(dataset, "test", n_importance_samples=samples)
        logger.scores(run.scores)
        with page.status("drawing and judging"):
            _report(run, dataset)
        page.show(run, json)
    except KeyboardInterrupt:
        print(f"interrupted: {run.folder} has the trained model, not all of its numbers and pictures", file=sys.stderr)
        return 130
    return 0


def _swept(
    config: Config,
    axes: dict[str, list[str]],
    folder: Path,
    *,
    seeds: int,
    samples: int,
    device: "torch.device",
    json: bool,
    jobs: int = 1,
) -> int:
    """Train each setting with each seed, put the table and its picture into the folder, and show it."""
    from aevb import plots
    from aevb.runs.aggregate import aggregate
    from aevb.workflow import sweep as sweeps

    try:
        cells = sweeps.plan(config, axes, seeds, folder, samples)
    except ValidationError as error:
        raise BadInput(f"--over: {describe(error)}") from error
    with page.counted(len(cells)) as advance:
        outcomes = sweeps.sweep(cells, jobs=jobs, device=device, on_run=advance)
    rows = aggregate(outcomes)
    write_atomically(folder / "sweep.json", lambda path: path.write_text(page.sweep_json(rows)))
    write_atomically(folder / "sweep.png", lambda path: plots.save(plots.sweep(rows), path))
    print(page.sweep_json(rows), end="") if json else page.show_sweep(rows, folder)
    return 2 if all(row.problems and not row.seeds for row in rows) else 0


def _report(run: "RunFolder", dataset: "Dataset") -> Path:
    """Draw what there is to see of a run, judge it and write its page."""
    from aevb import plots
    from aevb import report as reports
    from aevb.workflow import diagnosis as doctor

    for name, figure in plots.figures(run, dataset):
        run.save_figure(name, lambda path, figure=figure: plots.save(figure, path))  # type: ignore[misc]
    findings = None
    if run.epochs and len(dataset.valid) > 1:
        findings = doctor.diagnose(run, dataset, samples=JUDGED_BY)
        doctor.remember(run, findings)
    return reports.write_run(run, findings)


def _serve(runs: "list[tuple[RunFolder, Dataset]]", host: str, port: int, *, no_open: bool) -> None:
    """Hand the page of runs out, and open it."""
    import webbrowser

    from aevb.explorer.server import serve

    def ready(address: str) -> None:
        print(f"serving {address} until Ctrl-C", flush=True)
        if not no_open:
            webbrowser.open(address)

    serve(runs, host, port, ready)


def _axes(over: list[str]) -> dict[str, list[str]]:
    """Words to the fields among them and the values that follow each."""
    axes: dict[str, list[str]] = {}
    for word in over:
        section, _, field = word.partition(".")
        if section in Config.model_fields and field and not field.isdigit():
            axes[word.replace("-", "_")] = values = []
        elif not axes:
            raise BadInput(f"--over starts with a field such as model.latent, not {word}")
        else:
            values.append(word)
    for name, values in axes.items():
        if not values:
            raise BadInput(f"--over {name} needs values: --over {name} VALUE VALUE")
    return axes


def _absolute(chosen: Config) -> Config:
    """With places as they will be found from any working folder."""
    from aevb.models.registry import register

    source, folder = chosen.data.source, _data_folder(chosen.data.data_dir)
    places = {} if source in register.dataset or "://" in source else {"source": str(Path(source).resolve())}
    places |= {"data_dir": folder} if folder else {}
    return chosen.model_copy(update={"data": chosen.data.model_copy(update=places)})


def _data_folder(given: str | None) -> str | None:
    """Where the named data sets lie, as it will be found from any working folder."""
    folder = given or os.environ.get("AEVB_DATA")
    return str(Path(folder).resolve()) if folder else None


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open(encoding="utf-8") as stream:  # of a device there is no end
            content = json_format.loads(stream.read(CONFIGURATION))
    except OSError as error:
        raise BadInput(f"cannot read --config {file}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"--config {file} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadInput(
            f'--config {file} holds a {type(content).__name__}: expected an object such as {{"model": {{}}}}'
        )
    from aevb.runs.format import configuration

    return _underscored(configuration(content, file))


def _underscored(content: dict[str, Any], deeper: int = 1) -> dict[str, Any]:
    """Names of groups and of their options may be written with hyphens."""
    return {
        key.replace("-", "_"): _underscored(value, deeper - 1) if deeper and isinstance(value, dict) else value
        for key, value in content.items()
    }


def _overlay(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _overlay(below.get(key), value) for key, value in above.items()}


def _device(name: str) -> "torch.device":
    import torch

    available = ["cpu"]
    available += ["cuda"] if torch.cuda.is_available() else []
    available += ["mps"] if torch.backends.mps.is_available() else []
    if name == "auto":
        return torch.device(available[1] if "cuda" in available else "cpu")
    try:
        device = torch.device(name)
        if device.type in available and (device.index or 0) < max(1, torch.cuda.device_count()):
            return device
    except RuntimeError:
        pass
    raise BadInput(f"--device {name} is not to be had here: expected auto, {' or '.join(available)}")


def _free_folder(name: str) -> Path:
    folders = (Path("runs") / f"{name}-{number}" for number in count_from(1))
    return next(folder for folder in folders if not folder.exists())


def _given(run: "RunFolder", stated: dict[str, str], count: int) -> "torch.Tensor | None":
    """What a model is to be given of so many samples: as stated, or each class in turn."""
    from aevb.data import condition as conditions

    if not run.data.condition_columns and not stated:
        return None
    every = None if stated else conditions.all_conditions(run.data.condition_columns)
    return _stated(run, stated) if every is None else every.repeat_interleave(-(-count // len(every)), 0)[:count]


def _stated(run: "RunFolder", stated: dict[str, str]) -> "torch.Tensor":
    """What a model is to be given, as stated."""
    from aevb.data import condition as conditions

    if not run.data.condition_columns:
        raise BadInput(f"{run.folder} is no conditional model: leave out --given, or train with --model.condition")
    return conditions.parse_condition(run.data.condition_columns, stated)


def _write_examples(
    run: "RunFolder",
    out: Path | None,
    name: str,
    x: "torch.Tensor",
    *,
    columns: int,
    condition: "torch.Tensor | None",
    json: bool,
) -> None:
    """Write examples as a picture, an array or a table."""
    from aevb import plots
    from aevb.data.tables.encode import decode_rows
    from aevb.data.tables.write import write_table

    image = len(run.data.shape) == 3
    path = out or run.folder / f"{name}.{'png' if image else 'csv' if run.data.columns else 'npy'}"
    if run.data.columns:
        like = (*run.data.columns, *run.data.condition_columns)
        rows = decode_rows(
            run.data.columns, x.numpy(), run.data.condition_columns, None if condition is None else condition.numpy()
        )
        write_atomically(_table_file(path), lambda file: write_table(file, rows, like))
    elif path.suffix == ".npy":
        _write_array(path, x.numpy())
    elif path.suffix == ".png" and image:
        write_atomically(path, lambda file: plots.save_picture(x, columns, file))
    else:
        raise BadInput(
            f"--out {path} is not a file that {name} of {run.data.name} can be: expected {'.png or ' * image}.npy"
        )
    _tell(path, x.shape, json)


def _write_array(path: Path, array: Any) -> None:
    import numpy as np

    write_atomically(path, lambda file: np.save(file, array))


def _table_file(path: Path) -> Path:
    """A file that a table can be written to."""
    from aevb.data.tables.read import SUFFIXES

    require_local(path)

    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"--out {path} is no table: expected {', '.join(SUFFIXES)}")
    return path


def _tell(path: Path, shape: Iterable[int], json: bool) -> None:
    print(json_format.dumps({"file": str(path), "shape": list(shape)}) if json else f"wrote {path}")
