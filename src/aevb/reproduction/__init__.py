"""The experiments of five reports, as data: what to train, what each report claims, which figures it shows."""

from importlib import import_module

from aevb.reproduction.recipe import Recipe, Scale

NAMES = ("hu", "yong", "zhao", "guo", "laird")


def recipe(name: str, scale: Scale = "default") -> Recipe:
    """The recipe of a report, by its name in `NAMES`."""
    made: Recipe = import_module(f"aevb.reproduction.{name}").recipe(scale)
    return made
