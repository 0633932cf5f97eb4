"""Checks of parameters that scikit-learn has no constraint for, with its message."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import InvalidParameterError

from aevb.models.registry import Registry


def validate_names(estimator: BaseEstimator, kinds: Mapping[str, Registry[Any]]) -> None:
    """Check parameters that are names of registered pieces.

    Raises:
        InvalidParameterError: no piece has this name.
    """
    for name, registry in kinds.items():
        names = ", ".join(map(repr, registry.names()))
        _require(estimator, name, getattr(estimator, name) in registry.names(), f"a str among {{{names}}}")


def validate_widths(estimator: BaseEstimator, name: str) -> None:
    """Check a parameter that is a sequence of widths.

    Raises:
        InvalidParameterError: it is something else.
    """
    value = getattr(estimator, name)
    listed = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    valid = listed and all(isinstance(width, int | np.integer) and width >= 1 for width in value)
    _require(estimator, name, valid, "a sequence of positive integers")


def validate_device(estimator: BaseEstimator, name: str) -> None:
    """Check a parameter that names a device.

    Raises:
        InvalidParameterError: PyTorch has no such device.
    """
    try:
        torch.device(str(getattr(estimator, name)))
    except RuntimeError:
        _require(estimator, name, False, "a device of PyTorch, such as 'cpu' or 'cuda'")


def _require(estimator: BaseEstimator, name: str, valid: bool, expected: str) -> None:
    if not valid:
        raise InvalidParameterError(
            f"The {name!r} parameter of {type(estimator).__name__} must be {expected}. Got"
            f" {getattr(estimator, name)!r} instead."
        )
