"""Likelihoods with a mean that the network gives through a link function."""

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor

from aevb.models.likelihoods.base import Likelihood, logit
from aevb.models.networks import Standardize
from aevb.models.options import DataFacts, PieceOptions

if TYPE_CHECKING:
    from typing_extensions import Self

Link = Literal["sigmoid", "identity"]


class LinkOptions(PieceOptions):
    """The link function of the mean."""

    mean_link: Link | None = Field(
        None, description="Link function of the mean. Default: sigmoid for values in [0, 1], otherwise identity."
    )

    def resolve(self, data: DataFacts) -> "Self":
        link = self.mean_link or ("sigmoid" if data.kind in ("binary", "unit") else "identity")
        return self.model_copy(update={"mean_link": link})


class Located(Likelihood):
    """A likelihood with a mean from the network, through a link function.

    Args:
        event: the shape of one example.
        mean_link: "sigmoid" keeps the mean in (0, 1); "identity" scales it to the units of the data.
    """

    Options = LinkOptions
    supports = ("binary", "unit", "counts", "real")

    def __init__(self, event: tuple[int, ...], mean_link: Link = "identity") -> None:
        super().__init__(event)
        self.mean_link = mean_link
        self.units = Standardize(event) if mean_link == "identity" else None

    @property
    def bounded(self) -> bool:
        return self.units is None

    def initialize(self, x: Tensor) -> Tensor:
        if self.units is None:
            return logit(x.mean(0))
        self.units.initialize(x)
        return torch.zeros(self.event)

    def _linked(self, output: Tensor) -> Tensor:
        return output.sigmoid() if self.units is None else self.units.inverse(output)
