"""Many runs of one configuration: some fields over lists of values, each with several seeds.

Runs are folders like any other, in a folder named by their settings, so that a sweep that was interrupted goes on where
it stopped: what is finished is not repeated, and a run that was cut off goes on from its last checkpoint. They are made
in parallel processes by joblib, whose other back ends take them to a cluster:
`with joblib.parallel_config("dask"): sweep(...)`. Small models that differ in their seeds alone are trained as one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from joblib import Parallel, delayed

from aevb.config.schema import Config
from aevb.data import Dataset, load_data
from aevb.errors import BadInput, NonFinite
from aevb.evaluation import Score
from aevb.runs.aggregate import SEED, RunResult, result_of
from aevb.runs.run_folder import RunFolder
from aevb.training.capture import CaptureError
from aevb.workflow.experiment import stackable, train, train_stacked


class Measure(NamedTuple):
    """Something that is measured of a run.

    Attributes:
        name: of a score that it gives: a run that has one is not measured again.
        of: run and data to scores.
    """

    name: str
    of: Callable[[RunFolder, Dataset], list[Score]]


class Cell(NamedTuple):
    """One run of a sweep.

    Attributes:
        values: of the fields that vary, by their dotted names; with the seed.
        config: of the run.
        folder: where it is, or will be.
        samples: K of log p(x).
        measures: what is measured beside the bound and log p(x).
    """

    values: dict[str, Any]
    config: Config
    folder: Path
    samples: int = 1000
    measures: tuple[Measure, ...] = ()


def plan(
    config: Config, over: Mapping[str, Sequence[Any]], seeds: int, folder: Path, samples: int = 1000
) -> list[Cell]:
    """The runs of a sweep: every combination of values, and each with the seeds from the configuration's on.

    Args:
        config: what does not vary.
        over: dotted names of fields, such as ``model.latent``, to their values.
        seeds: how many.
        folder: of the sweep.
        samples: K of log p(x).

    Raises:
        BadInput: a field is unknown, or a value does not suit it.
    """
    cells = []
    for chosen in product(*over.values()):
        values = dict(zip(over, chosen, strict=True))
        name = "_".join(f"{field}={_text(value)}" for field, value in values.items()).replace("/", "_")
        for seed in range(config.seed, config.seed + seeds):
            made = _with(config, {**values, SEED: seed})
            cells.append(Cell({**values, SEED: seed}, made, folder / (name or "as-given") / f"seed={seed}", samples))
    return cells


def sweep(
    cells: Sequence[Cell],
    *,
    jobs: int = 1,
    device: torch.device | str = "cpu",
    on_run: Callable[[RunResult], object] | None = None,
) -> list[RunResult]:
    """Make or continue the runs that are not finished, and collect what all have reached.

    Runs that differ in their seeds alone are trained as one stacked model where that is faster.

    Args:
        cells: of `plan`.
        jobs: processes at once; each takes its share of this one's threads.
        device: where to train.
        on_run: called as each run ends, in order.
    """
    threads = max(1, torch.get_num_threads() // jobs)
    outcomes = []
    teams = _teams(cells, math.ceil(len(cells) / jobs))
    for found in Parallel(n_jobs=jobs, return_as="generator")(delayed(_run)(team, threads, device) for team in teams):
        for outcome in found:
            outcomes.append(outcome)
            if on_run:
                on_run(outcome)
    return outcomes


def _teams(cells: Sequence[Cell], largest: int) -> list[list[Cell]]:
    """Runs that differ in their seeds alone, at most so many in a team."""
    alike: dict[str, list[Cell]] = {}
    for cell in cells:
        alike.setdefault(cell.config.model_copy(update={SEED: 0}).model_dump_json(), []).append(cell)
    return [team[start : start + largest] for team in alike.values() for start in range(0, len(team), largest)]


def _run(team: Sequence[Cell], threads: int, device: torch.device | str) -> list[RunResult]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        dataset = cache(lambda: load_data(**team[0].config.load_options()))
        if len(team) > 1:
            _train_together(team, dataset, device)
        return [_outcome(cell, dataset, device) for cell in team]
    finally:
        torch.set_num_threads(before)


def _train_together(team: Sequence[Cell], dataset: Callable[[], Dataset], device: torch.device | str) -> None:
    """Train what is not finished as one model, where that is faster; what this leaves can be done one by one."""
    try:
        places = [(cell.config, cell.folder) for cell in team if not _finished(cell)]
        if len(places) > 1 and stackable(places[0][0], dataset()):
            _raise_if_interrupted(*train_stacked(places, dataset(), device=device, resume=True))
    except (BadInput, NonFinite, CaptureError):
        pass  # each alone says what is wrong with it


def _finished(cell: Cell) -> bool:
    run = RunFolder.find(cell.folder, cell.config)
    return run is not None and run.finished


def _outcome(cell: Cell, dataset: Callable[[], Dataset], device: torch.device | str) -> RunResult:
    try:
        return result_of(_made(cell, dataset, device), cell.values)
    except (BadInput, NonFinite) as error:
        return RunResult(cell.values, {}, str(error))


def _made(cell: Cell, dataset: Callable[[], Dataset], device: torch.device | str) -> RunFolder:
    """The run, trained and measured; what is there already is not done again, and what was cut off goes on.

    Raises:
        BadInput: another configuration made it, or its data have changed since it was cut off.
    """
    run = RunFolder.find(cell.folder, cell.config)
    if run is None or not run.finished:
        run = train(cell.config, cell.folder, dataset(), device=device, resume=True)
    _raise_if_interrupted(run)
    has = {(score.split, score.name) for score in run.scores}
    if ("valid", "distortion") not in has:
        run.evaluate(dataset(), "valid", n_importance_samples=cell.config.objective.n_samples or 1)
    if ("test", "distortion") not in has:
        run.evaluate(dataset(), "test", n_importance_samples=cell.samples)
    for measure in cell.measures:
        if measure.name not in {name for _, name in has}:
            run.save_scores(measure.of(run, dataset()))
    return run


def _raise_if_interrupted(*runs: RunFolder) -> None:
    if any(run.outcome and run.outcome.ended == "interrupted" for run in runs):
        raise KeyboardInterrupt


def _with(config: Config, values: Mapping[str, Any]) -> Config:
    """A configuration with other values of some fields.

    Raises:
        BadInput: a field is unknown, or a value does not suit it.
    """
    content = config.model_dump(exclude_unset=True)
    for field, value in values.items():
        *path, last = field.split(".")
        section = content
        for part in path:
            section = section.setdefault(part, {})
        section[last] = value
    return Config.model_validate(content)


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
