"""A recipe carried out: its trials trained and measured, its studies made, each once, and its claims judged.

Everything is a file below one folder, so that what was interrupted goes on where it stopped.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from joblib import Parallel, delayed

from aevb import reproduction as recipes
from aevb.data import load_data
from aevb.errors import BadInput, NonFinite
from aevb.files import write_atomically
from aevb.reproduction.recipe import Recipe, Results, Scale, Study
from aevb.runs.aggregate import SEED, RunResult
from aevb.workflow.sweep import Cell, sweep


class Plan(NamedTuple):
    """A recipe that is to be carried out.

    Attributes:
        recipe: at the scale.
        scale: of the experiments.
        results: where they will be.
        cells: the runs.
    """

    recipe: Recipe
    scale: Scale
    results: Results
    cells: list[Cell]


def plan(name: str, scale: Scale, seeds: int | None, out: Path, data_dir: str | None) -> Plan:
    """Plan a recipe, in out/NAME-SCALE.

    Args:
        name: of the report.
        scale: of the experiments.
        seeds: how many; None: one at the scale smoke, else as many as the recipe wants.
        out: where each report has its folder.
        data_dir: of the named data sets.
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
    on_run: Callable[[RunResult], object] | None = None,
) -> list[str]:
    """Make what is missing of a recipe.

    Args:
        recipe: what to do.
        results: where, and with which seeds.
        jobs: processes at once.
        on_run: called as each trial ends, in order.

    Returns:
        What failed, a line each; `results` knows which runs these are, and does without them.
    """
    outcomes = sweep(list(cells(recipe, results)), jobs=jobs, on_run=on_run)
    wanted = {results.place(name, seed): study for name, study in recipe.studies.items() for seed in results.seeds}
    made = Parallel(n_jobs=jobs)(delayed(_study)(study, place, results.data_dir) for place, study in wanted.items())
    problems = {results.place(outcome.values["trial"], outcome.values[SEED]): outcome.problem for outcome in outcomes}
    problems |= dict(zip(wanted, made, strict=True))
    failed = {place: problem for place, problem in problems.items() if problem}
    results.failed.update(failed)
    return [f"{place.parent.name}, {place.name.replace('=', ' ')}: {problem}" for place, problem in failed.items()]


def cells(recipe: Recipe, results: Results) -> Iterator[Cell]:
    """The runs of a recipe, seed by seed."""
    for place, seed in enumerate(results.seeds):
        for name, trial in recipe.trials.items():
            if trial.seeds is None or place < trial.seeds:
                data = trial.config.data.model_copy(update={"data_dir": results.data_dir})
                config = trial.config.model_copy(update={"seed": seed, "data": data})
                folder = results.place(name, seed)
                yield Cell({"trial": name, SEED: seed}, config, folder, trial.samples, trial.measures)


def check_data(planned: Sequence[Cell]) -> None:
    """Load the data of all runs, each set once, so that what is not there is known before anything is trained.

    Raises:
        BadInput: some are missing or damaged.
    """
    for options in {repr(cell.config.load_options()): cell.config.load_options() for cell in planned}.values():
        load_data(**options)


def share_done(planned: Sequence[Cell]) -> float:
    """Which share of the epochs has been trained, by the files; each run counts alike."""
    return sum(map(_share, planned)) / max(1, len(planned))


def _share(cell: Cell) -> float:
    if (cell.folder / "scores.json").is_file():  # training has ended, perhaps early
        return 1.0
    file = cell.folder / "metrics.jsonl"
    made = file.read_bytes().count(b"\n") if file.is_file() else 0
    return min(1.0, made / (cell.config.train.epochs or max(made, 1)))


def _study(study: Study, place: Path, data_dir: str | None) -> str | None:
    """Make a study, if it is not there; why it failed, in one line."""
    file = place.with_suffix(".json")
    if not file.is_file():
        try:
            found = dict(study(int(place.name.removeprefix(f"{SEED}=")), data_dir))
        except (BadInput, NonFinite) as error:
            return str(error)
        write_atomically(file, lambda path: path.write_text(json.dumps(found), encoding="utf-8"))
    return None
