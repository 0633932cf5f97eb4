"""The commands of tables: score, impute and quality."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from torch import Tensor

from aevb.cli import terminal
from aevb.cli.common import Count, DataDir, Device, Json, Plugins, ReadPath, Seed, Source
from aevb.columns import DateNotation
from aevb.data import Examples
from aevb.data.tables.encode import decode_rows
from aevb.data.tables.fill import fill_table
from aevb.data.tables.formats import COMPRESSIONS, SUFFIXES, format_of, stem_of, suffix_of
from aevb.data.tables.write import write_table
from aevb.errors import BadInput
from aevb.evaluation import imputation
from aevb.files import require_local, write_atomically
from aevb.runs.quality import QUALITY
from aevb.runs.run_folder import RunFolder
from aevb.training.environment import process_group
from aevb.workflow.blockwise import impute_blocks, large_blocks, score_blocks
from aevb.workflow.devices import choose_device
from aevb.workflow.quality import write_quality
from aevb.workflow.run import ImputeOptions, Run, ScoreOptions, load_run


def score(
    run: ReadPath,
    data: Source,
    /,
    *,
    false_alarm_rate: Annotated[float, Parameter(validator=Number(gt=0, lt=1))] = 0.05,
    n_importance_samples: Annotated[
        Count | None, Parameter(help="K, importance samples per example. Default: as many as an example needs.")
    ] = None,
    explain: Annotated[bool, Parameter(negative=())] = False,
    out: Path | None = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    device: Device = "auto",
    json: Json = False,
    plugin: Plugins = (),
) -> None:
    """Compute log p(x) of examples and flag anomalies.

    The test split of the run, which training did not use, sets the threshold. For a run trained on data in memory, the
    rows that a VAEOutlierDetector held out set it. Without held-out examples, only log p(x) is written; with too few
    for the rate, log p(x) and p-values. The scores of held-out examples are kept in the run folder.

    Args:
        false_alarm_rate: Largest share of normal examples that are flagged as anomalies.
        explain: Name up to three columns that make each anomaly unlikely given its other columns, in the column
            explanation, with how surprising they are in nats.
        out: Table (.csv, .parquet, .xlsx and others) with the columns row, log_px, p_value and anomaly; file for a
            folder of images, or the column that was recognized as an identifier of the training rows; and reason if an
            example has values that cannot occur in the training data; its log_px is -inf. Default: scores-DATA.csv in
            the run folder.
    """
    options: ScoreOptions = {
        "false_alarm_rate": false_alarm_rate,
        "n_importance_samples": n_importance_samples,
        "explain": explain,
        "seed": seed,
    }
    with process_group(choose_device(device)) as own_device:
        loaded = load_run(run, own_device, data_dir=data_dir)
        path = require_table_file(loaded.output_file(out, f"scores-{Path(data).stem}.csv"))
        if blocks := large_blocks(data, path):
            with terminal.blocks(f"scoring {data}", len(blocks)) as on_block:
                summary = score_blocks(loaded, blocks, path, on_block, **options)
        else:
            with terminal.status(f"scoring {data} and held-out examples"):
                scored = loaded.score(data, **options)
            write_atomically(path, lambda file: write_table(file, scored.table()))
            summary = scored.summary
    notations = {column.name: column.notation for column in loaded.record.data.columns}
    dates = [name for name, form in notations.items() if isinstance(form, DateNotation) and form.content == "date"]
    terminal.show_anomalies(summary, path, false_alarm_rate, dates, json)


def impute(
    run: ReadPath,
    data: Source,
    /,
    *,
    n_imputations: Count = 100,
    n_importance_samples: Annotated[
        Count, Parameter(help="K, samples of z among which the imputations are chosen.")
    ] = 1000,
    out: Path | None = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    device: Device = "auto",
    json: Json = False,
    plugin: Plugins = (),
) -> None:
    """Impute the missing values of a table, with their uncertainty.

    Missing values are sampled from p(missing | observed). The first file is the table, with each missing value replaced
    by the median of its samples, or by the most frequent category. The second file has one row for each missing value:
    its row and column, the imputed value, the mean, standard deviation and 5 % and 95 % quantiles of the samples (the
    share of a category), and the samples.

    Args:
        n_imputations: Samples per row.
        out: Table (.csv, .parquet, .xlsx and others); with the suffix of DATA, observed cells stay as they are in the
            file. The second file is NAME-draws. Default: imputed.csv in the run folder.
    """
    options: ImputeOptions = {
        "n_imputations": n_imputations,
        "n_importance_samples": n_importance_samples,
        "seed": seed,
    }
    with process_group(choose_device(device)) as own_device:
        loaded = load_run(run, own_device, data_dir=data_dir)
        path = require_table_file(loaded.output_file(out, "imputed.csv"))
        draws_path = path.with_name(f"{stem_of(path)}-draws{suffix_of(path)}")
        if blocks := large_blocks(data, path):
            rows = blocks[-1].stop
            with terminal.blocks(f"imputing {rows} rows", len(blocks)) as on_block:
                missing = impute_blocks(loaded, blocks, path, draws_path, on_block, **options)
        else:
            rows, missing = _impute_at_once(loaded, data, path, draws_path, options)
    terminal.show_imputed(path, draws_path, rows, missing, json)


def _impute_at_once(run: Run, data: str, path: Path, draws_path: Path, options: ImputeOptions) -> tuple[int, int]:
    """Write an imputed table and its imputations; return the numbers of rows and of missing values."""
    examples, columns = run.table_examples(data), run.record.data.columns
    with terminal.status(f"imputing {len(examples)} rows"):
        imputations = run.impute(examples, **options).imputations
    lines = imputation.imputation_table(columns, examples.values, imputations)
    write_atomically(path, lambda file: _write_filled(file, Path(data), run.record, examples, imputations))
    write_atomically(draws_path, lambda file: write_table(file, lines, form=run.record.data.text_form))
    return len(examples), len(lines["row"])


def quality(
    run: ReadPath,
    synthetic: Annotated[str | None, Parameter(help="Synthetic rows with the columns of the training data.")] = None,
    /,
    *,
    out: Path | None = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    device: Device = "auto",
    json: Json = False,
    plugin: Plugins = (),
) -> None:
    """Compare samples of a model, or other synthetic rows, with real rows of a table.

    Without SYNTHETIC, as many rows are sampled as there are training rows. The comparison with test rows measures the
    distribution of each column, the association of each pair of columns, what other models learn from the rows, whether
    a classifier detects them, and how close they are to the training rows.

    Args:
        out: JSON file; the figure beside it has the suffix .png. Default: quality.json in the run folder, or
            quality-SYNTHETIC.json.
    """
    loaded = load_run(run, device, data_dir=data_dir)
    name = f"quality-{Path(synthetic).stem}.json" if synthetic else QUALITY
    path = _require_json_file(loaded.output_file(out, name))
    with terminal.status("comparing synthetic rows with real rows"):
        measured = loaded.quality(synthetic, seed=seed)
    write_quality(measured, path)
    terminal.show_quality(measured, path, json)


def _require_json_file(path: Path) -> Path:
    """Return the path of a JSON file.

    Raises:
        BadInput: its suffix is not that of one, or it is not on this machine.
    """
    require_local(path)
    if path.suffix.lower() != ".json":
        raise BadInput(f"--out {path} is not a JSON file: expected a name that ends in .json")
    return path


def _write_filled(path: Path, source: Path, run: RunFolder, examples: Examples, draws: Tensor) -> None:
    """Write a table with its missing values replaced; the other cells of a file stay as they are."""
    card = run.data
    columns = (*card.columns, *card.condition_columns)
    if source.is_file() and format_of(source):
        cells = imputation.imputed_cells(card.columns, examples.values, draws)
        return fill_table(source, path, cells, columns, run.config.data.missing)
    condition = None if examples.condition is None else examples.condition.numpy()
    filled = imputation.fill(card.columns, examples.values, draws)
    rows = decode_rows(card.columns, filled, card.condition_columns, condition)
    return write_table(path, rows, columns, card.text_form)


def require_table_file(path: Path) -> Path:
    """Return the path of a table.

    Raises:
        BadInput: its suffix is not that of a table, or it is not on this machine.
    """
    require_local(path)
    if not format_of(path):
        raise BadInput(
            f"--out {path} is not a table: expected {', '.join(SUFFIXES)}, or text with {' or '.join(COMPRESSIONS)}"
        )
    return path
