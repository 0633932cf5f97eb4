"""Lightweight distributions for the hot path: log-densities, samples, entropies and divergences in closed form.

They are `torch.distributions.Distribution` objects, but each one sums over its event, and none validates its
arguments: at the size of these models, generic wrappers cost more than the mathematics. Random numbers come from
PyTorch's global generator; `aevb.rng.seeded` seeds it and restores its state afterwards.

The distributions of a latent z transform standard noise: z = from_noise(ε) with ε ~ N(0, I), and ε = to_noise(z).
"""

from aevb.models.distributions.base import BaseDistribution, LogitDistribution
from aevb.models.distributions.continuous import (
    LOG_2PI,
    ContinuousBernoulli,
    FullNormal,
    Laplace,
    LogNormal,
    Normal,
    Point,
    RobustLogNormal,
    RobustNormal,
    StandardNormal,
    scale_tril,
    tril_size,
)
from aevb.models.distributions.discrete import Bernoulli, Categorical, NegativeBinomial, Poisson
from aevb.models.distributions.divergences import closed_form_kl, kl_by_dimension
from aevb.models.distributions.flow import Flow, InvertibleTransform
from aevb.models.distributions.logistic import DiscretizedLogistic, TruncatedLogistic
from aevb.models.distributions.mixture import Mixture
from aevb.models.distributions.table import Hurdle, IndependentColumns, Spiked

__all__ = [
    "LOG_2PI",
    "BaseDistribution",
    "Bernoulli",
    "Categorical",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "Flow",
    "FullNormal",
    "Hurdle",
    "IndependentColumns",
    "InvertibleTransform",
    "Laplace",
    "LogNormal",
    "LogitDistribution",
    "Mixture",
    "NegativeBinomial",
    "Normal",
    "Point",
    "Poisson",
    "RobustLogNormal",
    "RobustNormal",
    "Spiked",
    "StandardNormal",
    "TruncatedLogistic",
    "closed_form_kl",
    "kl_by_dimension",
    "scale_tril",
    "tril_size",
]
