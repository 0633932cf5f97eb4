"""How unusual examples are, with a stated rate of false alarms.

The score of an example is log p(x), by importance sampling. Beside n held-out examples that the model has not learned
from, with scores s_i, an example with score s has

    p = (1 + #{i: s_i ≤ s}) / (n + 1)

and is called an anomaly where p ≤ α. If it is of the kind of the held-out examples, this happens with a probability of
at most α, whatever the model and the data (conformal prediction: Vovk, Gammerman & Shafer 2005).
"""

import math

import torch
from torch import Tensor

from aevb.errors import BadInput


def p_values(scores: Tensor, held_out: Tensor) -> Tensor:
    """How probable so low a score is for an example of the usual kind, ``(N,)``.

    Args:
        scores: log p(x) of what is judged, ``(N,)``.
        held_out: log p(x) of examples of the usual kind that the model has not seen, ``(n,)``.
    """
    below = torch.searchsorted(held_out.sort().values, scores, right=True)
    return (1 + below).double() / (len(held_out) + 1)


def threshold(held_out: Tensor, rate: float) -> float:
    """The score below which an example is called an anomaly.

    Args:
        held_out: log p(x) of examples of the usual kind that the model has not seen, ``(n,)``.
        rate: α, of false alarms.

    Raises:
        BadInput: there are too few for so low a rate.
    """
    place = math.floor(rate * (len(held_out) + 1))
    if place < 1:
        raise BadInput(
            f"{len(held_out)} held-out examples cannot bear out a false-alarm rate of {rate:g}: at least"
            f" {math.ceil(1 / rate) - 1} are needed; give a higher rate, or hold out more"
        )
    # p ≤ α where at most place - 1 held-out scores are at most s. A little lower, rounding does not decide.
    limit: float = held_out.sort().values[place - 1].item()
    return limit - 1e-6 * (1 + abs(limit))
