"""Many runs of one configuration: every combination of values of some options, each with several seeds.

Each run is a run folder named after its values, below the folder of the sweep. A repeated sweep skips finished runs and
resumes interrupted ones. Runs are distributed over processes by joblib, whose backends also use a cluster:
`with joblib.parallel_config("dask"): sweep(...)`. Small models that differ only in their seeds are trained as one
stacked model.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from joblib import Parallel, delayed

from aevb.config.schema import Config
from aevb.data import Dataset, load_data
from aevb.errors import BadInput, NonFinite, option
from aevb.evaluation import Score
from aevb.runs.aggregate import SEED, RunResult, Values, result_of
from aevb.runs.run_folder import CONFIG, RunFolder
from aevb.training.capture import CaptureError
from aevb.workflow.fitting import can_stack, fit_run, fit_runs
from aevb.workflow.options import Content, configuration, overlay

LONGEST_NAME = 255
"""The largest number of bytes of the name of a folder, of common file systems."""


class Measure(NamedTuple):
    """An additional measure of a run.

    Attributes:
        name: of one of its scores; a run that has it is not measured again.
        scores: function of run and data that returns the scores.
    """

    name: str
    scores: Callable[[RunFolder, Dataset], list[Score]]


class Cell(NamedTuple):
    """One run of a sweep.

    Attributes:
        values: of the varied options by dotted name, with the seed.
        config: of the run.
        folder: of the run.
        n_importance_samples: K for log p(x); None to choose its estimator.
        measures: besides bound and log p(x).
    """

    values: Values
    config: Config
    folder: Path
    n_importance_samples: int | None = None
    measures: tuple[Measure, ...] = ()


def plan(
    config: Config,
    over: Mapping[str, Sequence[object]],
    seeds: int,
    folder: Path,
    n_importance_samples: int | None = None,
) -> list[Cell]:
    """Return the runs of a sweep: every combination of values, each with `seeds` consecutive seeds.

    Values that mean the same, such as 2 and 02, are one.

    Args:
        config: of the options that do not vary, with the first seed.
        over: values by dotted name of an option, such as ``model.latent``.
        seeds: number of seeds.
        folder: of the sweep.
        n_importance_samples: K for log p(x); None to choose its estimator.

    Raises:
        BadInput: an option is unknown, a value is invalid, or the folder is that of a run.
    """
    if (folder / CONFIG).is_file():
        raise BadInput(f"{folder} already has a run: choose another {option('out')}, or remove it")
    if config.train.budget:
        raise BadInput(f"{option('train.budget')} is for a single run: use {option('train.epochs')}")
    cells = dict[str, Cell]()
    for combination in product(*over.values()):
        values = dict(zip(over, combination, strict=True))
        name = _folder_name("_".join(f"{option}={_text(value)}" for option, value in values.items()))
        for seed in range(config.seed, config.seed + seeds):
            with_seed = {**values, SEED: seed}
            run_folder = folder / (name or "as-given") / f"seed={seed}"
            cell = Cell(with_seed, _with_values(config, with_seed), run_folder, n_importance_samples)
            cells.setdefault(cell.config.model_dump_json(), cell)
    return list(cells.values())


def sweep(
    cells: Sequence[Cell],
    *,
    jobs: int = 1,
    device: torch.device | str = "cpu",
    on_run: Callable[[RunResult], object] | None = None,
) -> list[RunResult]:
    """Train and evaluate the runs that are not finished, and return the results of all.

    Args:
        cells: as returned by `plan`.
        jobs: number of parallel processes, which share the threads of this process.
        device: on which to train.
        on_run: called after each run, in order.

    Returns:
        The results, in the order of the groups of runs that differ only in their seeds.
    """
    threads = max(1, torch.get_num_threads() // jobs)
    results = []
    groups = _groups(cells, math.ceil(len(cells) / jobs))
    parallel = Parallel(n_jobs=jobs, return_as="generator")
    for of_group in parallel(delayed(_run_group)(group, threads, device) for group in groups):
        for result in of_group:
            results.append(result)
            if on_run:
                on_run(result)
    return results


def _groups(cells: Sequence[Cell], largest: int) -> list[list[Cell]]:
    """Return groups of at most `largest` runs that differ only in their seeds."""
    by_config: dict[str, list[Cell]] = {}
    for cell in cells:
        by_config.setdefault(cell.config.model_copy(update={SEED: 0}).model_dump_json(), []).append(cell)
    return [group[start : start + largest] for group in by_config.values() for start in range(0, len(group), largest)]


def _run_group(group: Sequence[Cell], threads: int, device: torch.device | str) -> list[RunResult]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        dataset = cache(lambda: load_data(**group[0].config.load_options()))
        if len(group) > 1:
            _fit_stacked(group, dataset, device)
        return [_result(cell, dataset, device) for cell in group]
    finally:
        torch.set_num_threads(before)


def _fit_stacked(group: Sequence[Cell], dataset: Callable[[], Dataset], device: torch.device | str) -> None:
    """Train the unfinished runs as one stacked model where that is faster; runs that fail are trained one by one."""
    try:
        jobs = [(cell.config, cell.folder) for cell in group if not _is_finished(cell)]
        if len(jobs) > 1 and can_stack(jobs[0][0], dataset()):
            _raise_if_interrupted(*fit_runs(jobs, dataset(), device=device, resume=True))
    except (BadInput, NonFinite, CaptureError):
        pass  # training it alone reports the problem


def _is_finished(cell: Cell) -> bool:
    run = RunFolder.find(cell.folder, cell.config)
    return run is not None and run.finished


def _result(cell: Cell, dataset: Callable[[], Dataset], device: torch.device | str) -> RunResult:
    try:
        return result_of(_completed(cell, dataset, device), cell.values)
    except (BadInput, NonFinite) as error:
        return RunResult(cell.values, {}, str(error))


def _completed(cell: Cell, dataset: Callable[[], Dataset], device: torch.device | str) -> RunFolder:
    """Return the run, trained and evaluated; nothing that exists is computed again.

    Raises:
        BadInput: the run has another configuration, or its data have changed.
    """
    run = RunFolder.find(cell.folder, cell.config)
    if run is None or not run.finished:
        run = fit_run(cell.config, cell.folder, dataset(), device=device, resume=True)
    _raise_if_interrupted(run)
    existing = {score.name for score in run.scores}
    if _importance_samples(run, "valid") is None:
        run.evaluate(dataset(), "valid", n_importance_samples=cell.config.objective.last_n_samples or 1)
    existing_samples = _importance_samples(run, "test")
    if existing_samples is None or cell.n_importance_samples not in (None, existing_samples):
        run.evaluate(dataset(), "test", n_importance_samples=cell.n_importance_samples)
    for measure in cell.measures:
        if measure.name not in existing:
            run.save_scores(measure.scores(run, dataset()))
    return run


def _importance_samples(run: RunFolder, split: str) -> int | None:
    """Return K of the last evaluation of a run on a split; None without one."""
    samples = [score.n_importance_samples for score in run.scores if (score.split, score.name) == (split, "distortion")]
    return samples[-1] if samples else None


def _raise_if_interrupted(*runs: RunFolder) -> None:
    if any(run.outcome and run.outcome.ended == "interrupted" for run in runs):
        raise KeyboardInterrupt


def _with_values(config: Config, values: Values) -> Config:
    """Return a configuration with other values of some options."""
    content: Content = config.model_dump(exclude_unset=True)
    for name, value in values.items():
        nested: object = value
        for key in reversed(name.split(".")):
            nested = {key: nested}
        assert isinstance(nested, dict)
        content = overlay(content, nested)
    return configuration(content)


def _folder_name(text: str) -> str:
    """Return a text as the name of a folder; of one that is too long, the beginning and a digest."""
    name = text.replace("/", "_")
    if len(name.encode()) <= LONGEST_NAME:
        return name
    digest = blake2b(name.encode(), digest_size=8).hexdigest()
    return f"{name.encode()[: LONGEST_NAME - 17].decode(errors='ignore')}-{digest}"


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
