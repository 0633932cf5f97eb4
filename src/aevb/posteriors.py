"""Posteriors: features of an example to q(z | x).

    Diagonal    q(z|x) = N(z; μ(h), diag σ²(h)),  (μ, s) = W h + b

with σ² = e^s, or σ² = softplus(s) + 10⁻⁸. One linear layer makes both halves: two would cost twice the overhead. It
starts at zero weights and unit variance, where q(z|x) = N(0, I): training begins with no rate to pay.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aevb.distributions import Normal

Scale = Literal["log-variance", "softplus"]


class Diagonal(nn.Module):
    """A normal posterior with independent dimensions.

    Args:
        features: F, the width of what the encoder gives.
        latent: Z.
        scale: what the second half of the outputs means: log σ², or softplus⁻¹ of the variance.
    """

    def __init__(self, features: int, latent: int, scale: Scale = "log-variance") -> None:
        super().__init__()
        self.head = nn.Linear(features, 2 * latent)
        self.scale = scale
        unit = 0.0 if scale == "log-variance" else math.log(math.e - 1)
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.bias.copy_(torch.tensor([0.0, unit]).repeat_interleave(latent))

    def forward(self, features: Tensor) -> Normal:
        """``(B, F)`` to a distribution over ``(B, Z)``."""
        loc, raw = self.head(features).chunk(2, dim=-1)
        log_variance = raw if self.scale == "log-variance" else (F.softplus(raw) + 1e-8).log()
        return Normal(loc, 0.5 * log_variance)
