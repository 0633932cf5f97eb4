"""Prior holes: samples of the prior where the aggregate posterior has almost no mass.

The aggregate posterior is q(z) = 1/N Σ_n q(z|x_n). A sample of p(z) is in a hole if its q(z) is below that of all but
1 % of the samples of q(z) itself (Rezende & Viola 2018). A sample z ~ q(z|x_n) is compared without the component of
x_n, and so is the sample of p(z) paired with it: where q(z) = p(z) for the population, both are sampled and compared
alike, and the share of holes is 1 % in any dimension and for any N. The same holds for a posterior that has collapsed
onto the prior: nothing is learned, and no mass is missing.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.evaluation.checks import require_density, require_finite
from aevb.evaluation.scores import Estimate
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

SAMPLES = 999
LOWEST = 10
"""Of 999 samples: another sample of the same distribution lies below the tenth lowest with probability 10 / 1000."""
BOOTSTRAPS = 200
BATCH_SIZE = 100
BLOCK = 2**22
"""Numbers in the largest tensor."""
_HOLES = 3  # a random number stream, separate from that of the likelihood


class Holes(NamedTuple):
    """Where the prior has mass that no example has filled.

    Attributes:
        share: of samples z ~ p(z) with log q(z) below the threshold; 0.01 where q(z) = p(z).
        threshold: in nats; 1 % of the samples of q(z) lie below it.
        n_samples: the number of samples of p(z), and of q(z).
    """

    share: Estimate
    threshold: float
    n_samples: int


@torch.no_grad()
def prior_holes(model: VAE, examples: Examples, seed: int = 0) -> Holes:
    """Estimate the share of prior holes, in the top layer of a hierarchical model.

    It takes 2 `SAMPLES` log-densities for each example.

    Args:
        model: on any device; it is put into evaluation mode.
        examples: N examples; if N < `SAMPLES`, some give several samples, and the standard error is too small.
        seed: the random seed.

    Returns:
        The share, with a bootstrap standard error that includes the error of the estimated threshold.

    Raises:
        BadInput: there are fewer than two examples, the model is an autoencoder, or log q(z) is not finite.
    """
    if len(examples) < 2:
        raise BadInput(f"the aggregate posterior needs at least two examples: got {len(examples)}")
    require_density(model.posterior_has_density, "the aggregate posterior")
    model.eval()
    device = model.device
    with seeded(seed, RNGStream.EVALUATION, _HOLES, device=device):
        owner = torch.randperm(len(examples))[torch.arange(SAMPLES) % len(examples)]
        batches = (examples[index].all() for index in owner.split(BATCH_SIZE))
        own_samples = [model.encode(batch.to(device)).sample() for batch in batches]
        prior_samples = model.prior_distribution().sample((SAMPLES,))
        log_q = _log_aggregate(model, examples, torch.cat([prior_samples, *own_samples]), owner.repeat(2))
        require_finite(log_q, "log q(z) at sample")
        resampled = [values[torch.randint(SAMPLES, (BOOTSTRAPS, SAMPLES))] for values in log_q.split(SAMPLES)]
    share, threshold = _share_below(*log_q.split(SAMPLES))
    stderr = _share_below(*resampled)[0].std()
    return Holes(Estimate(float(share), float(stderr)), float(threshold), SAMPLES)


def _log_aggregate(model: VAE, examples: Examples, z: Tensor, owner: Tensor) -> Tensor:
    """Return log 1/(N-1) Σ_{n ≠ owner} q(z | x_n) at points z without their owners, in nats.

    Args:
        model: in evaluation mode.
        examples: N examples.
        z: points, ``(M, Z)``, on the model's device.
        owner: the index of the example whose posterior is left out at each point, ``(M,)``, on the CPU.

    Returns:
        ``(M,)``, in float64 on the CPU.
    """
    total, seen = torch.full((len(z),), -math.inf, dtype=torch.float64), 0
    for batch in examples.batches(BATCH_SIZE):
        q = model.encode(batch.to(z.device))
        index = torch.arange(seen, seen + len(batch))
        # A full covariance takes Z² numbers per sample and example; a flow's network is wide.
        rows = max(1, BLOCK // (len(batch) * max(z.shape[-1] ** 2, 256)))
        chunks = []
        for points, left_out in zip(z.split(rows), owner.split(rows), strict=True):
            log_prob = q.log_prob(points.unsqueeze(-2)).cpu().double()
            chunks.append(log_prob.where(index != left_out.unsqueeze(-1), -math.inf).logsumexp(-1))
        total, seen = total.logaddexp(torch.cat(chunks)), seen + len(batch)
    return total - math.log(seen - 1)


def _share_below(prior_samples: Tensor, own_samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return the share ``(...)`` of ``(..., M)`` below the threshold of ``(..., M)``, and the threshold ``(...)``."""
    threshold = own_samples.kthvalue(LOWEST, dim=-1).values
    return (prior_samples < threshold.unsqueeze(-1)).double().mean(-1), threshold
