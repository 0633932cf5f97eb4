"""A model of a table that begins as the best linear one.

Factor analysis explains numbers x, in units of their deviations, by Z common causes and noise of each column:

    x = W z + ε,    z ~ N(0, I),  ε ~ N(0, Ψ),  Ψ diagonal

Its maximum likelihood is found by EM over what is there (Rubin & Thayer 1982). Rotated until WᵀΨ⁻¹W is diagonal, it has
posteriors with independent dimensions,

    q(z|x) = N(S WᵀΨ⁻¹x, S),    S = (I + WᵀΨ⁻¹W)⁻¹ = diag s

and so is a VAE whose bound is tight. Where values are missing the encoder is the linear one that comes closest. A
network of rectified units computes any linear map of Z numbers by 2 Z units of each hidden layer, since
t = max(t, 0) - max(-t, 0); the others begin as they were, and unheard. Training goes on from there: where columns
nearly follow from each other, the way there by small steps is long.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from aevb.data.examples import Examples
from aevb.models.likelihoods import Columns
from aevb.models.posteriors import Diagonal, Full, ScaledPosterior
from aevb.models.vae import VAE

ROUNDS = 300
"""Of EM."""
MOST = 2000
"""Rows, about, that factors are taken from."""
LEAST = 1e-4
"""Variance of noise, of one of all."""


class Factors(NamedTuple):
    """Factor analysis of standardized numbers, in float64.

    Attributes:
        weight: W, ``(D, Z)``, with WᵀΨ⁻¹W diagonal.
        variance: the diagonal of Ψ, ``(D,)``.
        encoding: what gives the mean of q(z|x), of x with zeros in its gaps, ``(Z, D)``.
        spread: the variance of q(z|x), ``(Z,)``.
    """

    weight: Tensor
    variance: Tensor
    encoding: Tensor
    spread: Tensor


def factors(x: Tensor, latent: int) -> Factors:
    """Factor analysis of standardized rows.

    Args:
        x: ``(N, D)``, NaN where a value is missing.
        latent: Z.
    """
    there = (~x.isnan()).double()
    x = x.double().nan_to_num()
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    weight = vectors[:, -latent:] * values[-latent:].clamp_min(LEAST).sqrt()
    variance = (1 - weight.square().sum(1)).clamp_min(0.01)
    for _ in range(ROUNDS):
        weight, variance = _maximised(x, there, *_posteriors(x, there, weight, variance))
    _, _, rotation = torch.linalg.svd(weight / variance.sqrt()[:, None], full_matrices=False)
    weight = weight @ rotation.T
    return _whole(weight, variance) if there.all() else _with_gaps(x, there, weight, variance)


def _whole(weight: Tensor, variance: Tensor) -> Factors:
    """With the encoder of whole rows, which is exact."""
    precision = 1 + (weight.square() / variance[:, None]).sum(0)
    return Factors(weight, variance, (weight / variance[:, None]).T / precision[:, None], 1 / precision)


def _with_gaps(x: Tensor, there: Tensor, weight: Tensor, variance: Tensor) -> Factors:
    """With the one linear encoder that comes closest to the posteriors of rows of all patterns."""
    mean, covariance = _posteriors(x, there, weight, variance)
    encoding = torch.linalg.lstsq(x, mean).solution.T
    encoded = x @ encoding.T
    spread = covariance.diagonal(dim1=1, dim2=2).mean(0) + (mean - encoded).square().mean(0)
    return Factors(weight, variance, encoding, spread)


def _posteriors(x: Tensor, there: Tensor, weight: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Means ``(N, Z)`` and covariances ``(N, Z, Z)`` of p(z|x)."""
    known, latent = there / variance, weight.shape[1]
    products = (weight[:, :, None] * weight[:, None, :]).flatten(1)
    covariance = torch.linalg.inv(torch.eye(latent, dtype=x.dtype) + (known @ products).view(-1, latent, latent))
    return (covariance @ ((known * x) @ weight)[:, :, None]).squeeze(2), covariance


def _maximised(x: Tensor, there: Tensor, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """W and Ψ that are best for these posteriors."""
    latent = mean.shape[1]
    second = covariance + mean[:, :, None] * mean[:, None, :]
    moments = (there.T @ second.flatten(1)).view(-1, latent, latent)
    crossed = x.T @ mean
    weight = torch.linalg.solve(moments + 1e-9 * torch.eye(latent, dtype=x.dtype), crossed)
    left = x.square().sum(0) - (weight * crossed).sum(1)
    return weight, (left / there.sum(0).clamp_min(1)).clamp_min(LEAST)


def initialize(model: VAE, examples: Examples, *, output: bool = True) -> None:
    """Start a model at examples: of a table at factor analysis of its numbers, where the networks can carry it and
    there are enough rows; else as `VAE.initialize` does.

    Args:
        model: freshly built.
        examples: that it will learn from, or some of them.
        output: whether p(x|z) is to begin there, too.
    """
    batch = examples.all()
    model.initialize(batch, output=output)
    likely, posterior = model.likelihood, model.posterior
    if output and isinstance(likely, Columns) and isinstance(posterior, Diagonal | Full) and not model.lower_layers:
        real, positive, *_ = batch.x.split(likely.split, 1)
        numbers = likely.units(torch.cat([real, positive.log()], 1))
        latent = min(posterior.latent, numbers.shape[1] - 1)
        if latent > 0 and len(batch) > numbers.shape[1] and _can_carry(model, latent):
            _take(model, factors(numbers[:: -(-len(batch) // MOST)], latent))


@torch.no_grad()
def _take(model: VAE, found: Factors) -> None:
    """Let p(x|z) and q(z|x) be those of factor analysis."""
    posterior, likelihood = model.posterior, model.likelihood
    assert isinstance(posterior, ScaledPosterior)
    assert isinstance(likelihood, Columns)
    head, latent = posterior.head, found.weight.shape[1]
    likelihood.log_scale.copy_(0.5 * found.variance.log())
    head.weight.zero_()
    scale = found.spread.log() if posterior.scale == "log-variance" else found.spread.expm1().log()
    head.bias[posterior.latent : posterior.latent + latent] = scale.to(head.bias)
    one = torch.eye(latent, dtype=torch.float64)
    *hidden, last = _layers(model.decoder)
    _carry(_layers(model.encoder), head, found.encoding, one)
    _carry(hidden, last, one, found.weight)


def _can_carry(model: VAE, latent: int) -> bool:
    """Whether hidden layers are of rectified units, and wide enough."""
    modules = [*model.encoder.modules(), *model.decoder.modules()]
    others = any(isinstance(module, nn.Tanh | nn.ELU) for module in modules)
    return not others and all(layer.out_features >= 2 * latent for layer in _layers(model.encoder))


def _layers(network: nn.Module) -> list[nn.Linear]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear)]


def _carry(hidden: list[nn.Linear], last: nn.Linear, inner: Tensor, outer: Tensor) -> None:
    """Let layers compute outer inner x, of the first values in x to the first outputs."""
    count, reading = len(inner), inner
    for layer in hidden:
        layer.weight[: 2 * count] = 0.0
        layer.weight[: 2 * count, : reading.shape[1]] = torch.cat([reading, -reading]).to(layer.weight)
        layer.bias[: 2 * count] = 0.0
        reading = torch.eye(count, dtype=torch.float64).repeat(1, 2)
        reading[:, count:] *= -1
    rows = outer @ reading
    last.weight[: len(rows)] = 0.0
    last.weight[: len(rows), : rows.shape[1]] = rows.to(last.weight)
