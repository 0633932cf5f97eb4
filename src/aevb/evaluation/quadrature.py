"""log p(x) without sampling, for a model with one or two latent dimensions.

    log p(x) = log ∫ p(z) p(x|z) dz

by the midpoint rule on cells that are halved where the mass is. Every example starts from the same coarse grid, which
covers prior and posteriors so that no mode is missed that the encoder does not find, together with the cell of its own
posterior mean. Cells with a relevant share of the mass are halved in each direction until two halvings in a row hardly
change the integral. For a smooth integrand the midpoint rule converges faster than any power of the cell width, once
the cells are as narrow as the posterior (Trefethen & Weideman 2014), and where the integrand has kinks its error falls
by four with each halving. All examples share one grid, so that a cell is decoded once for all of them.
"""

import math
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.evaluation.cost import affordable
from aevb.evaluation.measures import Task
from aevb.evaluation.posterior_samples import widest
from aevb.evaluation.progress import report
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
NEAR, NEAR_PER_NAT, NEAR_AT_FIRST = 9.0, 100.0, 40.0
"""Nats below the best cell up to which a cell is halved: `NEAR`, plus `NEAR_PER_NAT` for each nat by which the last
halvings changed the integral, but at most `NEAR_AT_FIRST`. The first limit is the largest, because the best coarse cell
may be far from the mode."""
RESOLVED = 4.0
"""Effective number of coarse cells, (Σ m)² / Σ m² for masses m, from which the best one cannot be far from the mode."""
MEMORY = 0.1
"""Share of the change by one halving that counts in the next, which may change little by chance."""
TOLERANCE = 3e-3
"""Nats below which a halving hardly changes an integral. Where each change is a quarter of the previous one, the error
that remains is below a third of the last change."""
QUIET = 2
"""Halvings in a row that must hardly change an integral."""
LEVELS = 14
MANY, QUICK_CELLS = 10_000, 40_000
"""Number of examples whose integrals take a minute or two, with so many cells each and few elements."""
CACHE = 2**20
"""Bytes of the largest tensor in a pass. Passes are bound by memory, and this fits the own cache of a core."""


class _Cells(NamedTuple):
    """Cells of one size on a grid; each belongs to one example.

    Attributes:
        owner: index of the example, ``(P,)``.
        position: on the grid, ``(P, Z)``.
        low: the corner of the grid, ``(Z,)``.
        width: in each direction, ``(Z,)``.
    """

    owner: Tensor
    position: Tensor
    low: Tensor
    width: Tensor

    def centers(self, position: Tensor) -> Tensor:
        """Return the centers of the cells at positions ``(..., Z)``."""
        return self.low + self.width * (position + 0.5)

    def halved(self) -> "_Cells":
        """Split every cell into 2^Z cells."""
        corners = torch.tensor(list(product((0, 1), repeat=len(self.width))))
        index = 2 * self.position.unsqueeze(1) + corners
        return _Cells(self.owner.repeat_interleave(len(corners)), index.flatten(0, 1), self.low, self.width / 2)

    def select(self, chosen: Tensor) -> "_Cells":
        """Return some of the cells."""
        return _Cells(self.owner[chosen], self.position[chosen], self.low, self.width)


