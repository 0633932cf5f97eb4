"""The linear VAE, whose optimum is known.

    p(x|z) = N(x; W z + b, c I),   q(z|x) = N(z; V x + d, diag s)

Its maximum likelihood is that of probabilistic PCA (Tipping & Bishop 1999), and so is the maximum of its ELBO, since
the best W has orthogonal columns, for which the true posterior is of this form (Lucas, Tucker, Grosse & Norouzi 2019).
With λ_1 ≥ λ_2 ≥ … the eigenvalues of the examples' covariance and Z latent dimensions,

    c = 1/(D - Z) Σ_{j>Z} λ_j
    1/N Σ log p(x) = -½ [D log 2π + Σ_{j≤Z} log λ_j + (D - Z) log c + D]

Any linear decoder has closed forms (`LinearGaussian`), at its optimum or not, and with a variance c_i of each element:
with C = diag c and S⁻¹ = I + Wᵀ C⁻¹ W,

    p(x) = N(x; b, W Wᵀ + C),    p(z|x) = N(z; S Wᵀ C⁻¹ (x - b), S)
    E_q log p(x|z) = -½ Σ_i [log 2πc_i + ((x - W μ - b)_i² + Σ_j W_ij² s_j) / c_i],    q = N(μ, diag s)
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from aevb.errors import BadInput, option
from aevb.models.distributions import Normal
from aevb.models.likelihoods import Gaussian
from aevb.models.networks import mlp_decoder, mlp_encoder
from aevb.models.posteriors import Diagonal
from aevb.models.priors import Standard
from aevb.models.vae import VAE

_ROUNDING = 1e-13
"""Share of the variance that rounding may leave."""
_FAR = -3.0


def linear_vae(features: int, latent: int) -> VAE:
    """Return a VAE without hidden layers and with one learned variance: D = `features`, Z = `latent`."""
    event = (features,)
    encoder, width = mlp_encoder(event, (), "relu")
    decoder = mlp_decoder(latent, (), event, "relu")
    return VAE(encoder, Diagonal(width, latent), Standard(latent, event), decoder, Gaussian(event))


def linear_optimum(x: Tensor, latent: int) -> float:
    """Return the largest mean log-likelihood of examples ``(N, D)`` under a linear VAE with `latent` dimensions.

    Returns:
        Nats per example.

    Raises:
        BadInput: the latent dimensions are not fewer than the columns, or the remaining dimensions have no variance.
    """
    features = x.shape[1]
    eigenvalues = torch.linalg.eigvalsh(torch.cov(x.double().T, correction=0).view(features, features)).flip(0)
    if latent >= features or eigenvalues[latent:].mean() <= _ROUNDING * eigenvalues.sum():
        raise BadInput(f"{features} columns leave no variance beside {latent} latent dimensions: use fewer")
    variance = eigenvalues[latent:].mean().item()
    volume: float = eigenvalues[:latent].log().sum().item() + (features - latent) * math.log(variance)
    return -0.5 * (features * (math.log(2 * math.pi) + 1) + volume)


class LinearGaussian(NamedTuple):
    """x = W z + b + √c ⊙ ε with z and ε standard normal, in float64.

    Attributes:
        weight: W, ``(D, Z)``.
        bias: b, ``(D,)``.
        variance: c, ``(D,)``.
    """

    weight: Tensor
    bias: Tensor
    variance: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, model: VAE) -> "LinearGaussian":
        """Return the decoder of a linear VAE or linear autoencoder, from its outputs at 0 and the unit vectors.

        Another point, far from them, shows whether it is linear.

        Raises:
            BadInput: the likelihood is not a normal with constant variances, or the decoder is not linear.
        """
        latent = model.prior_distribution().event_shape[0]
        corners = torch.cat([torch.zeros(1, latent), torch.eye(latent), torch.full((1, latent), _FAR)])
        *decoded, beyond = model.decode(corners.to(next(model.parameters()))).mean.flatten(1).cpu().double()
        bias, weight = decoded[0], torch.stack(decoded[1:], 1) - decoded[0].unsqueeze(1)
        error, unit = (bias + _FAR * weight.sum(1) - beyond).abs().max(), weight.abs().sum(1).max()
        if not isinstance(model.likelihood, Gaussian) or error > 1e-4 * unit + 1e-6 * bias.abs().max():
            raise BadInput(
                f"closed forms are for a linear decoder with constant variances: use {option('model.hidden', 'none')}"
            )
        if model.likelihood.family is not Normal:
            raise BadInput(f"closed forms are for a likelihood with {option('model.tails', 'normal')}: use it")
        return cls(weight, bias, model.likelihood.variance.cpu().expand(bias.shape))

    def log_px(self, x: Tensor) -> Tensor:
        """Return log p(x) of ``(B, D)`` in nats, ``(B,)``."""
        density = MultivariateNormal(self.bias, self.weight @ self.weight.T + self.variance.diag())
        return torch.as_tensor(density.log_prob(x.double()))

    def posterior(self, x: Tensor) -> MultivariateNormal:
        """Return p(z|x) for ``(B, D)``, over ``(B, Z)``."""
        weighted = self.weight / self.variance.unsqueeze(1)
        precision = torch.eye(self.weight.shape[1], dtype=torch.float64) + self.weight.T @ weighted
        mean = torch.linalg.solve(precision, weighted.T @ (x.double() - self.bias).T)
        return MultivariateNormal(mean.T, precision_matrix=precision)

    def log_likelihood(self, x: Tensor, q: Distribution) -> Tensor:
        """Return E_q log p(x|z) for ``(B, D)`` and q with independent dimensions over ``(B, Z)``, in nats, ``(B,)``."""
        error = (x.double() - self.bias - q.mean.double() @ self.weight.T).square()
        spread = q.variance.double() @ self.weight.square().T
        return -0.5 * ((2 * math.pi * self.variance).log() + (error + spread) / self.variance).sum(1)
