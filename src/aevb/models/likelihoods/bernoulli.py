"""Likelihoods of zeros and ones and of values in [0, 1]."""

from torch import Tensor

from aevb.models import distributions
from aevb.models.likelihoods.base import Likelihood, logit
from aevb.models.registry import register


@register.likelihood("bernoulli")
class Bernoulli(Likelihood):
    """Independent zeros and ones; the decoder gives logits."""

    supports = ("binary",)
    default_for = ("binary",)
    accepts_probabilities = True

    def initialize(self, x: Tensor) -> Tensor:
        return logit(x.mean(0))

    def forward(self, output: Tensor) -> distributions.Bernoulli:
        return distributions.Bernoulli(output, len(self.event))


@register.likelihood("continuous-bernoulli")
class ContinuousBernoulli(Likelihood):
    """Independent values in [0, 1] (Loaiza-Ganem & Cunningham 2019); the decoder gives the slope of the log-density."""

    supports = ("binary", "unit")

    def initialize(self, x: Tensor) -> Tensor:
        return logit(x.mean(0))

    def forward(self, output: Tensor) -> distributions.ContinuousBernoulli:
        return distributions.ContinuousBernoulli(output, len(self.event))
