"""Runs aggregated over their seeds."""

from collections.abc import Mapping, Sequence
from math import nan
from typing import NamedTuple

import numpy as np

from aevb.runs.run_folder import RunFolder

SEED = "seed"
Values = Mapping[str, object]
"""Values of the fields that vary, by dotted names such as model.latent."""


class RunResult(NamedTuple):
    """Result of one run.

    Attributes:
        values: of the fields that vary, with the seed.
        scores: values by (split, name); empty where the run failed.
        problem: why the run failed, in one line; None if it succeeded.
    """

    values: Values
    scores: dict[tuple[str, str], float]
    problem: str | None


class Row(NamedTuple):
    """Scores of one setting, aggregated over its seeds.

    Attributes:
        values: of the fields that vary, without the seed.
        seeds: number of runs that succeeded.
        mean: by (split, name).
        std: sample standard deviation over the seeds, by (split, name); NaN for a single seed.
        problems: of the runs that failed.
    """

    values: Values
    seeds: int
    mean: dict[tuple[str, str], float]
    std: dict[tuple[str, str], float]
    problems: list[str]


def result_of(run: RunFolder, values: Values) -> RunResult:
    """Return the result of a run that succeeded."""
    return RunResult(values, {(score.split, score.name): score.value for score in run.scores}, None)


def aggregate(results: Sequence[RunResult]) -> list[Row]:
    """Return one row for each setting, in order, with mean and standard deviation over its seeds."""
    groups: dict[str, list[RunResult]] = {}
    for result in results:
        groups.setdefault(repr(_setting(result)), []).append(result)
    return [_row(group) for group in groups.values()]


def _setting(result: RunResult) -> dict[str, object]:
    return {field: value for field, value in result.values.items() if field != SEED}


def _row(group: Sequence[RunResult]) -> Row:
    succeeded = [result.scores for result in group if result.problem is None]
    names = set(succeeded[0]).intersection(*succeeded) if succeeded else set()
    values = {name: np.array([scores[name] for scores in succeeded]) for name in names}
    return Row(
        values=_setting(group[0]),
        seeds=len(succeeded),
        mean={name: float(array.mean()) for name, array in values.items()},
        std={name: float(array.std(ddof=1)) if len(succeeded) > 1 else nan for name, array in values.items()},
        problems=[result.problem for result in group if result.problem],
    )
