"""The identity log p(x) = ELBO + KL(q(z|x) || p(z|x)), with each term computed independently.

    log p(x)                    in closed form, or by adaptive quadrature over z
    ELBO                        E_q log p(x|z) - KL(q(z|x) || p(z))
    KL(q(z|x) || p(z|x))        by its definition, from the true posterior

so that an error in any term shows. For a linear VAE all terms have closed forms. For a model with two latent dimensions
they are integrals, each by another rule: E_q log p(x|z) by Gauss-Hermite quadrature at the posterior, the divergence by
the midpoint rule on the relevant part of the plane, where p(z|x) is normalized by its own sum.
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
    """The terms of the identity for each example ``(N,)``, in nats and float64, computed independently.

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
    """Return the terms for a linear VAE and examples ``(N, *event)``, all in closed form.

    Raises:
        BadInput: the decoder is not linear with constant variances.
    """
    exact, rows = LinearGaussian.of(model), x.flatten(1).double()
    q, rate = _posterior(model, x)
    gap = kl_divergence(MultivariateNormal(q.mean, q.variance.diag_embed()), exact.posterior(rows))
    return Identity(exact.log_px(rows), exact.log_likelihood(rows, q) - rate, gap, rate)


@torch.no_grad()
def plane_identity(model: VAE, examples: Examples, *, side: int = 500, nodes: int = 40) -> Identity:
    """Return the terms for a model with two latent dimensions, a standard normal prior and diagonal posteriors.

    Args:
        model: in evaluation mode.
        examples: N examples, which are processed at once.
        side: number of grid cells in each direction.
        nodes: number of Gauss-Hermite nodes in each direction.
    """
    x = examples.all().x
    q, rate = _posterior(model, x)
    points, weights = (torch.from_numpy(values) for values in np.polynomial.hermite_e.hermegauss(nodes))
    z = q.mean + q.stddev * torch.cartesian_prod(points, points).unsqueeze(1)
    weight = torch.outer(weights, weights).flatten() / weights.sum().square()
    log_likelihood = weight @ model.decode(z.float()).log_prob(x).double()
    extent = max(6.0, (q.mean.abs() + 8 * q.stddev).max().item())
    return Identity(quadrature(model, examples), log_likelihood - rate, _gap(model, x, q, extent, side), rate)


def _posterior(model: VAE, x: Tensor) -> tuple[Distribution, Tensor]:
    """Return q(z|x) in float64, and KL(q(z|x) || N(0, I)), ``(N,)``."""
    encoded = model.encode(x)
    q = Normal(encoded.mean.double(), encoded.variance.double().sqrt())
    return Independent(q, 1), kl_divergence(q, Normal(torch.zeros((), dtype=torch.float64), 1.0)).sum(1)


def _gap(model: VAE, x: Tensor, q: Distribution, extent: float, side: int) -> Tensor:
    """Return KL(q(z|x) || p(z|x)) by the midpoint rule on [-extent, extent]², ``(N,)``."""
    width = 2 * extent / side
    ticks = (torch.arange(side, dtype=torch.float64) + 0.5) * width - extent
    z = torch.cartesian_prod(ticks, ticks).unsqueeze(1)
    joint = torch.cat([model.log_joint(x, points) for points in z.float().split(1000)])
    log_posterior = joint.double().log_softmax(0) - 2 * math.log(width)
    log_q = q.log_prob(z)
    return (log_q.exp() * (log_q - log_posterior)).sum(0) * width**2