@torch.no_grad()
def quadrature(model: VAE, examples: Examples, *, most_cells: float = math.inf) -> Tensor:
    """Return log p(x) of each example in nats, ``(N,)`` in float64.

    Args:
        model: on any device; it is put into evaluation mode.
        examples: N examples.
        most_cells: the largest number of cells of an example, on average over a batch.

    Raises:
        BadInput: the model has more than two latent dimensions or several layers, or the integral of an example does
            not converge with so many cells.
    """
    model.eval()
    device = model.device
    batch_size = max(16, min(512, 2**18 // size(examples.shape)))
    if not _has_plane(model, examples):
        raise BadInput("quadrature is for one layer of one or two latent dimensions: use importance sampling")
    with seeded(0, RNGStream.EVALUATION, device=device):
        low, high = _box(model, examples.batches(batch_size), device)
        integrals: list[Tensor] = []
        for done, batch in enumerate(examples.batches(batch_size)):
            report(done * batch_size, len(examples))
            integrals.append(_integrals(model, batch.to(device), low, high, most_cells))
        return torch.cat(integrals)


def quick_quadrature(model: VAE, examples: Examples) -> Tensor | None:
    """Return log p(x) of each example in nats, ``(N,)``, if it takes a minute or two at most; otherwise None.

    It is None for models without quadrature, conditional ones, many examples, expensive decoders, and integrals that
    need many cells.
    """
    count = len(examples) * (1 + size(examples.shape) / 50)
    if model.condition is not None or count > MANY or not _has_plane(model, examples):
        return None
    if len(examples) > 3 * affordable(model, examples):
        return None
    with suppress(BadInput):  # a posterior may be too narrow or too jagged
        return quadrature(model, examples, most_cells=QUICK_CELLS * MANY / count)
    return None


@torch.no_grad()
def _has_plane(model: VAE, examples: Examples) -> bool:
    """Return whether a model has one layer of one or two latent dimensions."""
    return not model.lower_layers and model.encode(examples.batch(slice(1)).to(model.device)).mean.shape[1] <= 2


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


def _integrals(model: VAE, batch: Batch, low: Tensor, high: Tensor, most_cells: float) -> Tensor:
    """Return log p(x) of a batch, ``(B,)``; the cells are kept on the CPU, in float64."""
    means, count = model.encode(batch).mean.cpu(), len(batch)
    cells = _first_grid(count, low, high)
    mass = _log_mass(model, batch, cells)
    finished = torch.full((count,), -math.inf, dtype=torch.float64)
    result, quiet = _totals(cells.owner, mass, count), torch.zeros(count, dtype=torch.long)
    effective = (2 * result - _totals(cells.owner, 2 * mass, count)).exp()
    recent, evaluated = torch.where(effective > RESOLVED, MEMORY, 1.0).to(result), len(mass)
    for _ in range(LEVELS):
        best = torch.full_like(finished, -math.inf).scatter_reduce(0, cells.owner, mass, "amax")
        reach = (NEAR + NEAR_PER_NAT * recent).clamp_max(NEAR_AT_FIRST)
        at_mean = ((cells.centers(cells.position) - means[cells.owner]).abs() <= cells.width / 2).all(1)
        near = (mass > (best - reach)[cells.owner]) | at_mean
        finished = torch.logaddexp(finished, _totals(cells.owner[~near], mass[~near], count))
        cells = cells.select(near).halved()
        evaluated += len(cells.owner)
        if evaluated > most_cells * count:
            break
        mass = _log_mass(model, batch, cells)
        total = torch.logaddexp(finished, _totals(cells.owner, mass, count))
        pending, change = quiet < QUIET, (total - result).abs()
        quiet = torch.where(pending, torch.where(change < TOLERANCE, quiet + 1, 0), quiet)
        recent = torch.maximum(change, MEMORY * recent)
        result = torch.where(pending, total, result)
        if (quiet == QUIET).all():
            return result
        active = (quiet < QUIET)[cells.owner]
        cells, mass = cells.select(active), mass[active]
    raise BadInput(
        "the integral over z does not converge: the posterior is too narrow or too jagged for quadrature, use"
        " importance sampling"
    )


def _first_grid(count: int, low: Tensor, high: Tensor) -> _Cells:
    """Return the coarse grid for each of `count` examples."""
    ticks = (torch.arange(COARSE[len(low)]),) * len(low)
    index = torch.cartesian_prod(*ticks).view(-1, len(low))
    owner = torch.arange(count).repeat(len(index))
    return _Cells(owner, index.repeat_interleave(count, 0), low, (high - low) / COARSE[len(low)])


def _log_mass(model: VAE, batch: Batch, cells: _Cells) -> Tensor:
    """Return log p(z) p(x|z) at the center of each cell plus the logarithm of its volume, ``(P,)`` in float64."""
    mass = torch.empty(len(cells.owner), dtype=torch.float64)
    prior, one = model.prior_distribution(), batch[slice(1)]
    decoded, scored = (CACHE // (one.x.element_size() * width) + 1 for width in (widest(model, one), one.x.numel()))
    for pairs, place, first in _by_place(cells, shared=batch.condition is None, at_once=decoded):
        z = cells.centers(cells.position[first]).to(model.device, model.dtype)
        condition = None if batch.condition is None else batch.condition[cells.owner[first]]
        output, log_prior = model.decoder_output(z, condition), prior.log_prob(z)
        for some, at in zip(pairs.split(scored), place.split(scored), strict=True):
            log_likelihood = model.likelihood(output[at]).log_prob(batch.x[cells.owner[some]])
            mass[some] = (log_likelihood + log_prior[at]).cpu().double()
    return mass + cells.width.double().log().sum()


def _by_place(cells: _Cells, *, shared: bool, at_once: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield cells that are at a few places on the grid, so that each place is decoded once.

    Args:
        cells: P cells.
        shared: whether examples share places; not if the decoder depends on the example.
        at_once: number of places.

    Yields:
        The cells, the number of the place of each, and the first cell of each place.
    """
    first, *rest = cells.position.unbind(1)
    key = (first << 32) + rest[0] if rest else first
    key, order = (key if shared else torch.arange(len(key))).sort()
    _, place, counts = key.unique_consecutive(return_inverse=True, return_counts=True)
    ends = counts.cumsum(0)
    for some in torch.arange(len(counts)).split(at_once):
        pairs = slice(ends[some[0]] - counts[some[0]], ends[some[-1]])
        yield order[pairs], place[pairs] - some[0], order[(ends - counts)[some]]


def _totals(owner: Tensor, mass: Tensor, count: int) -> Tensor:
    """Return the logarithm of the total mass of the cells of each example, ``(count,)``."""
    empty = mass.new_full((count,), -math.inf)
    best = empty.scatter_reduce(0, owner, mass, "amax").clamp_min(-1e300)
    return best + torch.zeros_like(empty).scatter_add(0, owner, (mass - best[owner]).exp()).log()
