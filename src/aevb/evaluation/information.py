"""How much z says about x, and how far the aggregate posterior is from the prior.

With the aggregate posterior q(z) = 1/N Σ_n q(z|x_n) of N examples (Hoffman & Johnson 2016),

    rate = I(x; z) + KL(q(z) || p(z)),    I(x; z) = E_x E_q(z|x) [log q(z|x) - log q(z)] ≤ log N

I(x; z) is the mutual information under these N examples, each equally likely, so it cannot exceed log N. Close to this
limit, q(z) consists of N separate peaks, and the second term says little.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.evaluation.cost import QUICK, operations
from aevb.evaluation.posterior_samples import CACHE, parts
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

PAIRS, FEWEST = 2 * 10**7, 100
"""The largest number of pairs of a sample and an example, if a pair takes few operations: of N examples, PAIRS / N get
a sample, but at least `FEWEST`."""
SATURATED = 0.95
"""Share of log N above which the mutual information is called saturated."""


class Information(NamedTuple):
    """The mutual information at samples of M examples, ``(M,)``.

    Attributes:
        selected: the positions of these examples among the N.
        mutual: log q(z|x) - log q(z) at one sample of each, in nats and float64.
    """

    selected: Tensor
    mutual: Tensor


@torch.no_grad()
def information(model: VAE, examples: Examples, *, seed: int = 0, memory: int = 2**30) -> Information:
    """Return log q(z|x) - log q(z), whose mean is I(x; z).

    Args:
        model: with a posterior that has a density; it is put into evaluation mode.
        examples: N examples.
        seed: seed of the samples, and of the choice of examples.
        memory: approximate limit, in bytes, of the tensors that are alive at once.
    """
    z, log_q, keys = [], [], []
    with seeded(seed, RNGStream.EVALUATION, device=model.device):
        for part in parts(model, examples, 1, seed=seed, memory=memory):
            layers = part.layers(part.noise)
            z.append(torch.cat([layer.z[0] for layer in layers], dim=-1))
            log_q.append(torch.stack([layer.q.log_prob(layer.z)[0] for layer in layers]).sum(0))
            keys += [stream.initial_seed() for stream in part.streams]
    # The M smallest of a number that belongs to the example, so that the order of the data does not matter.
    index = torch.tensor(keys).argsort()[: max(FEWEST, _pairs(model, examples) // len(examples))]
    points = torch.cat(z)[index.to(z[0].device)]
    aggregate = _log_aggregate(model, examples, points, memory)
    return Information(index, torch.cat(log_q).cpu().double()[index] - aggregate)


def _pairs(model: VAE, examples: Examples) -> int:
    """Return how many densities of a sample under the posterior of an example are quick: networks may be part of q."""
    features = model.bottom_up(examples.batch(slice(1)).to(model.device, model.dtype))
    z = [layer.z for layer in model.top_down(features, lambda q: q.mean)]
    widths = [layer.shape[-1] for layer in z]
    one, two = (torch.cat(z, dim=-1).expand(count, -1) for count in (1, 2))
    cost = operations(lambda: _log_posterior(model, features, widths, two))
    cost -= operations(lambda: _log_posterior(model, features, widths, one))
    return min(PAIRS, int(QUICK / max(1, cost)))


def _log_aggregate(model: VAE, examples: Examples, z: Tensor, memory: int) -> Tensor:
    """Return log q(z) of the aggregate posterior, ``(M,)``, at points ``(M, Z)`` with all layers side by side."""
    total = torch.full((len(z),), -torch.inf, dtype=torch.float64)
    for part in parts(model, examples, 1, seed=0, memory=memory):
        numbers = sum(h.shape[-1] for h in part.features) + z.shape[1] ** (2 if model.lower_layers else 1)
        rows = max(1, min(memory // 8, CACHE) // (z.element_size() * len(part.batch) * numbers))
        log_q = [_log_posterior(part.model, part.features, part.widths, points) for points in z.split(rows)]
        total = torch.logaddexp(total, torch.cat(log_q).cpu().double().logsumexp(1))
    return total - torch.tensor(float(len(examples))).log()


def _log_posterior(model: VAE, features: list[Tensor], widths: list[int], z: Tensor) -> Tensor:
    """Return log q(z|x), ``(M, B)``, of each point ``(M, Z)`` under the posterior of each example."""
    remaining = iter(z.unsqueeze(1).expand(-1, len(features[0]), -1).split(widths, dim=-1))
    layers = model.top_down(features, lambda _: next(remaining))
    return torch.stack([layer.q.log_prob(layer.z) for layer in layers]).sum(0)
