"""Anomaly detection with a stated rate of false alarms.

The score of an example is log p(x), by importance sampling. Given n examples that the model was not trained on, with
scores s_i, an example with score s has the p-value

    p = (1 + #{i: s_i ≤ s}) / (n + 1)

and is called an anomaly if p ≤ α. For an example from the distribution of the held-out examples, the probability of a
false alarm is at most α, for any model and any data (conformal prediction: Vovk, Gammerman & Shafer 2005).
"""

import math

import torch
from torch import Tensor

from aevb.errors import BadInput

ROUNDING = 1e-9
"""The largest difference between a product or quotient and a whole number that is attributed to rounding."""


def p_values(scores: Tensor, held_out: Tensor) -> Tensor:
    """Return the p-value of each example, ``(N,)``: the probability of so low a score under no anomaly.

    Args:
        scores: log p(x) of the examples, ``(N,)``.
        held_out: log p(x) of normal examples that the model was not trained on, ``(n,)``.
    """
    below = torch.searchsorted(held_out.sort().values, scores, right=True)
    return (1 + below).double() / (len(held_out) + 1)


def smallest_rate(held_out: int) -> float:
    """Return the lowest rate of false alarms that so many held-out examples can support."""
    return 1 / (held_out + 1)


def threshold_rank(held_out: int, rate: float) -> int:
    """Return ⌊α (n + 1)⌋, the rank from the lowest of the held-out score below which an example is called an anomaly.

    Args:
        held_out: n, the number of held-out examples.
        rate: α, the rate of false alarms.

    Raises:
        BadInput: there are too few held-out examples for so low a rate.
    """
    rank = math.floor(rate * (held_out + 1) + ROUNDING)
    if rank < 1:
        raise BadInput(
            f"{held_out} held-out examples are too few for a false-alarm rate of {rate:g}: at least"
            f" {math.ceil(1 / rate - ROUNDING) - 1} are needed; use a higher rate or hold out more examples"
        )
    return rank


def threshold(held_out: Tensor, rate: float) -> float:
    """Return the score below which an example is called an anomaly.

    Args:
        held_out: log p(x) of normal examples that the model was not trained on, ``(n,)``.
        rate: α, the rate of false alarms.

    Raises:
        BadInput: there are too few held-out examples for so low a rate.
    """
    # p ≤ α if at most rank - 1 held-out scores are at most s. The margin keeps rounding from deciding.
    limit: float = held_out.sort().values[threshold_rank(len(held_out), rate) - 1].item()
    return limit - 1e-6 * (1 + abs(limit))
