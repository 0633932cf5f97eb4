"""Priors: p(z).

    Standard    p(z) = N(z; 0, I)

A prior is a module without input: calling it gives the distribution, with whatever it has learned.
"""

import torch
from torch import Tensor, nn

from aevb.distributions import StandardNormal


class Standard(nn.Module):
    """The standard normal over Z dimensions."""

    origin: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.register_buffer("origin", torch.zeros(latent), persistent=False)

    def forward(self) -> StandardNormal:
        """The distribution over ``(Z,)``."""
        return StandardNormal(self.origin)
