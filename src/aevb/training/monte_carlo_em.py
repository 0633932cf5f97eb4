"""Monte Carlo EM: maximum likelihood of a decoder without an encoder (Kingma & Welling 2013, section 5).

    E   z_i ~ p(z|x_i) for every training example, by Hamiltonian Monte Carlo from the last state of its chain
    M   θ ← θ + η ⊙ ∇_θ 1/N Σ_i log p_θ(x_i, z_i), several times, η by Adagrad

Unlike the ELBO it does not approximate the posterior, but each step of the decoder takes a pass over all examples, and
each step of the chains as many passes as it has leapfrog steps. All chains have one step size, which is adapted to the
acceptance rate.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.errors import BadInput, NonFinite, option
from aevb.models.batch import Batch
from aevb.models.distributions import StandardNormal
from aevb.models.hamiltonian import move, state_at
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

ACCEPTED = 0.9
"""Acceptance rate to which the step size is adapted."""
DECODED_TOGETHER = 1000
"""Number of examples that are decoded at once."""


@dataclass(frozen=True)
class Iteration:
    """The results of one E step and its M steps.

    Attributes:
        number: from 1.
        seconds: of computation.
        accepted: acceptance rate of the E step.
        log_joint: mean of log p(x, z) over the training examples in nats, before the last M step.
    """

    number: int
    seconds: float
    accepted: float
    log_joint: float


def monte_carlo_em(
    model: VAE, train: Examples, *, lr: float = 0.02, leapfrogs: int = 10, steps: int = 5, seed: int = 0
) -> Iterator[Iteration]:
    """Train decoder, likelihood and prior of `model` in place; yield without end, after each iteration.

    Args:
        model: with one stochastic layer; it is left in evaluation mode, with its encoder unchanged.
        train: examples to learn from, on the model's device; resampled values are sampled once.
        lr: learning rate of Adagrad.
        leapfrogs: leapfrog steps in each E step.
        steps: M steps after each E step.
        seed: of the chains.

    Raises:
        BadInput: the model has several stochastic layers.
        NonFinite: log p(x, z) became infinite or NaN.
    """
    if model.lower_layers:
        raise BadInput(f"Monte Carlo EM needs one stochastic layer: use one number in {option('model.latent')}")
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
        log_joint = [_maximization(model, train, z, optimizer) for _ in range(steps)][-1]
        if not math.isfinite(log_joint):
            raise NonFinite("log p(x, z)", number, steps)
        size *= math.exp(2 * (accepted - ACCEPTED))
        yield Iteration(number, time.perf_counter() - started, accepted, log_joint)


def _expectation(model: VAE, train: Examples, z: Tensor, size: float, leapfrogs: int) -> tuple[Tensor, float]:
    """Make one step of the chains ``(N, Z)``; return their states and the acceptance rate."""
    moved, accepted = [], []
    for batch, state in _batches(train, z):

        def log_weight(z: Tensor, batch: Batch = batch) -> Tensor:
            return model.log_joint(batch, z) - StandardNormal(z).log_prob(z)

        start = state_at(log_weight, state.unsqueeze(0))
        noise = {"speed": torch.randn_like(start.noise), "chance": torch.rand_like(start.log_weight)}
        end, share = move(log_weight, start, beta=1.0, size=state.new_tensor([size]), leapfrogs=leapfrogs, **noise)
        moved.append(end.noise[0])
        accepted.append(share)
    return torch.cat(moved), torch.cat(accepted).mean().item()


def _maximization(model: VAE, train: Examples, z: Tensor, optimizer: torch.optim.Optimizer) -> float:
    """Make one step up the mean of log p(x, z) over all examples; return its value before the step."""
    optimizer.zero_grad()
    total = z.new_zeros(())
    for batch, state in _batches(train, z):
        mean = model.log_joint(batch, state).sum() / len(z)
        (-mean).backward()
        total += mean.detach()
    optimizer.step()
    return total.item()


def _batches(train: Examples, z: Tensor) -> Iterator[tuple[Batch, Tensor]]:
    """Return batches of examples with the states of their chains."""
    return zip(train.batches(DECODED_TOGETHER), z.split(DECODED_TOGETHER), strict=True)
