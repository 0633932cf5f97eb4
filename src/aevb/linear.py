"""The linear VAE, whose optimum is known.

    p(x|z) = N(x; W z + b, c I),   q(z|x) = N(z; V x + d, diag s)

Its maximum likelihood is that of probabilistic PCA (Tipping & Bishop 1999), and so is the maximum of its ELBO, since
the best W has orthogonal columns, for which the true posterior is of this form (Lucas, Tucker, Grosse & Norouzi 2019).
With λ_1 ≥ λ_2 ≥ … the eigenvalues of the examples' covariance and Z latent dimensions,

    c = 1/(D - Z) Σ_{j>Z} λ_j
    1/N Σ log p(x) = -½ [D log 2π + Σ_{j≤Z} log λ_j + (D - Z) log c + D]
"""

import math

import torch
from torch import Tensor

from aevb.errors import BadInput
from aevb.likelihoods import Gaussian
from aevb.model import VAE
from aevb.networks import mlp_decoder, mlp_encoder
from aevb.posteriors import Diagonal
from aevb.priors import Standard


def linear_vae(features: int, latent: int) -> VAE:
    """A VAE without hidden layers, with one learned variance: D = `features`, Z = `latent`."""
    event = (features,)
    encoder, width = mlp_encoder(event, (), "relu")
    decoder = mlp_decoder(latent, (), event, "relu")
    return VAE(encoder, Diagonal(width, latent), Standard(latent, event), decoder, Gaussian(event))


def linear_optimum(x: Tensor, latent: int) -> float:
    """The largest mean log-likelihood of examples ``(N, D)`` under a linear VAE with `latent` dimensions.

    Returns:
        Nats per example.

    Raises:
        BadInput: there are not fewer latent dimensions than columns, or the rest has no variance.
    """
    features = x.shape[1]
    eigenvalues = torch.linalg.eigvalsh(torch.cov(x.double().T, correction=0).view(features, features)).flip(0)
    if latent >= features or eigenvalues[latent:].mean() <= 0:
        raise BadInput(f"{features} columns leave no variance beside {latent} latent dimensions: use fewer")
    variance = eigenvalues[latent:].mean().item()
    volume: float = eigenvalues[:latent].log().sum().item() + (features - latent) * math.log(variance)
    return -0.5 * (features * (math.log(2 * math.pi) + 1) + volume)
