"""Checks of tensors that measures receive."""

from torch import Tensor

from aevb.errors import BadInput


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
