"""Options of pieces: small models of their own, whose fields are options of the configuration."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from aevb.columns import Column

if TYPE_CHECKING:
    from typing_extensions import Self


def split_widths(value: object) -> object:
    """Split widths that are written with commas, as in 300,100; one number is one width, and "none" is no width."""
    parts = [value] if isinstance(value, str | int) else value
    if not isinstance(parts, list | tuple):
        return value
    numbers = [number for part in parts for number in (part.split(",") if isinstance(part, str) else [part])]
    return [] if numbers == ["none"] else numbers


Activation = Literal["tanh", "relu", "elu", "leaky-relu", "gelu", "silu", "glu"]
Positive = Annotated[int, Field(ge=1)]
Size = Annotated[int, Field(ge=1, le=2**24)]
Widths = Annotated[tuple[Size, ...], Field(max_length=100), BeforeValidator(split_widths)]


class DataFacts(Protocol):
    """The properties of a data set that defaults of options may depend on; `aevb.data.Dataset` has them."""

    @property
    def name(self) -> str:
        """The name of the data set, for messages."""

    @property
    def kind(self) -> str:
        """The kind of its values: binary, unit, counts, real or columns."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""

    @property
    def n_train(self) -> int:
        """The number of training examples."""

    @property
    def largest(self) -> int:
        """The largest value, of binary data and counts."""

    @property
    def columns(self) -> Sequence[Column]:
        """The columns of a table; empty otherwise."""

    @property
    def condition_columns(self) -> Sequence[Column]:
        """The columns of the condition; empty for an unconditional model."""


class PieceOptions(BaseModel):
    """The options of a piece: one field each, with a description, which is its help text."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def resolve(self, data: DataFacts) -> "Self":
        """Return the options with the defaults that depend on the data filled in.

        Raises:
            BadInput: the piece cannot be used with such data.
        """
        return self

    def for_autoencoder(self) -> "Self":
        """Return the options with the defaults that an autoencoder needs, whose posterior has no density."""
        return self

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the constructor: one for each option, unless a piece overrides this."""
        return {name: getattr(self, name) for name in type(self).model_fields}
