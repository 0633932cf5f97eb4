"""log p(x) without sampling, for a model with one or two latent dimensions.

    log p(x) = log ∫ p(z) p(x|z) dz

by the midpoint rule on cells that are halved where the mass is. Every example starts from the same coarse grid over all
that prior and posteriors reach, so that no mode is overlooked that the encoder does not know of, together with the cell
of its own posterior mean; the cells with a share of the mass that matters are halved in each direction until the
integral stands still. For a smooth integrand the midpoint rule converges faster than any power of the width, once the
cells are as narrow as the posterior (Trefethen & Weideman 2014).
"""

import math
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.evaluation.posterior_samples import CACHE, widest
from aevb.models.batch import Batch
from aevb.models.shapes import size
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

COARSE = {1: 1024, 2: 64}
"""Cells in each direction of the first grid, by the number of dimensions."""
REACH = 8.0
"""Deviations of the prior, and of each posterior, that the first grid covers."""
FAR, FARTHER = 14.0, 40.0
"""Nats below the best cell beyond which a cell is left as it is; farther while cells may be too wide for the mass."""
TOLERANCE = 1e-3
"""Nats by which the last halving may change the result: what is left after it is far less."""
LEVELS = 14


class _Cells(NamedTuple):
    """Cells of one size, each of one example.

    Attributes:
        owner: which example, ``(P,)``.
        z: their middles, ``(P, Z)``.
        width: of each direction, ``(Z,)``.
    """

    owner: Tensor
    z: Tensor
    width: Tensor

    def halved(self) -> "_Cells":
        """Every cell in 2^Z parts."""
        signs = self.z.new_tensor(list(product((-0.25, 0.25), repeat=len(self.width))))
        z = self.z.unsqueeze(1) + signs * self.width
        return _Cells(self.owner.repeat_interleave(len(signs)), z.flatten(0, 1), self.width / 2)

    def only(self, which: Tensor) -> "_Cells":
        return _Cells(self.owner[which], self.z[which], self.width)


@torch.no_grad()
def quadrature(model: VAE, examples: Examples) -> Tensor:
    """log p(x) of each example in nats, ``(N,)`` in float64.

    Raises:
        BadInput: the model has more than two latent dimensions, or several layers, or the integral of an example does
            not stand still.
    """
    model.eval()
    device = model.device
    few = max(16, min(128, 2**15 // size(examples.shape)))
    if model.lower_layers or model.encode(examples.batch(slice(1)).to(device)).mean.shape[1] > 2:
        raise BadInput("quadrature is for one layer of one or two latent dimensions: use importance sampling")
    with seeded(0, RNGStream.EVALUATION, device=device):
        low, high = _box(model, examples.batches(few), device)
        return torch.cat([_integrals(model, batch.x.to(device), low, high) for batch in examples.batches(few)])


def _box(model: VAE, batches: Iterator[Batch], device: torch.device) -> tuple[Tensor, Tensor]:
    """The corners of what prior and posteriors reach, ``(Z,)``."""
    z = model.prior_distribution().sample((10_000,))
    low, high = z.mean(0) - REACH * z.std(0), z.mean(0) + REACH * z.std(0)
    for batch in batches:
        q = model.encode(batch.to(device))
        low = torch.minimum(low, (q.mean - REACH * q.stddev).amin(0))
        high = torch.maximum(high, (q.mean + REACH * q.stddev).amax(0))
    return low.cpu(), high.cpu()


def _integrals(model: VAE, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """log p(x) of ``(B, *event)``, ``(B,)``; the cells are kept on the CPU, in float64."""
    means = model.encode(x).mean.cpu()
    cells, mass = _first_grid(model, x, low, high)
    left = torch.full((len(x),), -math.inf, dtype=torch.float64)
    result, pending = _totals(cells.owner, mass, len(x)), torch.ones(len(x), dtype=torch.bool)
    for level in range(LEVELS):
        best = torch.full_like(left, -math.inf).scatter_reduce(0, cells.owner, mass, "amax")
        at_mean = ((cells.z - means[cells.owner]).abs() <= cells.width / 2).all(1)
        near = (mass > best[cells.owner] - (FARTHER if level < 3 else FAR)) | at_mean
        left = torch.logaddexp(left, _totals(cells.owner[~near], mass[~near], len(x)))
        cells = cells.only(near & pending[cells.owner]).halved()
        mass = _log_mass(model, x, cells)
        total = torch.logaddexp(left, _totals(cells.owner, mass, len(x)))
        settled = pending & ((total - result).abs() < TOLERANCE)
        result = torch.where(pending, total, result)
        pending &= ~settled
        if not pending.any():
            return result
        live = pending[cells.owner]
        cells, mass = cells.only(live), mass[live]
    raise BadInput(
        "the integral over z does not settle: the posterior is too narrow for quadrature, use importance sampling"
    )


def _first_grid(model: VAE, x: Tensor, low: Tensor, high: Tensor) -> tuple[_Cells, Tensor]:
    """The coarse grid for every example, and the logarithm of each cell's mass."""
    count = COARSE[len(low)]
    width = (high - low) / count
    ticks = torch.arange(count, dtype=low.dtype) + 0.5
    z = low + width * torch.cartesian_prod(*(ticks,) * len(low)).view(-1, len(low))
    prior, mass = model.prior_distribution(), []
    for part in z.to(x).split(max(1, CACHE // (2 * x.numel()))):
        joint = model.decode(part.unsqueeze(1)).log_prob(x) + prior.log_prob(part).unsqueeze(1)
        mass.append(joint.cpu().double())
    owner = torch.arange(len(x)).expand(len(z), -1)
    cells = _Cells(owner.flatten(), z.repeat_interleave(len(x), 0), width)
    return cells, torch.cat(mass).flatten() + width.double().log().sum()


def _log_mass(model: VAE, x: Tensor, cells: _Cells) -> Tensor:
    """log p(z) p(x|z) at the middle of each cell, plus the logarithm of its volume, ``(P,)`` in float64."""
    rows = max(1, CACHE // (x.element_size() * widest(model, Batch(x[:1]))))
    prior, parts = model.prior_distribution(), []
    for owner, z in zip(cells.owner.to(x.device).split(rows), cells.z.to(x).split(rows), strict=True):
        parts.append((model.decode(z).log_prob(x[owner]) + prior.log_prob(z)).cpu().double())
    return torch.cat(parts) + cells.width.double().log().sum()


def _totals(owner: Tensor, mass: Tensor, count: int) -> Tensor:
    """log Σ of the cells of each example, ``(count,)``."""
    empty = mass.new_full((count,), -math.inf)
    best = empty.scatter_reduce(0, owner, mass, "amax").clamp_min(-1e300)
    return best + torch.zeros_like(empty).scatter_add(0, owner, (mass - best[owner]).exp()).log()
