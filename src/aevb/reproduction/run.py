"""Run a recipe: train and evaluate its trials, compute its studies and judge its claims.

All results are files in one folder. An interrupted run resumes where it stopped.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from joblib import Parallel, delayed

from aevb import reproduction as recipes
from aevb.data import load_data
from aevb.errors import BadInput, NonFinite
from aevb.files import write_atomically
from aevb.reproduction.quantities import Results
from aevb.reproduction.recipe import Recipe, Study
from aevb.reproduction.verdicts import Scale
from aevb.runs.aggregate import SEED, RunResult
from aevb.workflow.sweep import Cell, sweep


class Plan(NamedTuple):
    """A recipe to run.

    Attributes:
        recipe: the recipe at the scale.
        scale: the scale of the experiments.
        results: the results.
        cells: the training runs.
    """

    recipe: Recipe
    scale: Scale
    results: Results
    cells: list[Cell]


def plan(name: str, scale: Scale, seeds: int | None, out: Path, data_dir: str | None) -> Plan:
    """Plan a recipe, in out/NAME-SCALE.

    Args:
        name: the name of the recipe.
        scale: the scale of the experiments.
        seeds: the number of seeds; None for one at the scale smoke and the default of the recipe otherwise.
        out: the folder that contains one folder per recipe.
        data_dir: the folder of the named data sets.
    """
    recipe = recipes.recipe(name, scale)
    count = seeds or (1 if scale == "smoke" else recipe.seeds)
    results = Results(out / f"{name}-{scale}", range(count), data_dir)
    return Plan(recipe, scale, results, list(cells(recipe, results)))


def reproduce(
    recipe: Recipe,
    results: Results,
    *,
    jobs: int = 1,
    device: torch.device | str = "cpu",
    on_run: Callable[[RunResult], object] | None = None,
) -> list[str]:
    """Compute the missing results of a recipe.

    Args:
        recipe: the recipe.
        results: the results; failed runs are added to `results.failed`.
        jobs: the number of parallel processes.
        device: on which models are trained.
        on_run: called after each trial, in order.

    Returns:
        The failures, one line each.
    """
    planned = list(cells(recipe, results))
    outcomes = sweep(planned, jobs=jobs, device=device, on_run=on_run)
    wanted = {results.path(name, seed): study for name, study in recipe.studies.items() for seed in results.seeds}
    studies = Parallel(n_jobs=jobs)(delayed(_study)(study, path, results.data_dir) for path, study in wanted.items())
    folders = {(cell.values["trial"], cell.values[SEED]): cell.folder for cell in planned}
    problems = {folders[outcome.values["trial"], outcome.values[SEED]]: outcome.problem for outcome in outcomes}
    problems |= dict(zip(wanted, studies, strict=True))
    failed = {path: problem for path, problem in problems.items() if problem}
    results.failed.update(failed)
    return [f"{path.parent.name}, {path.name.replace('=', ' ')}: {problem}" for path, problem in failed.items()]


def cells(recipe: Recipe, results: Results) -> Iterator[Cell]:
    """Yield the training runs of a recipe, seed by seed."""
    for index, seed in enumerate(results.seeds):
        for name, trial in recipe.trials.items():
            if trial.seeds is None or index < trial.seeds:
                data = trial.config.data.model_copy(update={"data_dir": results.data_dir})
                config = trial.config.model_copy(update={"seed": seed, "data": data})
                folder = results.path(name, seed)
                yield Cell({"trial": name, SEED: seed}, config, folder, trial.n_importance_samples, trial.measures)


def check_data(planned: Sequence[Cell]) -> None:
    """Load each data set once, so that missing ones are reported before training.

    Raises:
        BadInput: a data set is missing or damaged.
    """
    for options in {repr(cell.config.load_options()): cell.config.load_options() for cell in planned}.values():
        load_data(**options)


def share_done(planned: Sequence[Cell]) -> float:
    """Return the share of epochs that are trained, from the files; all runs have equal weight."""
    return sum(map(_share, planned)) / max(1, len(planned))


def _share(cell: Cell) -> float:
    if (cell.folder / "scores.json").is_file():  # training has ended, perhaps early
        return 1.0
    file = cell.folder / "metrics.jsonl"
    epochs = file.read_bytes().count(b"\n") if file.is_file() else 0
    return min(1.0, epochs / (cell.config.train.epochs or max(epochs, 1)))


def _study(study: Study, path: Path, data_dir: str | None) -> str | None:
    """Compute a study unless its file exists; return the reason of a failure in one line."""
    file = path.with_suffix(".json")
    if not file.is_file():
        try:
            numbers = dict(study(int(path.name.removeprefix(f"{SEED}=")), data_dir))
        except (BadInput, NonFinite) as error:
            return str(error)
        write_atomically(file, lambda path: path.write_text(json.dumps(numbers), encoding="utf-8"))
    return None
