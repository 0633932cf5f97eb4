"""Several stochastic layers: latents z_L, …, z_1, sampled from the top down.

    p(x, z) = p(z_L) Π_{l<L} p(z_l | z_{l+1}) p(x | z_1)            with skip connections p(x | z_1, …, z_L)
    q(z | x) = q(z_L | x) Π_{l<L} q(z_l | x, z_{l+1})

Both factorize from the top down, so the divergence of each layer, given the samples above it, has the form of a
one-layer model (Sønderby et al. 2016; Kingma et al. 2016; with skip connections Tomczak & Welling 2018). The features
of the bottom-up pass, h_1 = encoder(x) and h_{l+1} = up_l(h_l), and those of the top-down pass, d_l = down_l(z_{l+1}),
are joined in the posterior:

    p(z_l | z_{l+1}) = N(μ(d_l), diag σ²(d_l)),    q(z_l | x, z_{l+1}) = posterior_l([h_l, d_l])

The top layer is that of a one-layer model; each further layer below it is a `LatentLayer`.

Legend: N points, B examples, Z latent dimensions and Z' those of the layer above, F features, D outputs of `down`.
"""

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from aevb.models.distributions import Normal
from aevb.models.posteriors import Diagonal


class LatentLayer(nn.Module):
    """A stochastic layer z_l below the top, with the networks that connect it to the layer above.

    Args:
        up: maps h_l to h_{l+1}, ``(B, F)`` to ``(B, F')``.
        down: maps z_{l+1} to d_l, ``(N, Z')`` to ``(N, D)``.
        conditional: maps d_l to p(z_l | z_{l+1}), ``(..., D)`` to a normal over ``(..., Z)``.
        posterior: maps [h_l, d_l] to q(z_l | x, z_{l+1}), ``(..., F + D)`` to a distribution over ``(..., Z)``.
    """

    def __init__(self, up: nn.Module, down: nn.Module, conditional: Diagonal, posterior: nn.Module) -> None:
        super().__init__()
        self.up, self.down, self.conditional, self.posterior = up, down, conditional, posterior

    def prior(self, above: Tensor) -> Normal:
        """Return p(z_l | z_{l+1}) for z_{l+1} ``(..., Z')``."""
        return self.conditional.forward(self._down(above))

    def forward(self, features: Tensor, above: Tensor) -> tuple[Distribution, Normal]:
        """Return q(z_l | x, z_{l+1}) and p(z_l | z_{l+1}) for h_l ``(B, F)`` and z_{l+1} ``(..., B, Z')``."""
        down = self._down(above)
        features = features.expand(*down.shape[:-1], features.shape[-1])
        return self.posterior(torch.cat([features, down], dim=-1)), self.conditional(down)

    def _down(self, above: Tensor) -> Tensor:
        down: Tensor = self.down(above.reshape(-1, above.shape[-1]))
        return down.view(*above.shape[:-1], down.shape[-1])
