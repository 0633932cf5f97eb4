"""Monte Carlo EM: maximum likelihood of a decoder without an encoder (Kingma & Welling 2013, section 5).

    E   z_i ~ p(z|x_i) for every training example, by Hamiltonian Monte Carlo from where its chain was before
    M   θ ← θ + η ⊙ ∇_θ 1/N Σ_i log p_θ(x_i, z_i), several times, η by Adagrad

It makes no approximation to the posterior, which the ELBO does, but each step of the decoder takes a pass over all
examples, and each step of the chains as many passes as it has leapfrogs. Their size is one number, which follows the
share of moves that was accepted.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.errors import BadInput, NonFinite
from aevb.models.batch import Batch
from aevb.models.distributions import StandardNormal
from aevb.models.hamiltonian import move, place
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

ACCEPTED = 0.9
"""Share of moves that the step size aims for."""
TOGETHER = 1000
"""Examples that pass through the decoder at once."""


@dataclass(frozen=True)
class Iteration:
    """What one E step and its M steps gave.

    Attributes:
        number: from 1.
        seconds: that it took.
        accepted: share of the moves of the E step.
        log_joint: mean of log p(x, z) over the training examples in nats, before the last M step.
    """

    number: int
    seconds: float
    accepted: float
    log_joint: float


def monte_carlo_em(
    model: VAE, train: Examples, *, lr: float = 0.02, leapfrogs: int = 10, steps: int = 5, seed: int = 0
) -> Iterator[Iteration]:
    """Train decoder, likelihood and prior of `model` in place, an iteration for each item that is taken, without end.

    Args:
        model: with one layer of z; it is put into evaluation mode, and its encoder is left as it is.
        train: examples to learn from, on the model's device; values that are drawn anew are drawn once.
        lr: learning rate of Adagrad.
        leapfrogs: of each E step.
        steps: of the decoder after each E step.
        seed: of the chains.

    Raises:
        BadInput: the model has several stochastic layers.
        NonFinite: log p(x, z) became infinite or NaN.
    """
    if model.lower_layers:
        raise BadInput("Monte Carlo EM is for one layer of z: give --model.latent one number")
    model.eval()
    with seeded(seed, RNGStream.EPOCH, 0, device=train.values.device), torch.no_grad():
        train = train.materialize()
        z, size = model.prior_distribution().sample((len(train),)), 0.5
    learned = [*model.decoder.parameters(), *model.likelihood.parameters(), *model.prior.parameters()]
    optimizer = torch.optim.Adagrad(learned, lr=lr, fused=True)
    for number in count(1):
        started = time.perf_counter()
        with seeded(seed, RNGStream.EPOCH, number, device=train.values.device):
            z, accepted = _expectation(model, train, z, size, leapfrogs)
        log_joint = [_maximisation(model, train, z, optimizer) for _ in range(steps)][-1]
        if not math.isfinite(log_joint):
            raise NonFinite("log p(x, z)", number, steps)
        size *= math.exp(2 * (accepted - ACCEPTED))
        yield Iteration(number, time.perf_counter() - started, accepted, log_joint)


def _expectation(model: VAE, train: Examples, z: Tensor, size: float, leapfrogs: int) -> tuple[Tensor, float]:
    """One step of the chains ``(N, Z)``, and the share that was accepted."""
    moved, accepted = [], []
    for batch, at in _parts(train, z):

        def log_weight(z: Tensor, batch: Batch = batch) -> Tensor:
            return model.log_joint(batch, z) - StandardNormal(z).log_prob(z)

        start = place(log_weight, at.unsqueeze(0))
        noise = {"speed": torch.randn_like(start.noise), "chance": torch.rand_like(start.log_weight)}
        end, share = move(log_weight, start, beta=1.0, size=at.new_tensor([size]), leapfrogs=leapfrogs, **noise)
        moved.append(end.noise[0])
        accepted.append(share)
    return torch.cat(moved), torch.cat(accepted).mean().item()


def _maximisation(model: VAE, train: Examples, z: Tensor, optimizer: torch.optim.Optimizer) -> float:
    """One step up the mean of log p(x, z) over all examples, and what it was before."""
    optimizer.zero_grad()
    total = z.new_zeros(())
    for batch, at in _parts(train, z):
        mean = model.log_joint(batch, at).sum() / len(z)
        (-mean).backward()
        total += mean.detach()
    optimizer.step()
    return total.item()


def _parts(train: Examples, z: Tensor) -> Iterator[tuple[Batch, Tensor]]:
    """Examples and their points, a part at a time."""
    return zip(train.batches(TOGETHER), z.split(TOGETHER), strict=True)
