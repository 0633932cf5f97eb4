"""Explanations of anomalies: how surprising each value of a row is, given the other values.

    s_j(x)  =  log p(x_j | x_-j)  =  log p(x) - log p(x_-j)
    surprise_j(x)  =  median of s_j - s_j(x)        the median is over rows sampled from the model

x_-j is the row without value j; both densities are estimated by importance sampling, with half of the samples from the
Laplace approximation. The difference does not depend on the units of column j. It is near zero for a usual value, and
in nats: with a surprise of 7, the value is e⁷ = 1,100 times less probable than usual.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from aevb.columns import Column, modelled
from aevb.data.examples import Examples, evenly_spaced
from aevb.evaluation.checks import require_density
from aevb.evaluation.laplace import candidates
from aevb.evaluation.posterior_samples import parts
from aevb.models.shapes import log_mean_exp
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

SAMPLED = 100
"""Rows that are sampled from the model."""
SAMPLES = 200
"""K, importance samples of a row."""
NAMED, LEAST = 3, 3.0
"""The largest number of columns in a text, and the smallest surprise of one in nats."""


@torch.no_grad()
def surprise(model: VAE, examples: Examples, *, seed: int = 0, memory: int = 2**30) -> Tensor:
    """Return the surprise of each value in nats, ``(N, D)``; NaN where a value is missing.

    Args:
        model: of the columns of a table; it is put into evaluation mode.
        examples: N rows; NaN where a value is missing.
        seed: the random seed.
        memory: approximate limit, in bytes, of the tensors that are alive at once.

    Raises:
        BadInput: the model is an autoencoder.
    """
    require_density(model.posterior_has_density, "an explanation")
    usual = _conditional(model, _sampled(model, examples, seed), seed, memory).median(0).values
    return usual - _conditional(model, examples, seed, memory)


def texts(surprises: Tensor, columns: Sequence[Column]) -> list[str]:
    """Return the most surprising columns of each row, as in "income (+8.1), age (+3.4)"; "" without any.

    Args:
        surprises: as `surprise` returns them, ``(N, D)``.
        columns: of the table.
    """
    names = [column.name for column in modelled(columns)]

    def text(row: Tensor) -> str:
        first = row.nan_to_num(-torch.inf, torch.inf).topk(min(NAMED, len(row)))
        pairs = zip(first.values.tolist(), first.indices.tolist(), strict=True)
        return ", ".join(f"{names[index]} ({value:+.1f})" for value, index in pairs if value >= LEAST)

    return [text(row) for row in surprises]


def _sampled(model: VAE, examples: Examples, seed: int) -> Examples:
    """Return rows sampled from the model, under conditions of the examples."""
    condition = examples.condition
    if condition is not None:
        condition = condition[evenly_spaced(len(condition), SAMPLED)]
    with seeded(seed, RNGStream.SAMPLES, device=model.device):
        return Examples(model.eval().sample(SAMPLED, condition, draw=True).cpu(), condition=condition)


def _conditional(model: VAE, examples: Examples, seed: int, memory: int) -> Tensor:
    """Return log p(x_j | x_-j) of each value, ``(N, D)``; NaN where it is missing."""

    def log_px(values: Tensor) -> Tensor:
        rows = replace(examples, values=values)
        with seeded(seed, RNGStream.EVALUATION, device=model.device):
            all_parts = parts(model, rows, SAMPLES, seed=seed, memory=memory, at_once=1, equal=True)
            return torch.cat([log_mean_exp(candidates(part)[1]) for part in all_parts])

    x = examples.values
    without = [log_px(x.index_fill(1, torch.tensor([j]), torch.nan)) for j in range(x.shape[1])]
    return (log_px(x).unsqueeze(1) - torch.stack(without, 1)).masked_fill(x.isnan(), torch.nan)
