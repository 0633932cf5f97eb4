"""Several stochastic layers: a ladder of latents z_L, …, z_1, drawn from the top down.

    p(x, z) = p(z_L) Π_{l<L} p(z_l | z_{l+1}) p(x | z_1)
    q(z | x) = q(z_L | x) Π_{l<L} q(z_l | x, z_{l+1})

Since both run from the top down, the divergence of each layer has the form that it has for one layer, given the draws
above it (Sønderby et al. 2016; Kingma et al. 2016). The encoder's features climb, h_1 = encoder(x) and
h_{l+1} = up_l(h_l), and the prior's come down, d_l = down_l(z_{l+1}), to meet in the posterior:

    p(z_l | z_{l+1}) = N(μ(d_l), diag σ²(d_l)),    q(z_l | x, z_{l+1}) = posterior_l([h_l, d_l])

The top layer is that of a model with one layer; a layer is what each further layer below it adds.
"""

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from aevb.models.distributions import Normal
from aevb.models.posteriors import Diagonal


class LatentLayer(nn.Module):
    """The layer z_l and what ties it to the layer above.

    Args:
        up: h_l to h_{l+1}, ``(B, F)`` to ``(B, F')``.
        down: z_{l+1} to d_l, ``(N, Z')`` to ``(N, D)``.
        conditional: d_l to p(z_l | z_{l+1}), ``(..., D)`` to a normal over ``(..., Z)``.
        posterior: [h_l, d_l] to q(z_l | x, z_{l+1}), ``(..., F + D)`` to a distribution over ``(..., Z)``.
    """

    def __init__(self, up: nn.Module, down: nn.Module, conditional: Diagonal, posterior: nn.Module) -> None:
        super().__init__()
        self.up, self.down, self.conditional, self.posterior = up, down, conditional, posterior

    def prior(self, above: Tensor) -> Normal:
        """p(z_l | z_{l+1}) for ``(..., Z')``."""
        return self.conditional.forward(self._down(above))

    def forward(self, features: Tensor, above: Tensor) -> tuple[Distribution, Normal]:
        """q(z_l | x, z_{l+1}) and p(z_l | z_{l+1}) for h_l ``(B, F)`` and z_{l+1} ``(..., B, Z')``."""
        down = self._down(above)
        features = features.expand(*down.shape[:-1], features.shape[-1])
        return self.posterior(torch.cat([features, down], dim=-1)), self.conditional(down)

    def _down(self, above: Tensor) -> Tensor:
        down: Tensor = self.down(above.reshape(-1, above.shape[-1]))
        return down.view(*above.shape[:-1], down.shape[-1])
