"""Priors: p(z).

    normal      N(0, I)
    mixture     Σ_k π_k N(μ_k, diag σ_k²), all learned
    vamp        1/K Σ_k q(z | u_k), with learned pseudo-inputs u_k         (Tomczak & Welling 2018)
    flow        f⁻¹(ε), ε ~ N(0, I), f learned                             (Chen et al. 2017; coupling layers of zuko)

A prior is called with the model's `encode`, which the VampPrior needs, and gives the distribution with whatever it has
learned. A new one is a class here with a name in `FAMILIES`, and that name in `aevb.config.schema.ModelConfig`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from aevb.models.distributions import Flow, Mixture, Normal, StandardNormal
from aevb.models.networks import coupling

Encode = Callable[[Tensor], Distribution]


class Prior(nn.Module, ABC):
    """p(z).

    Args:
        latent: Z.
        event: the shape of one example.
    """

    options: ClassVar[tuple[str, ...]] = ()
    """The fields of `aevb.config.schema.ModelConfig` that are arguments of its constructor."""

    origin: Tensor

    def __init__(self, latent: int, event: tuple[int, ...]) -> None:
        super().__init__()
        self.latent, self.event = latent, event
        self.register_buffer("origin", torch.zeros(latent), persistent=False)

    def initialize(self, x: Tensor) -> None:
        """Set what this prior learns to a good first value, given examples ``(B, *event)``."""

    @abstractmethod
    def forward(self, encode: Encode) -> Distribution:
        """The distribution over ``(Z,)``; `encode` is the model's way from x to q(z | x)."""


class Standard(Prior):
    """The standard normal."""

    def forward(self, encode: Encode) -> StandardNormal:
        return StandardNormal(self.origin)


class MixtureOfNormals(Prior):
    """A mixture of K normals with diagonal covariance, with unit variance in all at the start."""

    options = ("components",)

    def __init__(self, latent: int, event: tuple[int, ...], components: int) -> None:
        super().__init__(latent, event)
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(0.5 * torch.randn(components, latent))
        self.log_scale = nn.Parameter(torch.full((components, latent), 0.5 * math.log(0.75)))

    def forward(self, encode: Encode) -> Mixture:
        return Mixture(self.logits.log_softmax(0), Normal(self.loc, self.log_scale))


class Vamp(Prior):
    """The mixture of the posteriors of K pseudo-inputs, which start as examples."""

    options = ("components",)

    def __init__(self, latent: int, event: tuple[int, ...], components: int) -> None:
        super().__init__(latent, event)
        self.inputs = nn.Parameter(torch.rand(components, *event))

    def initialize(self, x: Tensor) -> None:
        chosen = torch.randint(len(x), (len(self.inputs),), device=x.device)
        self.inputs.data.copy_(x[chosen])

    def forward(self, encode: Encode) -> Mixture:
        components = encode(self.inputs)
        return Mixture(self.origin.new_zeros(len(self.inputs)).log_softmax(0), components)


class FlowPrior(Prior):
    """A standard normal, bent by coupling layers."""

    def __init__(self, latent: int, event: tuple[int, ...]) -> None:
        super().__init__(latent, event)
        self.transform = coupling(latent)

    def forward(self, encode: Encode) -> Flow:
        return Flow(StandardNormal(self.origin), self.transform())


FAMILIES: dict[str, type[Prior]] = {
    "normal": Standard,
    "mixture": MixtureOfNormals,
    "vamp": Vamp,
    "flow": FlowPrior,
}
