"""Checks of the models and tensors that measures receive."""

from torch import Tensor

from aevb.errors import BadInput


def require_density(has_density: bool, what: str) -> None:
    """Check that the posterior of a model has a density.

    Args:
        has_density: whether it has one.
        what: the subject of the message.

    Raises:
        BadInput: it has none.
    """
    if not has_density:
        raise BadInput(
            f"{what} needs a posterior with a density: an autoencoder has none, train with another posterior"
        )


def require_finite(values: Tensor, what: str) -> None:
    """Check that all rows of ``(N, ...)`` are finite.

    Args:
        values: the rows.
        what: the noun in the message, which is followed by the number of the row.

    Raises:
        BadInput: a row has a value that is NaN or infinite.
    """
    finite = values.isfinite().reshape(len(values), -1).all(1)
    if not finite.all():
        raise BadInput(f"{what} {int(finite.int().argmin())} is not finite: look for extreme values in the data")
