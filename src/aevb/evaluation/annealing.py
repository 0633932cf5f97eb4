"""log p(x) by annealed importance sampling, and from both sides where x is the model's own.

With ε the standard noise of which q makes z, and w(ε) = p(x, z) / q(z|x), the intermediate targets

    π_t(ε) ∝ N(ε; 0, I) w(ε)^{β_t},    0 = β_0 < … < β_T = 1

lead from q(z|x) to the true posterior. A chain starts at ε ~ N(0, I), moves by Hamiltonian Monte Carlo that leaves π_t
as it is, and gathers (Neal 2001; Wu et al. 2017)

    log w_AIS = Σ_t (β_t - β_{t-1}) log w(ε_{t-1}),    log p(x) ≥ E log 1/S Σ_s w_AIS,s

a lower bound in expectation that is tighter than importance sampling, which is T = 1. Where x was sampled from the
model together with its z, that z is an exact draw from the posterior, and chains that run backwards from it give an
upper bound in expectation (Grosse, Ancha & Roy 2016): the two hold log p(x) between them.

The step sizes are found by a run of their own, for each temperature and example, and then stay as they are: chains that
adapt on the way would not leave π_t as it is.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.evaluation.posterior_samples import Part, effective, noise_at, parts
from aevb.models.hamiltonian import Place, move, place
from aevb.models.shapes import log_mean_exp
from aevb.models.vae import VAE
from aevb.rng import RNGStream, normal, seeded, uniform

TEMPERATURES = 300
CHAINS = 16
LEAPFROGS = 5
ACCEPTED = 0.65
"""Share of moves that step sizes aim for (Neal 2011)."""


class Annealed(NamedTuple):
    """Of each example, ``(N,)`` in float64.

    Attributes:
        log_px: nats.
        effective: effective sample size of the chains.
    """

    log_px: Tensor
    effective: Tensor


class Sandwich(NamedTuple):
    """log p(x) of examples that were sampled from the model, each ``(N,)`` in nats.

    Attributes:
        lower: by annealing from q(z|x).
        upper: by annealing back from the true posterior.
        x: the examples, ``(N, *event)``.
    """

    lower: Tensor
    upper: Tensor
    x: Tensor


class _Chains:
    """Chains of some examples, all at once.

    Args:
        part: the examples, and the model with its parameters at rest.
        temperatures: T.
    """

    def __init__(self, part: Part, temperatures: int) -> None:
        if not all(hasattr(layer.q, "from_noise") for layer in part.layers(part.noise)):
            raise BadInput(
                "annealing needs a posterior that makes z of noise and back: give its class `at` and `noise`"
            )
        self.part = part
        # Close together at both ends, where the targets change fastest (Wu et al. 2017).
        curve = torch.linspace(-4, 4, temperatures + 1, dtype=torch.float64).sigmoid()
        self.schedule = ((curve - curve[0]) / (curve[-1] - curve[0])).tolist()

    def tune(self) -> Tensor:
        """The step sizes of a run from other noise than the part's: for each temperature and example, ``(T, B)``."""
        count, _, width = self.part.noise.shape
        start = normal(self.part.streams, count, width).to(self.part.noise)
        here, size, sizes = self.at(start), 0.5 * start.new_ones(start.shape[1]), []
        for beta in self.schedule[1:]:
            here, accepted = self.move(here, beta, size)
            size = size * torch.where(accepted > ACCEPTED, 1.05, 1 / 1.05)
            sizes.append(size)
        return torch.stack(sizes)

    def forward(self, start: Tensor, sizes: Tensor) -> Tensor:
        """log w_AIS of chains from q(z|x), ``(S, B)``."""
        here, total = self.at(start), 0.0
        for before, beta, size in zip(self.schedule, self.schedule[1:], sizes, strict=False):
            total = total + (beta - before) * here.log_weight.cpu().double()
            here, _ = self.move(here, beta, size)
        return torch.as_tensor(total)

    def backward(self, start: Tensor, sizes: Tensor) -> Tensor:
        """The same of chains that run from the true posterior to q(z|x), ``(S, B)``."""
        here, total = self.at(start), 0.0
        for before, beta, size in reversed(list(zip(self.schedule, self.schedule[1:], sizes, strict=False))):
            here, _ = self.move(here, beta, size)
            total = total + (beta - before) * here.log_weight.cpu().double()
        return torch.as_tensor(total)

    def at(self, noise: Tensor) -> Place:
        """log w and its gradient at ``(S, B, Z)``."""
        return place(self._log_weight, noise)

    def move(self, start: Place, beta: float, size: Tensor) -> tuple[Place, Tensor]:
        """One step of Hamiltonian Monte Carlo, and the share that was accepted, ``(B,)``."""
        count, _, width = start.noise.shape
        speed = normal(self.part.streams, count, width).to(start.noise)
        chance = uniform(self.part.streams, count).to(start.noise)
        return move(self._log_weight, start, beta=beta, size=size, leapfrogs=LEAPFROGS, speed=speed, chance=chance)

    def _log_weight(self, noise: Tensor) -> Tensor:
        return self.part.at(noise).log_weight


def annealed(
    model: VAE,
    examples: Examples,
    *,
    temperatures: int = TEMPERATURES,
    chains: int = CHAINS,
    seed: int = 0,
    memory: int = 2**30,
) -> Annealed:
    """log p(x) of each example by annealed importance sampling.

    Args:
        model: on any device; it is left in evaluation mode.
        examples: N of them.
        temperatures: T.
        chains: S for each example.
        seed: of the chains.
        memory: about how many bytes the tensors may take that are alive at once.
    """
    found = []
    with seeded(seed, RNGStream.EVALUATION, device=model.device):
        for chain in _all_chains(model, examples, temperatures, chains, seed, memory):
            log_w = chain.forward(chain.part.noise, chain.tune())
            found.append(Annealed(log_mean_exp(log_w), effective(log_w)))
    return Annealed(*(torch.cat(values) for values in zip(*found, strict=True)))


def sandwich(
    model: VAE,
    count: int,
    *,
    temperatures: int = TEMPERATURES,
    chains: int = CHAINS,
    seed: int = 0,
    memory: int = 2**30,
) -> Sandwich:
    """log p(x) from both sides, of examples sampled from the model.

    Args:
        model: on any device; it is left in evaluation mode.
        count: N, how many examples to sample.
        temperatures: T.
        chains: S for each example, in each direction.
        seed: of the examples and the chains.
        memory: about how many bytes the tensors may take that are alive at once.
    """
    with seeded(seed, RNGStream.SAMPLES, device=model.device):
        z = model.eval().sample_prior(count)
        x = model.decode(z[-1]).sample()
        lower, upper, done = [], [], 0
        for chain in _all_chains(model, Examples(x.cpu()), temperatures, chains, seed, memory):
            part, steps = chain.part, chain.tune()
            here = [layer[done : done + len(part.batch)].expand(chains, -1, -1) for layer in z]
            done += len(part.batch)
            lower.append(log_mean_exp(chain.forward(part.noise, steps)))
            exact = noise_at(model, part.features, here)
            upper.append(-log_mean_exp(-chain.backward(exact, steps)))
    return Sandwich(torch.cat(lower), torch.cat(upper), x.cpu())


def _all_chains(
    model: VAE, examples: Examples, temperatures: int, chains: int, seed: int, memory: int
) -> Iterator[_Chains]:
    """The chains of all examples, part by part; a pass with its gradient keeps twice as much."""
    together = max(1, chains // 2)
    for part in parts(model, examples, chains, seed=seed, memory=memory // 2, together=together):
        yield _Chains(part, temperatures)
