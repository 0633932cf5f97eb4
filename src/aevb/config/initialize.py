"""Data-dependent initialization: a model of a table, or of vectors, starts at the best linear one.

Factor analysis explains standardized numbers x by Z common causes and noise of each column:

    x = W z + ε,    z ~ N(0, I),  ε ~ N(0, Ψ),  Ψ diagonal

Its maximum likelihood is found by EM over the values that are not missing (Rubin & Thayer 1982). Rotated until WᵀΨ⁻¹W
is diagonal, it has posteriors with independent dimensions,

    q(z|x) = N(S WᵀΨ⁻¹x, S),    S = (I + WᵀΨ⁻¹W)⁻¹ = diag s

and is a VAE whose bound is tight. With missing values the encoder is the closest linear one. A network of rectified
units computes any linear map of Z numbers by 2 Z units of each hidden layer, since t = max(t, 0) - max(-t, 0); the
other units keep their initial weights, with outgoing weights of zero. Outliers are left out.

Training continues from there: where columns nearly follow from each other, gradient descent would take many steps to
the same point.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import TypeIs

from aevb.data.examples import Examples
from aevb.models.likelihoods import Columns, Gaussian
from aevb.models.posteriors import Diagonal, Full, ScaledPosterior
from aevb.models.vae import VAE

FAR, RARE = 6.0, 0.05
"""Standard deviations of the noise beyond which a row is an outlier, and their largest share."""
ROUNDS, FEWEST_ROUNDS = 300, 20
"""Iterations of EM; fewer for rows with missing values, if they would take more than `OPERATIONS` in all."""
OPERATIONS = 1e12
"""Floating-point operations that take half a minute or so."""
NUMBERS = 2**24
"""Largest number of elements of all covariances in memory."""
MOST = 2000
"""Approximate maximum of the rows for factor analysis."""
LEAST = 1e-4
"""Smallest variance of the noise, relative to that of the column."""


class Factors(NamedTuple):
    """Factor analysis of standardized numbers, in float64.

    Attributes:
        weight: W, ``(D, Z)``, with WᵀΨ⁻¹W diagonal.
        variance: the diagonal of Ψ, ``(D,)``.
        encoding: maps x, with zeros for missing values, to the mean of q(z|x), ``(Z, D)``.
        spread: the variance of q(z|x), ``(Z,)``.
    """

    weight: Tensor
    variance: Tensor
    encoding: Tensor
    spread: Tensor


def robust_factors(x: Tensor, latent: int) -> Factors:
    """Return the factor analysis of standardized rows without outliers, if these are few.

    Args:
        x: ``(N, D)``, NaN where a value is missing.
        latent: Z.
    """
    result = factors(x, latent)
    values = x.double().nan_to_num()
    residuals = torch.where(x.isnan(), 0.0, values - values @ result.encoding.T @ result.weight.T)
    far = (residuals.abs() > FAR * result.variance.sqrt()).any(1)
    return factors(x[~far], latent) if 0 < far.double().mean() <= RARE else result


def factors(x: Tensor, latent: int) -> Factors:
    """Return the factor analysis of standardized rows.

    Args:
        x: ``(N, D)``, NaN where a value is missing.
        latent: Z.
    """
    present = (~x.isnan()).double()
    x = x.double().nan_to_num()
    moments = x.T @ x / len(x)
    values, vectors = torch.linalg.eigh(moments)
    weight = vectors[:, -latent:] * values[-latent:].clamp_min(LEAST).sqrt()
    variance = (1 - weight.square().sum(1)).clamp_min(0.01)
    complete = bool(present.all())
    for _ in range(ROUNDS if complete else _rounds(x, latent)):
        step = _complete_step(moments, weight, variance) if complete else _step(x, present, weight, variance)
        weight, variance = step
    _, _, rotation = torch.linalg.svd(weight / variance.sqrt()[:, None], full_matrices=False)
    weight = weight @ rotation.T
    negative = torch.linspace(1, 2, len(weight)).double() @ weight < 0
    weight = torch.where(negative, -weight, weight)  # the sign is otherwise arbitrary
    return _complete(weight, variance) if complete else _incomplete(x, present, weight, variance)


def _rounds(x: Tensor, latent: int) -> int:
    """Return the number of iterations for rows ``(N, D)`` with missing values, which take 4 N D Z² operations each."""
    return max(FEWEST_ROUNDS, min(ROUNDS, int(OPERATIONS / (4 * x.numel() * latent**2))))


def _complete(weight: Tensor, variance: Tensor) -> Factors:
    """Return factors with the encoder of complete rows, which is exact."""
    precision = 1 + (weight.square() / variance[:, None]).sum(0)
    return Factors(weight, variance, (weight / variance[:, None]).T / precision[:, None], 1 / precision)


def _incomplete(x: Tensor, present: Tensor, weight: Tensor, variance: Tensor) -> Factors:
    """Return factors with the linear encoder that is closest to the posteriors of all rows."""
    parts = [
        (mean, covariance.diagonal(dim1=1, dim2=2))
        for _, _, mean, covariance in _posteriors(x, present, weight, variance)
    ]
    mean, variances = (torch.cat(part) for part in zip(*parts, strict=True))
    encoding = torch.linalg.lstsq(x, mean).solution.T
    spread = variances.mean(0) + (mean - x @ encoding.T).square().mean(0)
    return Factors(weight, variance, encoding, spread)


def _complete_step(moments: Tensor, weight: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Return W and Ψ after an iteration of EM for complete rows, which matter by their second moments ``(D, D)`` alone.

    All posteriors have the same covariance, and their means are linear in x.
    """
    weighted = weight / variance[:, None]
    covariance = torch.linalg.inv(torch.eye(weight.shape[1], dtype=weight.dtype) + weighted.T @ weight)
    encoding = covariance @ weighted.T
    crossed = moments @ encoding.T
    weight = torch.linalg.solve(covariance + encoding @ crossed, crossed.T).T
    left = moments.diagonal() - (weight * crossed).sum(1)
    return weight, left.clamp_min(LEAST)


