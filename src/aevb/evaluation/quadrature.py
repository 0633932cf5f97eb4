"""log p(x) without sampling, for a model with one or two latent dimensions.

    log p(x) = log ∫ p(z) p(x|z) dz

by the midpoint rule on cells that are halved where the mass is. Every example starts from the same coarse grid, which
covers prior and posteriors so that no mode is missed that the encoder does not find, together with the cell of its own
posterior mean. Cells with a relevant share of the mass are halved in each direction until the integral converges. For a
smooth integrand the midpoint rule converges faster than any power of the cell width, once the cells are as narrow as
the posterior (Trefethen & Weideman 2014).
"""

import math
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.evaluation.measures import Task
from aevb.evaluation.posterior_samples import CACHE, widest
from aevb.evaluation.scores import Score
from aevb.models.batch import Batch
from aevb.models.registry import register
from aevb.models.shapes import size
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

COARSE = {1: 1024, 2: 64}
"""Cells in each direction of the first grid, by the number of latent dimensions."""
REACH = 8.0
"""Standard deviations of the prior and of each posterior that the first grid covers."""
FAR, FARTHER = 14.0, 40.0
"""Nats below the best cell at which a cell is no longer halved; the larger one applies to the first, coarse levels."""
TOLERANCE = 1e-3
"""Nats: the integral has converged if the last halving changed it by less. The remaining error is far smaller."""
LEVELS = 14


class _Cells(NamedTuple):
    """Cells of one size; each belongs to one example.

    Attributes:
        owner: index of the example, ``(P,)``.
        z: centers, ``(P, Z)``.
        width: in each direction, ``(Z,)``.
    """

    owner: Tensor
    z: Tensor
    width: Tensor

    def halved(self) -> "_Cells":
        """Split every cell into 2^Z cells."""
        signs = self.z.new_tensor(list(product((-0.25, 0.25), repeat=len(self.width))))
        z = self.z.unsqueeze(1) + signs * self.width
        return _Cells(self.owner.repeat_interleave(len(signs)), z.flatten(0, 1), self.width / 2)

    def select(self, index: Tensor) -> "_Cells":
        """Return the cells at `index`."""
        return _Cells(self.owner[index], self.z[index], self.width)


@torch.no_grad()
def quadrature(model: VAE, examples: Examples) -> Tensor:
    """Return log p(x) of each example in nats, ``(N,)`` in float64.

    Raises:
        BadInput: the model has more than two latent dimensions or several layers, or the integral of an example does
            not converge.
    """
    model.eval()
    device = model.device
    batch_size = max(16, min(128, 2**15 // size(examples.shape)))
    if model.lower_layers or model.encode(examples.batch(slice(1)).to(device)).mean.shape[1] > 2:
        raise BadInput("quadrature is for one layer of one or two latent dimensions: use importance sampling")
    with seeded(0, RNGStream.EVALUATION, device=device):
        low, high = _box(model, examples.batches(batch_size), device)
        return torch.cat([_integrals(model, batch.to(device), low, high) for batch in examples.batches(batch_size)])


@register.measure(
    "quadrature", titles={"log_px_quadrature": "log p(x), quadrature"}, needs=("density", "unconditional")
)
def quadrature_scores(task: Task) -> list[Score]:
    """log p(x) by quadrature, for one or two latent dimensions."""
    return [task.mean_score("log_px_quadrature", quadrature(task.model, task.examples), "quadrature over z")]


def _box(model: VAE, batches: Iterator[Batch], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the corners, ``(Z,)``, of a box that covers the prior and all posteriors."""
    z = model.prior_distribution().sample((10_000,))
    low, high = z.mean(0) - REACH * z.std(0), z.mean(0) + REACH * z.std(0)
    for batch in batches:
        q = model.encode(batch.to(device))
        low = torch.minimum(low, (q.mean - REACH * q.stddev).amin(0))
        high = torch.maximum(high, (q.mean + REACH * q.stddev).amax(0))
    return low.cpu(), high.cpu()


def _integrals(model: VAE, batch: Batch, low: Tensor, high: Tensor) -> Tensor:
    """Return log p(x) of a batch, ``(B,)``; the cells are kept on the CPU, in float64."""
    means, count = model.encode(batch).mean.cpu(), len(batch)
    cells, mass = _first_grid(model, batch, low, high)
    finished = torch.full((count,), -math.inf, dtype=torch.float64)
    result, pending = _totals(cells.owner, mass, count), torch.ones(count, dtype=torch.bool)
    for level in range(LEVELS):
        best = torch.full_like(finished, -math.inf).scatter_reduce(0, cells.owner, mass, "amax")
        at_mean = ((cells.z - means[cells.owner]).abs() <= cells.width / 2).all(1)
        near = (mass > best[cells.owner] - (FARTHER if level < 3 else FAR)) | at_mean
        finished = torch.logaddexp(finished, _totals(cells.owner[~near], mass[~near], count))
        cells = cells.select(near & pending[cells.owner]).halved()
        mass = _log_mass(model, batch, cells)
        total = torch.logaddexp(finished, _totals(cells.owner, mass, count))
        converged = pending & ((total - result).abs() < TOLERANCE)
        result = torch.where(pending, total, result)
        pending &= ~converged
        if not pending.any():
            return result
        active = pending[cells.owner]
        cells, mass = cells.select(active), mass[active]
    raise BadInput(
        "the integral over z does not converge: the posterior is too narrow for quadrature, use importance sampling"
    )


def _first_grid(model: VAE, batch: Batch, low: Tensor, high: Tensor) -> tuple[_Cells, Tensor]:
    """Return the coarse grid for every example, and the logarithm of the mass of each cell."""
    count = COARSE[len(low)]
    width = (high - low) / count
    ticks = torch.arange(count, dtype=low.dtype) + 0.5
    z = low + width * torch.cartesian_prod(*(ticks,) * len(low)).view(-1, len(low))
    chunks = z.to(model.device, model.dtype).split(max(1, CACHE // (2 * batch.x.numel())))
    mass = [model.log_joint(batch, points.unsqueeze(1)).cpu().double() for points in chunks]
    owner = torch.arange(len(batch)).expand(len(z), -1)
    cells = _Cells(owner.flatten(), z.repeat_interleave(len(batch), 0), width)
    return cells, torch.cat(mass).flatten() + width.double().log().sum()


def _log_mass(model: VAE, batch: Batch, cells: _Cells) -> Tensor:
    """Return log p(z) p(x|z) at the center of each cell plus the logarithm of its volume, ``(P,)`` in float64."""
    x = batch.x
    rows = max(1, CACHE // (x.element_size() * widest(model, batch[slice(1)])))
    chunks = zip(cells.owner.to(x.device).split(rows), cells.z.to(x.device, model.dtype).split(rows), strict=True)
    mass = [model.log_joint(batch[owner], z).cpu().double() for owner, z in chunks]
    return torch.cat(mass) + cells.width.double().log().sum()


def _totals(owner: Tensor, mass: Tensor, count: int) -> Tensor:
    """Return the logarithm of the total mass of the cells of each example, ``(count,)``."""
    empty = mass.new_full((count,), -math.inf)
    best = empty.scatter_reduce(0, owner, mass, "amax").clamp_min(-1e300)
    return best + torch.zeros_like(empty).scatter_add(0, owner, (mass - best[owner]).exp()).log()
