"""Multiple imputation of missing values: samples of x_m ~ p(x_m | x_o).

    p(x_m | x_o) = ∫ p(x_m | z) p(z | x_o) dz,    z_k ~ ½ q(z | x_o) + ½ r(z),  w_k = p(x_o, z_k) / (½ q + ½ r)

Of K candidates z_k, half come from the encoder's q and half from the Laplace approximation r. M of them are resampled
in proportion to their weights, which makes them samples from the true posterior p(z | x_o) as K grows (Rubin 1987);
each is decoded, and x_m sampled. An encoder alone is often overconfident: there are as many posteriors as patterns of
missing values. Hierarchical models use q alone.

Legend: N rows, D columns, K importance samples, M imputations.
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
from aevb.evaluation.checks import require_density
from aevb.evaluation.laplace import candidates
from aevb.evaluation.posterior_samples import Part, effective_sample_size, parts
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded


class Imputed(NamedTuple):
    """Rows with sampled values in place of missing ones, on the CPU.

    Attributes:
        imputations: ``(M, N, D)``; observed values are the same in all imputations.
        mean: the mean of E[x | z] over the M resampled z, ``(N, D)``: the conditional mean of missing numbers. Complete
            rows have their own values.
        effective_sample_size: of the K candidates, ``(N,)``; K for complete rows, which have none.
    """

    imputations: Tensor
    mean: Tensor
    effective_sample_size: Tensor


@torch.no_grad()
def impute(
    model: VAE,
    examples: Examples,
    n_imputations: int = 20,
    *,
    n_importance_samples: int = 1000,
    seed: int = 0,
    memory: int = 2**30,
) -> Imputed:
    """Sample the missing values of each row.

    Args:
        model: of the columns of a table; it is put into evaluation mode.
        examples: N rows; NaN where a value is missing.
        n_imputations: M, imputations of each row.
        n_importance_samples: K, candidates from which the imputations are chosen.
        seed: the random seed.
        memory: approximate limit, in bytes, of the tensors that are alive at once.

    Raises:
        BadInput: the model is an autoencoder.
    """
    require_density(model.posterior_has_density, "imputation")
    x = examples.all().x.cpu()
    index = x.isnan().any(1).nonzero().squeeze(1)
    sizes = torch.full((len(x),), float(n_importance_samples))
    if not len(index):
        return Imputed(x.repeat(n_imputations, 1, 1), x, sizes)
    rows, means, found = [], [], []
    with seeded(seed, RNGStream.EVALUATION, device=model.device):
        for part in parts(model, examples[index], n_importance_samples, seed=seed, memory=memory, at_once=1):
            z, log_weight = candidates(part)
            z = _resampled(z, log_weight, n_imputations, part)
            observed, decoded = part.batch.x, part.model.decode(z, part.batch.condition)
            rows.append(torch.where(observed.isnan(), decoded.sample(), observed).cpu())
            means.append(decoded.mean.mean(0).cpu())
            found.append(effective_sample_size(log_weight).float().cpu())
    incomplete, mean = torch.cat(rows, 1), torch.cat(means)
    imputations = x.to(incomplete.dtype).repeat(n_imputations, 1, 1).index_copy(1, index, incomplete)
    return Imputed(
        imputations, x.to(mean.dtype).index_copy(0, index, mean), sizes.index_copy(0, index, torch.cat(found))
    )


def pooled(parts: Sequence[Imputed]) -> Imputed:
    """Return the imputations of several models as those of their mixture with equal weights.

    The models alternate, so that the first imputations are of different ones. The effective sample size is the mean.
    """
    imputations = torch.stack([part.imputations for part in parts], 1).flatten(0, 1)
    means, sizes = (torch.stack(each).mean(0) for each in zip(*(part[1:] for part in parts), strict=True))
    return Imputed(imputations, means, sizes)


def typical(imputations: Tensor, columns: Sequence[Column]) -> Tensor:
    """Return the median of numbers and the most frequent code of other columns, ``(M, N, D)`` to ``(N, D)``."""
    return torch.where(_numeric(columns), _median(imputations, columns), imputations.mode(0).values)


def _median(imputations: Tensor, columns: Sequence[Column]) -> Tensor:
    """Return the median, the mean of the middle two of an even number; whole numbers stay whole."""
    lower, upper = imputations.nanmedian(0).values, -(-imputations).nanmedian(0).values  # PyTorch's is the lower one
    whole = torch.tensor([column.whole or column.kind in ("integer", "count") for column in modelled(columns)])
    middle = lower + 0.5 * (upper - lower)
    return torch.where(whole, middle.round(), middle)


def expected(imputed: Imputed, columns: Sequence[Column]) -> Tensor:
    """Return the conditional mean of numbers and the most frequent code of other columns, ``(N, D)``."""
    return torch.where(_numeric(columns), imputed.mean, imputed.imputations.mode(0).values)


def _numeric(columns: Sequence[Column]) -> Tensor:
    return torch.tensor([not column.values for column in modelled(columns)])


def fill(columns: Sequence[Column], x: Tensor, imputations: Tensor) -> NDArray[np.floating]:
    """Return the rows of x ``(N, D)`` with missing values replaced by the typical one of ``(M, N, D)``."""
    return torch.where(x.isnan(), typical(imputations, columns), x).numpy()


def imputed_cells(columns: Sequence[Column], x: Tensor, imputations: Tensor) -> dict[str, dict[int, Value]]:
    """Return the typical imputation of each missing value of x ``(N, D)``, by column and row."""
    filled, order = typical(imputations, columns).numpy(), modelled(columns)
    cells: dict[str, dict[int, Value]] = {}
    for row, position in x.isnan().nonzero().tolist():
        value = decode_value(order[position], filled[row, position])
        if value is not None:
            cells.setdefault(order[position].name, {})[row] = value
    return cells


def imputation_table(columns: Sequence[Column], x: Tensor, imputations: Tensor) -> Table:
    """Return a table with one line for each missing value.

    A line has the row and column of the value and what it was filled with; for numbers the mean, the standard
    deviation and the 5 % and 95 % quantiles of the imputations; for other values the share of the imputations that
    agree; and the imputations themselves. Numbers of dates are counts of the column's unit from 1970-01-01.

    Args:
        columns: of the table that the model was trained on.
        x: rows, NaN where a value is missing, ``(N, D)``.
        imputations: of these rows, ``(M, N, D)``.
    """
    filled, order, samples = typical(imputations, columns).numpy(), modelled(columns), imputations.numpy()
    lines = [_line(order[j], i, filled[i, j], samples[:, i, j]) for i, j in x.isnan().nonzero().tolist()]
    names = ["row", "column", "value", "mean", "std", "q05", "q95", "share"]
    names += [f"imputation_{number + 1}" for number in range(len(imputations))]
    return {name: [line[position] for line in lines] for position, name in enumerate(names)}


def _line(column: Column, row: int, filled: np.floating, imputations: NDArray[np.floating]) -> list[Value | None]:
    value, *values = (str(column.as_written(decode_value(column, number))) for number in (filled, *imputations))
    if column.values:
        share = float((imputations == filled).mean())
        return [row, column.name, value, None, None, None, None, share, *values]
    numbers = imputations.astype(np.float64)
    low, high = np.quantile(numbers, [0.05, 0.95]).tolist()
    std = numbers.std(ddof=1).item() if len(numbers) > 1 else None
    return [row, column.name, value, numbers.mean().item(), std, low, high, None, *values]


def _resampled(z: Tensor, log_weight: Tensor, count: int, part: Part) -> Tensor:
    """Resample `count` candidates of each row, ``(M, B, Z)``, with the row's own random number stream."""
    weights = (log_weight - log_weight.logsumexp(0)).exp()
    chosen = [
        torch.multinomial(weight, count, replacement=True, generator=stream)
        for weight, stream in zip(weights.unbind(1), part.streams, strict=True)
    ]
    index = torch.stack(chosen, 1).to(z.device).unsqueeze(-1)
    return z.gather(0, index.expand(-1, -1, z.shape[-1]))
