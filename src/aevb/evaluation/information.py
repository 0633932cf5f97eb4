"""What the code tells of the data, and how far the codes as a whole are from the prior.

With the aggregate posterior q(z) = 1/N Σ_n q(z|x_n) of N examples (Hoffman & Johnson 2016),

    rate = I(x; z) + KL(q(z) || p(z)),    I(x; z) = E_x E_q(z|x) [log q(z|x) - log q(z)] ≤ log N

I(x; z) is the information under these N examples, each equally likely: it cannot exceed log N, and where it comes close
to that, q(z) is hardly more than its N peaks, and the second term has little to say.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.evaluation.posterior_samples import CACHE, parts
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

PAIRS = 2 * 10**7
"""Pairs of a draw and an example, at most: of N examples, PAIRS / N draw."""
SATURATED = 0.95
"""Share of log N from which the information is called saturated."""


class Information(NamedTuple):
    """Of the M examples that drew, in nats, ``(M,)`` in float64.

    Attributes:
        which: their places among the N, ``(M,)``.
        mutual: log q(z|x) - log q(z) at a draw of each.
    """

    which: Tensor
    mutual: Tensor


@torch.no_grad()
def information(model: VAE, examples: Examples, *, seed: int = 0, memory: int = 2**30) -> Information:
    """log q(z|x) - log q(z), whose mean is I(x; z).

    Args:
        model: not an autoencoder, whose code is not random; it is left in evaluation mode.
        examples: N of them.
        seed: of the draws, and of which examples draw.
        memory: about how many bytes the tensors may take that are alive at once.
    """
    z, own, places = [], [], []
    with seeded(seed, RNGStream.EVALUATION, device=model.device):
        for part in parts(model, examples, 1, seed=seed, memory=memory):
            layers = part.layers(part.noise)
            z.append(torch.cat([layer.z[0] for layer in layers], dim=-1))
            own.append(torch.stack([layer.q.log_prob(layer.z)[0] for layer in layers]).sum(0))
            places += [stream.initial_seed() for stream in part.streams]
    # The first by a number that belongs to the example, so that the order of the data does not matter.
    which = torch.tensor(places).argsort()[: max(1, PAIRS // len(examples))]
    chosen = torch.cat(z)[which.to(z[0].device)]
    aggregate = _log_aggregate(model, examples, chosen, memory)
    return Information(which, torch.cat(own).cpu().double()[which] - aggregate)


def _log_aggregate(model: VAE, examples: Examples, z: Tensor, memory: int) -> Tensor:
    """log q(z) of the aggregate posterior at ``(M, Z)``, all layers side by side, ``(M,)``."""
    total = torch.full((len(z),), -torch.inf, dtype=torch.float64)
    for part in parts(model, examples, 1, seed=0, memory=memory):
        numbers = sum(h.shape[-1] for h in part.features) + z.shape[1] ** 2
        rows = max(1, min(memory // 8, CACHE) // (z.element_size() * len(part.batch) * numbers))
        found = [_log_posterior(part.model, part.features, part.widths, some) for some in z.split(rows)]
        total = torch.logaddexp(total, torch.cat(found).cpu().double().logsumexp(1))
    return total - torch.tensor(float(len(examples))).log()


def _log_posterior(model: VAE, features: list[Tensor], widths: list[int], z: Tensor) -> Tensor:
    """log q(z|x) of each point ``(M, Z)`` given each example, ``(M, B)``."""
    given = iter(z.unsqueeze(1).expand(-1, len(features[0]), -1).split(widths, dim=-1))
    layers = model.top_down(features, lambda _: next(given))
    return torch.stack([layer.q.log_prob(layer.z) for layer in layers]).sum(0)
