"""Recipes: the experiments of five reports as data, and published records, with models to train, claims and figures."""

from importlib import import_module

from aevb.reproduction.recipe import Recipe
from aevb.reproduction.verdicts import Scale

NAMES = ("hu", "yong", "zhao", "guo", "laird", "records")


def recipe(name: str, scale: Scale = "default") -> Recipe:
    """Return the recipe with a name in `NAMES`."""
    result: Recipe = import_module(f"aevb.reproduction.{name}").recipe(scale)
    return result
