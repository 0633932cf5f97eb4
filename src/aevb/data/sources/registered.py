"""Data sets by name.

    @register.dataset("rings")
    def rings(split_seed: int = 0) -> tuple[Array, Labels]:
        "Two noisy circles."

A data set is a function that returns an array, (array, labels) or `aevb.data.UnsplitData`. It receives those of the
options `split_seed`, `variant` and `data_dir` that are among its parameters. The variants of a data set are registered
with it: ``@register.dataset("rings", variants=("two", "three"))``; the last one is the default.
"""

from collections.abc import Callable
from inspect import signature

from aevb.data.dataset import UnsplitData
from aevb.data.sources.in_memory import from_object
from aevb.data.sources.registry import Option, ReadOptions, register_source
from aevb.errors import BadInput
from aevb.models.registry import register


@register_source
class RegisteredSource:
    """Data sets with a registered name."""

    description = "the name of a data set"
    options: frozenset[Option] = frozenset({"variant"})
    priority = 0
    in_memory = False

    def accepts(self, data: object) -> bool:
        return isinstance(data, str) and data in register.dataset

    def read(self, data: object, options: ReadOptions) -> UnsplitData:
        assert isinstance(data, str)
        variant = choose_variant(data, options.variant)
        function: Callable[..., object] = register.dataset[data]
        values = {"split_seed": options.split_seed, "variant": variant, "data_dir": options.data_dir}
        accepted = signature(function).parameters
        return from_object(data, function(**{name: value for name, value in values.items() if name in accepted}))

    def columns(self, data: object, options: ReadOptions) -> None:
        return None


def choose_variant(name: str, variant: str | None) -> str | None:
    """Return the variant of a data set, by default its last one; None for a data set without variants.

    Raises:
        BadInput: the data set has no such variant.
    """
    variants: tuple[str, ...] = register.dataset.facts(name).get("variants", ())
    if variant is None:
        return variants[-1] if variants else None
    if not variants:
        with_variants = [other for other in register.dataset if register.dataset.facts(other).get("variants")]
        raise BadInput(f"variant={variant!r} applies to {' and '.join(with_variants)}, which {name!r} is not: omit it")
    if variant not in variants:
        raise BadInput(f"variant={variant!r} of {name} is unknown: expected {' or '.join(variants)}")
    return variant
