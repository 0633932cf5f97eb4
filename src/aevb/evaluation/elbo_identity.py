"""log p(x) = ELBO + KL(q(z|x) || p(z|x)), with each term found by means of its own.

    log p(x)                    by a closed form, or adaptive quadrature over z
    ELBO                        E_q log p(x|z) - KL(q(z|x) || p(z))
    KL(q(z|x) || p(z|x))        as it is defined, from the true posterior

so that an error in any of them shows. That of a linear VAE are closed forms; those of a model of two latent dimensions
are integrals, each by another rule: E_q log p(x|z) by that of Gauss and Hermite at the posterior, and the divergence by
the midpoint rule on all of the plane that matters, where p(z|x) is normalised by its own sum.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal, kl_divergence

from aevb.data.examples import Examples
from aevb.evaluation.quadrature import quadrature
from aevb.models.linear import LinearGaussian
from aevb.models.vae import VAE


class Identity(NamedTuple):
    """The terms of the identity for each example ``(N,)``, in nats and float64, each found by means of its own.

    Attributes:
        log_px: log p(x).
        elbo: E_q log p(x|z) - KL(q(z|x) || p(z)).
        gap: KL(q(z|x) || p(z|x)).
        rate: KL(q(z|x) || p(z)).
    """

    log_px: Tensor
    elbo: Tensor
    gap: Tensor
    rate: Tensor

    @property
    def error(self) -> float:
        """The largest violation over the examples."""
        return (self.log_px - self.elbo - self.gap).abs().max().item()


@torch.no_grad()
def linear_identity(model: VAE, x: Tensor) -> Identity:
    """The identity of a linear VAE for ``(N, *event)``, all of it in closed form.

    Raises:
        BadInput: the decoder is not linear with one variance.
    """
    known, rows = LinearGaussian.of(model), x.flatten(1).double()
    q, rate = _posterior(model, x)
    gap = kl_divergence(MultivariateNormal(q.mean, q.variance.diag_embed()), known.posterior(rows))
    return Identity(known.log_px(rows), known.log_likelihood(rows, q) - rate, gap, rate)


@torch.no_grad()
def plane_identity(model: VAE, examples: Examples, *, side: int = 500, nodes: int = 40) -> Identity:
    """The identity of a model of two latent dimensions with a standard prior and diagonal posteriors.

    Args:
        model: in evaluation mode.
        examples: N of them, all at once.
        side: cells of the grid in each direction.
        nodes: of the Gauss-Hermite rule in each direction.
    """
    x = examples.all().x
    q, rate = _posterior(model, x)
    places, weights = (torch.from_numpy(part) for part in np.polynomial.hermite_e.hermegauss(nodes))
    z = q.mean + q.stddev * torch.cartesian_prod(places, places).unsqueeze(1)
    weight = torch.outer(weights, weights).flatten() / weights.sum().square()
    log_likelihood = weight @ model.decode(z.float()).log_prob(x).double()
    extent = max(6.0, (q.mean.abs() + 8 * q.stddev).max().item())
    return Identity(quadrature(model, examples), log_likelihood - rate, _gap(model, x, q, extent, side), rate)


def _posterior(model: VAE, x: Tensor) -> tuple[Distribution, Tensor]:
    """q(z|x) in float64, and KL(q(z|x) || N(0, I)), ``(N,)``."""
    encoded = model.encode(x)
    q = Normal(encoded.mean.double(), encoded.variance.double().sqrt())
    return Independent(q, 1), kl_divergence(q, Normal(torch.zeros((), dtype=torch.float64), 1.0)).sum(1)


def _gap(model: VAE, x: Tensor, q: Distribution, extent: float, side: int) -> Tensor:
    """KL(q(z|x) || p(z|x)) by the midpoint rule on [-extent, extent]², ``(N,)``."""
    width = 2 * extent / side
    ticks = (torch.arange(side, dtype=torch.float64) + 0.5) * width - extent
    z = torch.cartesian_prod(ticks, ticks).unsqueeze(1)
    prior = model.prior_distribution()
    joint = torch.cat([model.decode(part).log_prob(x) + prior.log_prob(part) for part in z.float().split(1000)])
    log_posterior = joint.double().log_softmax(0) - 2 * math.log(width)
    log_q = q.log_prob(z)
    return (log_q.exp() * (log_q - log_posterior)).sum(0) * width**2
