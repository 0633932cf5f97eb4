"""Samples of a run: of the prior, with given values, or of rows that satisfy constraints."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data import Examples
from aevb.data.condition import all_conditions, parse_condition, parse_row
from aevb.data.tables.constraints import parse_constraint, satisfied
from aevb.data.value_kinds import described
from aevb.errors import BadInput, option, require_at_least
from aevb.evaluation.imputation import impute
from aevb.rng import RNGStream, seeded
from aevb.runs.run_folder import RunFolder

GIVEN_CANDIDATES = 10_000
"""Least K for samples with given values: many samples come from a single posterior."""
MOST_CANDIDATES = 1_000_000
"""Largest K for them."""
DRAWN_AT_ONCE = 10_000
"""The least number of rows that are drawn at once for constraints."""
LEAST_ACCEPTED = 1e-3
"""Drawing stops below this share of rows that satisfy the constraints."""


class Samples(NamedTuple):
    """Samples of the model.

    Attributes:
        x: ``(n_samples, *event)``.
        condition: the condition of each sample, or one for all, ``(1, C)``; None for an unconditional model.
        n_drawn: the number of samples drawn until enough of them satisfied the constraints.
    """

    x: Tensor
    condition: Tensor | None
    n_drawn: int


@dataclass(frozen=True)
class Request:
    """Which samples are wanted; the fields are the arguments of `Run.sample`."""

    condition: Mapping[str, object] = field(default_factory=dict)
    given: Mapping[str, object] = field(default_factory=dict)
    where: Sequence[str] = ()
    noise: bool = False
    seed: int = 0


def sample(run: RunFolder, n_samples: int, request: Request) -> Samples:
    """Return samples of a model.

    Raises:
        BadInput: the condition, a given value or a constraint does not suit the model, or hardly any sample satisfies
            the constraints.
    """
    require_at_least(1, n_samples=n_samples)
    require_at_least(0, seed=request.seed)
    condition = conditions(run, request.condition, n_samples)
    if request.given or request.where:
        name = option("given" if request.given else "where")
        require_table(run, name)
        if condition is not None and len(condition) > 1:
            raise BadInput(f"{name} needs one condition for all samples: pass {option('condition')}")

    def draw(count: int, number: int) -> Tensor:
        if request.given:
            return _sample_given(run, request, count, condition, number)
        streams = [number] * (number > 0)
        with seeded(request.seed, RNGStream.SAMPLES, *streams, device=run.model.device):
            return run.model.sample(count, condition, draw=request.noise or len(run.data.shape) == 1).cpu()

    if not request.where:
        return Samples(draw(n_samples, 0), condition, n_samples)
    x, n_drawn = _accepted(run, n_samples, request.where, draw)
    return Samples(x, condition, n_drawn)


def _accepted(
    run: RunFolder, n_samples: int, where: Sequence[str], draw: Callable[[int, int], Tensor]
) -> tuple[Tensor, int]:
    """Return the first rows that satisfy constraints, and how many were drawn until then."""
    where = [where] if isinstance(where, str) else where
    constraints = [parse_constraint(run.data.columns, text) for text in where]
    found: list[Tensor] = []
    size, n_found, n_drawn = max(n_samples, DRAWN_AT_ONCE), 0, 0
    while n_found < n_samples:
        x = draw(size, len(found))
        accepted = torch.from_numpy(satisfied(constraints, run.data.columns, x.double().numpy())).nonzero()[:, 0]
        missing = n_samples - n_found
        n_drawn += int(accepted[missing - 1]) + 1 if len(accepted) >= missing else size
        found.append(x[accepted[:missing]])
        n_found += len(found[-1])
        if n_found < n_samples and n_found < LEAST_ACCEPTED * n_drawn:
            raise BadInput(
                f"{n_found} of {n_drawn} samples satisfy {' and '.join(map(repr, where))}: expected one in"
                f" {round(1 / LEAST_ACCEPTED)} or more"
            )
    return torch.cat(found), n_drawn


def _sample_given(run: RunFolder, request: Request, count: int, condition: Tensor | None, number: int) -> Tensor:
    """Return rows of a table with given values, ``(count, D)``; different ones for each number."""
    row = parse_row(run.data.columns, request.given).to(run.model.event_dtype)
    candidates = min(max(GIVEN_CANDIDATES, 10 * count), MOST_CANDIDATES)
    examples, seed = Examples(row, condition=condition), request.seed + (number << 32)
    return impute(run.model, examples, count, n_importance_samples=candidates, seed=seed).imputations[:, 0]


def conditions(run: RunFolder, condition: Mapping[str, object], count: int) -> Tensor | None:
    """Return the condition of `count` samples: one for all, or each class in turn; None if unconditional."""
    columns = run.data.condition_columns
    if not (columns or condition):
        return None
    classes = None if condition else all_conditions(columns)
    if classes is None:
        return stated_condition(run, condition)
    return classes.repeat_interleave(ceil(count / len(classes)), 0)[:count]


def stated_condition(run: RunFolder, condition: Mapping[str, object]) -> Tensor:
    """Return a condition as the model receives it, ``(1, C)``."""
    if not run.data.condition_columns:
        raise BadInput(
            f"{run.folder} is not a conditional model: omit {option('condition')}, or train with"
            f" {option('model.condition')}"
        )
    return parse_condition(run.data.condition_columns, condition)


def require_table(run: RunFolder, purpose: str) -> None:
    """Refuse a run whose data are not a table.

    Args:
        run: the run.
        purpose: what needs a table.

    Raises:
        BadInput: they are not.
    """
    if not run.data.columns:
        raise BadInput(f"{purpose} needs a model of a table, and {run.folder} is a model of {described(run.data.kind)}")
