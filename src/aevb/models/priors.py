"""Priors: p(z).

    normal      N(0, I)
    mixture     Σ_k π_k N(μ_k, diag σ_k²), all learned
    vamp        1/K Σ_k q(z | u_k), with learned pseudo-inputs u_k         (Tomczak & Welling 2018)
    flow        f⁻¹(ε), ε ~ N(0, I), f learned                             (Chen et al. 2017; coupling layers of zuko)

A prior is called with the model's encoder, which the VampPrior needs, and returns p(z). A new one is a class in any
module, registered with `aevb.models.registry.register.prior`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution

from aevb.errors import BadInput, option
from aevb.models.distributions import Flow, Mixture, Normal, StandardNormal
from aevb.models.networks import coupling
from aevb.models.options import DataFacts, PieceOptions, Size
from aevb.models.registry import register

if TYPE_CHECKING:
    from typing_extensions import Self

Encode = Callable[[Tensor], Distribution]


class ComponentOptions(PieceOptions):
    """The number of components of a mixture."""

    components: Size = Field(20, description="Components of the mixture, or pseudo-inputs of the VampPrior.")


class VampOptions(ComponentOptions):
    """The number of pseudo-inputs, which have no condition."""

    def resolve(self, data: DataFacts) -> "Self":
        if data.condition_columns:
            raise BadInput(f"{option('model.prior', 'vamp')} has no meaning for a conditional model: leave it out")
        return self


class Prior(nn.Module, ABC):
    """p(z).

    Args:
        latent: Z, the number of latent dimensions.
        event: the shape of the encoder's input for one example.

    Attributes:
        Options: the options, which arrive as keyword arguments of the constructor.
    """

    Options: ClassVar[type[PieceOptions]] = PieceOptions
    origin: Tensor

    def __init__(self, latent: int, event: tuple[int, ...]) -> None:
        super().__init__()
        self.latent, self.event = latent, event
        self.register_buffer("origin", torch.zeros(latent), persistent=False)

    def initialize(self, x: Tensor) -> None:
        """Initialize the parameters of the prior from inputs of the encoder ``(B, *event)``; by default nothing."""

    @abstractmethod
    def forward(self, encode: Encode) -> Distribution:
        """Return p(z), a distribution over ``(Z,)``; `encode` maps inputs of the encoder to q(z | x)."""


@register.prior("normal")
class Standard(Prior):
    """The standard normal."""

    def forward(self, encode: Encode) -> StandardNormal:
        return StandardNormal(self.origin)


@register.prior("mixture")
class MixtureOfNormals(Prior):
    """A mixture of normals with diagonal covariance, all learned; its total variance starts at one."""

    Options = ComponentOptions

    def __init__(self, latent: int, event: tuple[int, ...], components: int) -> None:
        super().__init__(latent, event)
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(_normal_numbers(components, latent, stddev=0.5))
        self.log_scale = nn.Parameter(torch.full((components, latent), 0.5 * math.log(0.75)))

    def forward(self, encode: Encode) -> Mixture:
        return Mixture(self.logits.log_softmax(0), Normal(self.loc, self.log_scale))


@register.prior("vamp")
class Vamp(Prior):
    """The VampPrior: the mixture of the posteriors of learned pseudo-inputs, which start at examples."""

    Options = VampOptions

    def __init__(self, latent: int, event: tuple[int, ...], components: int) -> None:
        super().__init__(latent, event)
        self.inputs = nn.Parameter(nn.init.uniform_(torch.empty(components, *event)))

    def initialize(self, x: Tensor) -> None:
        chosen = torch.randint(len(x), (len(self.inputs),), device=x.device)
        self.inputs.data.copy_(x[chosen])

    def forward(self, encode: Encode) -> Mixture:
        components = encode(self.inputs)
        return Mixture(self.origin.new_zeros(len(self.inputs)).log_softmax(0), components)


@register.prior("flow")
class FlowPrior(Prior):
    """A standard normal, transformed by coupling layers (extra flows)."""

    def __init__(self, latent: int, event: tuple[int, ...]) -> None:
        super().__init__(latent, event)
        self.transform = coupling(latent)

    def forward(self, encode: Encode) -> Flow:
        return Flow(StandardNormal(self.origin), self.transform())


def _normal_numbers(*shape: int, stddev: float) -> Tensor:
    """Return normal numbers; none are sampled on the device meta, for which PyTorch would import its compiler."""
    numbers = torch.empty(shape)
    return numbers if numbers.is_meta else nn.init.normal_(numbers, std=stddev)
