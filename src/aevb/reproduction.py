"""A recipe carried out: its trials trained and measured, its studies made, each once, and its claims judged.

Everything is a file below one folder, so that what was interrupted goes on where it stopped.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from joblib import Parallel, delayed

from aevb.recipes.recipe import Recipe, Results, Study
from aevb.runs import write
from aevb.sweep import SEED, Cell, Outcome, sweep


def reproduce(
    recipe: Recipe,
    results: Results,
    *,
    jobs: int = 1,
    on_run: Callable[[Outcome], object] | None = None,
) -> list[str]:
    """Make what is missing of a recipe.

    Args:
        recipe: what to do.
        results: where, and with which seeds.
        jobs: processes at once.
        on_run: called as each trial ends, in order.

    Returns:
        What failed, a line each.
    """
    outcomes = sweep(list(cells(recipe, results)), jobs=jobs, on_run=on_run)
    wanted = [(study, results.place(name, seed)) for name, study in recipe.studies.items() for seed in results.seeds]
    Parallel(n_jobs=jobs)(delayed(_study)(study, place) for study, place in wanted)
    return [
        f"{outcome.values['trial']}, seed {outcome.values[SEED]}: {outcome.problem}"
        for outcome in outcomes
        if outcome.problem
    ]


def cells(recipe: Recipe, results: Results) -> Iterator[Cell]:
    """The runs of a recipe, seed by seed."""
    for place, seed in enumerate(results.seeds):
        for name, trial in recipe.trials.items():
            if trial.seeds is None or place < trial.seeds:
                data = trial.config.data.model_copy(update={"data_dir": results.data_dir})
                config = trial.config.model_copy(update={"seed": seed, "data": data})
                folder = results.place(name, seed)
                yield Cell({"trial": name, SEED: seed}, config, folder, trial.samples, trial.measures)


def share_done(planned: Sequence[Cell]) -> float:
    """Which share of the epochs has been trained, by the files; each run counts alike."""
    return sum(map(_share, planned)) / max(1, len(planned))


def _share(cell: Cell) -> float:
    file = cell.folder / "metrics.jsonl"
    made = file.read_bytes().count(b"\n") if file.is_file() else 0
    return min(1.0, made / (cell.config.train.epochs or max(made, 1)))


def _study(study: Study, place: Path) -> None:
    file = place.with_suffix(".json")
    if not file.is_file():
        found = dict(study(int(place.name.removeprefix(f"{SEED}="))))
        write(file, lambda path: path.write_text(json.dumps(found), encoding="utf-8"))