def _posteriors(
    x: Tensor, present: Tensor, weight: Tensor, variance: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Yield x and the present values of some rows, and the means ``(B, Z)`` and covariances ``(B, Z, Z)`` of p(z|x)."""
    latent = weight.shape[1]
    products, unit = (weight[:, :, None] * weight[:, None, :]).flatten(1), torch.eye(latent, dtype=x.dtype)
    size = max(1, NUMBERS // latent**2)
    for values, known in zip(x.split(size), present.split(size), strict=True):
        precision = known / variance
        covariance = torch.linalg.inv(unit + (precision @ products).view(-1, latent, latent))
        yield values, known, (covariance @ ((precision * values) @ weight)[:, :, None]).squeeze(2), covariance


def _step(x: Tensor, present: Tensor, weight: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Return W and Ψ after an iteration of EM for rows with missing values."""
    features, latent = weight.shape
    moments, crossed = x.new_zeros(features, latent**2), torch.zeros_like(weight)
    for values, known, mean, covariance in _posteriors(x, present, weight, variance):
        second = covariance + mean[:, :, None] * mean[:, None, :]
        moments += known.T @ second.flatten(1)
        crossed += values.T @ mean
    unit = torch.eye(latent, dtype=x.dtype)
    weight = torch.linalg.solve(moments.view(-1, latent, latent) + 1e-9 * unit, crossed)
    left = x.square().sum(0) - (weight * crossed).sum(1)
    return weight, (left / present.sum(0).clamp_min(1)).clamp_min(LEAST)


def initialize(model: VAE, examples: Examples, *, output: bool = True) -> None:
    """Initialize a model from examples.

    A model of a table, or of vectors with more elements than latent dimensions and a variance for each, starts at
    factor analysis of the numbers, if the networks can compute it and there are enough rows; otherwise this is
    `VAE.initialize`.

    Args:
        model: a model with its initial weights.
        examples: some or all of the training examples.
        output: whether p(x|z) is initialized as well.
    """
    batch = examples.all()
    model.initialize(batch, output=output)
    likely, posterior = model.likelihood, model.posterior
    if not (output and isinstance(posterior, Diagonal | Full)) or model.lower_layers:
        return
    if isinstance(likely, Columns) or _has_noise_of_elements(likely, posterior.latent):
        numbers = likely.standardized(batch.x)
        latent = min(posterior.latent, numbers.shape[1] - 1)
        if latent > 0 and len(batch) > numbers.shape[1] and _can_compute(model, latent):
            _set_factors(model, robust_factors(numbers[:: -(-len(batch) // MOST)], latent))


@torch.no_grad()
def _set_factors(model: VAE, result: Factors) -> None:
    """Set p(x|z) and q(z|x) to those of factor analysis."""
    posterior, likelihood = model.posterior, model.likelihood
    assert isinstance(posterior, ScaledPosterior)
    assert isinstance(likelihood, Columns | Gaussian)
    head, latent = posterior.head, result.weight.shape[1]
    likelihood.set_noise(result.variance)
    head.weight.zero_()
    scale = result.spread.log() if posterior.scale == "log-variance" else result.spread.expm1().log()
    head.bias[posterior.latent : posterior.latent + latent] = scale.to(head.bias)
    one = torch.eye(latent, dtype=torch.float64)
    *hidden, last = _layers(model.decoder)
    _set_linear(_layers(model.encoder), head, result.encoding, one)
    _set_linear(hidden, last, one, result.weight)


def _has_noise_of_elements(likelihood: nn.Module, latent: int) -> TypeIs[Gaussian]:
    """Return whether a likelihood of vectors with more than `latent` elements has a variance for each."""
    if not isinstance(likelihood, Gaussian) or likelihood.units is None:
        return False
    return likelihood.per_element and len(likelihood.event) == 1 and likelihood.event[0] > latent


def _can_compute(model: VAE, latent: int) -> bool:
    """Return whether the hidden layers have rectified units and are wide enough."""
    modules = [
        module for part in (model.encoder, model.decoder) for module in part.modules() if not any(module.children())
    ]
    rectified = all(isinstance(module, nn.Linear | nn.ReLU | nn.Flatten | nn.Unflatten) for module in modules)
    return rectified and all(layer.out_features >= 2 * latent for layer in _layers(model.encoder))


def _layers(network: nn.Module) -> list[nn.Linear]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear)]


def _set_linear(hidden: list[nn.Linear], last: nn.Linear, inner: Tensor, outer: Tensor) -> None:
    """Set layers to compute outer @ inner @ x, from the first values of x to the first outputs."""
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
