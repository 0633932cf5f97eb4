"""log p(x) by annealed importance sampling, and from both sides for x sampled from the model.

With ε the standard noise that q maps to z, and w(ε) = p(x, z) / q(z|x), the intermediate targets

    π_t(ε) ∝ N(ε; 0, I) w(ε)^{β_t},    0 = β_0 < … < β_T = 1

lead from q(z|x) to the true posterior. A chain starts at ε ~ N(0, I), moves by Hamiltonian Monte Carlo steps that leave
π_t invariant, and accumulates (Neal 2001; Wu et al. 2017)

    log w_AIS = Σ_t (β_t - β_{t-1}) log w(ε_{t-1}),    log p(x) ≥ E log 1/S Σ_s w_AIS,s

a lower bound in expectation that is tighter than importance sampling, which is T = 1. Where x was sampled from the
model together with z, this z is an exact sample from the posterior, and chains that run backwards from it give an upper
bound in expectation (Grosse, Ancha & Roy 2016): log p(x) lies between the two.

A separate run finds the step sizes, for each temperature and example, which then stay fixed: chains that adapt along
the way would not leave π_t invariant.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.evaluation.importance_sampling import per_example, underestimate_note
from aevb.evaluation.measures import DEFAULT_SAMPLES, Task
from aevb.evaluation.posterior_samples import Part, effective_sample_size, noise_at, parts
from aevb.evaluation.scores import Score
from aevb.models.hamiltonian import ChainState, move, state_at
from aevb.models.registry import register
from aevb.models.shapes import log_mean_exp
from aevb.models.vae import VAE
from aevb.rng import RNGStream, normal, seeded, uniform

TEMPERATURES = 300
CHAINS = 16
LEAPFROGS = 5
ACCEPTED = 0.65
"""The acceptance rate that step sizes aim for (Neal 2011)."""
ESTIMATOR = f"annealed importance sampling, {TEMPERATURES} temperatures, {CHAINS} chains"


class Annealed(NamedTuple):
    """The estimate of each example, ``(N,)`` in float64.

    Attributes:
        log_px: in nats.
        effective_sample_size: of the chains.
    """

    log_px: Tensor
    effective_sample_size: Tensor


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
    """The chains of a few examples, which move together.

    Args:
        part: the examples.
        temperatures: T.
    """

    def __init__(self, part: Part, temperatures: int) -> None:
        if not all(hasattr(layer.q, "from_noise") for layer in part.layers(part.noise)):
            raise BadInput(
                "annealing needs a posterior that maps noise to z and back: give its distribution the methods"
                " `from_noise` and `to_noise`"
            )
        self.part = part
        # Dense at both ends, where the targets change fastest (Wu et al. 2017).
        curve = torch.linspace(-4, 4, temperatures + 1, dtype=torch.float64).sigmoid()
        self.schedule = ((curve - curve[0]) / (curve[-1] - curve[0])).tolist()

    def tune(self) -> Tensor:
        """Return step sizes for each temperature and example, ``(T, B)``, from a run with other noise."""
        count, _, width = self.part.noise.shape
        start = normal(self.part.streams, count, width).to(self.part.noise)
        position, size, sizes = self.at(start), 0.5 * start.new_ones(start.shape[1]), []
        for beta in self.schedule[1:]:
            position, accepted = self.move(position, beta, size)
            size = size * torch.where(accepted > ACCEPTED, 1.05, 1 / 1.05)
            sizes.append(size)
        return torch.stack(sizes)

    def forward(self, start: Tensor, sizes: Tensor) -> Tensor:
        """Return log w_AIS of chains from q(z|x), ``(S, B)``."""
        position, total = self.at(start), 0.0
        for before, beta, size in zip(self.schedule, self.schedule[1:], sizes, strict=False):
            total = total + (beta - before) * position.log_weight.cpu().double()
            position, _ = self.move(position, beta, size)
        return torch.as_tensor(total)

    def backward(self, start: Tensor, sizes: Tensor) -> Tensor:
        """Return log w_AIS of chains that run from the true posterior to q(z|x), ``(S, B)``."""
        position, total = self.at(start), 0.0
        for before, beta, size in reversed(list(zip(self.schedule, self.schedule[1:], sizes, strict=False))):
            position, _ = self.move(position, beta, size)
            total = total + (beta - before) * position.log_weight.cpu().double()
        return torch.as_tensor(total)

    def at(self, noise: Tensor) -> ChainState:
        """Return log w and its gradient at ε ``(S, B, Z)``."""
        return state_at(self._log_weight, noise)

    def move(self, start: ChainState, beta: float, size: Tensor) -> tuple[ChainState, Tensor]:
        """Return the chains after one step of Hamiltonian Monte Carlo, and the acceptance rate, ``(B,)``."""
        count, _, width = start.noise.shape
        speed = normal(self.part.streams, count, width).to(start.noise)
        chance = uniform(self.part.streams, count).to(start.noise)
        return move(self._log_weight, start, beta=beta, size=size, leapfrogs=LEAPFROGS, speed=speed, chance=chance)

    def _log_weight(self, noise: Tensor) -> Tensor:
        return self.part.trace(noise).log_weight


def annealed(
    model: VAE,
    examples: Examples,
    *,
    temperatures: int = TEMPERATURES,
    chains: int = CHAINS,
    seed: int = 0,
    memory: int = 2**30,
) -> Annealed:
    """Estimate log p(x) of each example by annealed importance sampling.

    Args:
        model: on any device; it is put into evaluation mode.
        examples: N examples.
        temperatures: T.
        chains: S, the number of chains per example.
        seed: the random seed.
        memory: approximate limit, in bytes, of the tensors that are alive at once.
    """
    results = []
    with seeded(seed, RNGStream.EVALUATION, device=model.device):
        for chain in _all_chains(model, examples, temperatures, chains, seed, memory):
            log_w = chain.forward(chain.part.noise, chain.tune())
            results.append(Annealed(log_mean_exp(log_w), effective_sample_size(log_w)))
    return Annealed(*(torch.cat(values) for values in zip(*results, strict=True)))


def sandwich(
    model: VAE,
    count: int,
    *,
    temperatures: int = TEMPERATURES,
    chains: int = CHAINS,
    seed: int = 0,
    memory: int = 2**30,
) -> Sandwich:
    """Estimate log p(x) from both sides, for examples sampled from the model.

    Args:
        model: unconditional, on any device; it is put into evaluation mode.
        count: N, the number of examples to sample.
        temperatures: T.
        chains: S, the number of chains per example and direction.
        seed: seed of the examples and the chains.
        memory: approximate limit, in bytes, of the tensors that are alive at once.
    """
    with seeded(seed, RNGStream.SAMPLES, device=model.device):
        z = model.eval().sample_prior(count)
        x = model.decode(model.decoder_input(z)).sample()
        lower, upper, done = [], [], 0
        for chain in _all_chains(model, Examples(x.cpu()), temperatures, chains, seed, memory):
            part, sizes = chain.part, chain.tune()
            exact = [layer[done : done + len(part.batch)].expand(chains, -1, -1) for layer in z]
            done += len(part.batch)
            lower.append(log_mean_exp(chain.forward(part.noise, sizes)))
            start = noise_at(model, part.features, exact)
            upper.append(-log_mean_exp(-chain.backward(start, sizes)))
    return Sandwich(torch.cat(lower), torch.cat(upper), x.cpu())


def _all_chains(
    model: VAE, examples: Examples, temperatures: int, chains: int, seed: int, memory: int
) -> Iterator[_Chains]:
    """Yield the chains of all examples, part by part; a pass with its gradient keeps twice as much memory."""
    at_once = max(1, chains // 2)
    for part in parts(model, examples, chains, seed=seed, memory=memory // 2, at_once=at_once):
        yield _Chains(part, temperatures)


@register.measure("annealing", titles={"log_px_annealed": "log p(x), annealing"}, needs=("density",), slow=True)
def annealing_scores(task: Task) -> list[Score]:
    """log p(x) by annealed importance sampling."""
    result = annealed(task.model, task.examples, seed=task.effort.seed, memory=task.effort.memory)
    dominated = (result.effective_sample_size < 2).double().mean().item()
    share = f"{100 * dominated:.0f} %"
    note = f"underestimate: one chain outweighs all others for {share} of the examples" if dominated > 0.2 else None
    return [task.mean_score("log_px_annealed", result.log_px, ESTIMATOR, note=note)]


@register.measure(
    "sandwich",
    titles={
        "log_px_lower": "log p(x) from below, annealing",
        "log_px_between": "log p(x), importance sampling",
        "log_px_upper": "log p(x) from above, annealing",
    },
    needs=("density", "unconditional"),
    slow=True,
)
def sandwich_scores(task: Task) -> list[Score]:
    """log p(x) of simulated data, from both sides by annealing."""
    effort, k = task.effort, task.effort.n_importance_samples or DEFAULT_SAMPLES
    bounds = sandwich(task.model, len(task.examples), seed=effort.seed, memory=effort.memory)
    between = per_example(task.model, Examples(bounds.x), k, seed=effort.seed, memory=effort.memory)
    note = underestimate_note(between)
    scores = [
        task.mean_score("log_px_lower", bounds.lower, ESTIMATOR),
        task.mean_score("log_px_between", between.log_px, "importance sampling", k, note),
        task.mean_score("log_px_upper", bounds.upper, f"reverse {ESTIMATOR}"),
    ]
    return [replace(score, split="simulated") for score in scores]
