"""Draws of what is missing, given what is there: x_m ~ p(x_m | x_o).

    p(x_m | x_o) = ∫ p(x_m | z) p(z | x_o) dz,    z_k ~ ½ q(z | x_o) + ½ r(z),  w_k = p(x_o, z_k) / (½ q + ½ r)

K candidates z_k are drawn, half of them from the encoder's guess and half from Laplace's approximation r, and M of them
resampled in proportion to their weights, which makes them draws from the posterior p(z | x_o) itself as K grows (Rubin
1987); each is decoded, and x_m drawn. An encoder alone is often too sure: there are as many posteriors as patterns of
gaps. Models of several layers do without r.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aevb.columns import Column, Value, modelled
from aevb.data.examples import Examples
from aevb.data.tables.encode import Table, decode_value
from aevb.evaluation.laplace import candidates, helped
from aevb.evaluation.posterior_samples import Part, effective, parts
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded


class Imputed(NamedTuple):
    """Rows with draws in the place of what was missing, on the CPU.

    Attributes:
        draws: ``(M, N, D)``; values that were there are the same in all draws.
        effective: effective sample size of the K candidates, ``(N,)``.
    """

    draws: Tensor
    effective: Tensor


@torch.no_grad()
def impute(
    model: VAE, examples: Examples, draws: int = 20, *, samples: int = 1000, seed: int = 0, memory: int = 2**30
) -> Imputed:
    """Draw what is missing of each row.

    Args:
        model: of the columns of a table; it is left in evaluation mode.
        examples: N rows, NaN where a value is missing.
        draws: M, of each row.
        samples: K, candidates that they are chosen from.
        seed: of the draws.
        memory: about how many bytes the tensors may take that are alive at once.
    """
    found, counts = [], []
    with seeded(seed, RNGStream.EVALUATION, device=model.device):
        for part in parts(model, examples, samples, seed=seed, memory=memory, together=1):
            z, log_weight = _candidates(part)
            chosen = _resampled(z, log_weight, draws, part)
            x = part.batch.x.expand(draws, *part.batch.x.shape)
            found.append(
                torch.where(x.isnan(), part.model.decode(chosen, part.batch.condition).sample(), x).cpu().float()
            )
            counts.append(effective(log_weight))
    return Imputed(torch.cat(found, 1), torch.cat(counts))


def typical(draws: Tensor, columns: Sequence[Column]) -> Tensor:
    """One value for each entry of draws ``(M, N, D)``: the median of numbers, the most frequent code, ``(N, D)``."""
    numbers = [not column.values for column in modelled(columns)]
    return torch.where(torch.tensor(numbers), draws.nanmedian(0).values, draws.mode(0).values)


def filled(columns: Sequence[Column], x: Tensor, draws: Tensor) -> NDArray[np.float32]:
    """The rows of x ``(N, D)`` with each gap filled by what is typical of its draws ``(M, N, D)``."""
    return torch.where(x.isnan(), typical(draws, columns), x).numpy()


def gaps(columns: Sequence[Column], x: Tensor, draws: Tensor) -> Table:
    """A line for each gap: its row and column, what it was filled with, of numbers the mean, the deviation and the 5 %
    and 95 % quantiles of the draws, of other values the share of the draws that agree, and the draws.

    Args:
        columns: of the table that the model learned from.
        x: rows, NaN where a value is missing, ``(N, D)``.
        draws: of them, ``(M, N, D)``.
    """
    chosen, wanted = typical(draws, columns), modelled(columns)
    lines = [_gap(wanted[j], i, chosen[i, j], draws[:, i, j]) for i, j in x.isnan().nonzero().tolist()]
    named = ["row", "column", "value", "mean", "deviation", "q05", "q95", "share"]
    named += [f"draw_{number + 1}" for number in range(len(draws))]
    return {name: [line[place] for line in lines] for place, name in enumerate(named)}


def _gap(column: Column, row: int, chosen: Tensor, draws: Tensor) -> list[Value | None]:
    values = [decode_value(column, number) for number in (chosen.item(), *draws.tolist())]
    if column.values:
        share = (draws == chosen).double().mean().item()
        return [row, column.name, str(values[0]), None, None, None, None, share, *map(str, values[1:])]
    low, high = draws.double().quantile(torch.tensor([0.05, 0.95], dtype=torch.float64)).tolist()
    spread = draws.double().std().item() if len(draws) > 1 else None
    return [
        row,
        column.name,
        str(values[0]),
        draws.double().mean().item(),
        spread,
        low,
        high,
        None,
        *map(str, values[1:]),
    ]


def _candidates(part: Part) -> tuple[Tensor, Tensor]:
    """z, ``(K, B, Z)``, and the logarithms of its weights, ``(K, B)`` in float64 on the CPU."""
    if helped(part):
        return candidates(part)
    traces = [(trace.z, trace.log_weight.cpu().double()) for trace in part.traces()]
    return torch.cat([z for z, _ in traces]), torch.cat([weight for _, weight in traces])


def _resampled(z: Tensor, log_weight: Tensor, draws: int, part: Part) -> Tensor:
    """M of the candidates of each row, ``(M, B, Z)``, by its own stream."""
    weights = (log_weight - log_weight.logsumexp(0)).exp()
    chosen = [
        torch.multinomial(weight, draws, replacement=True, generator=stream)
        for weight, stream in zip(weights.unbind(1), part.streams, strict=True)
    ]
    index = torch.stack(chosen, 1).to(z.device).unsqueeze(-1)
    return z.gather(0, index.expand(-1, -1, z.shape[-1]))
