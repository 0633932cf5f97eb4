"""Hamiltonian Monte Carlo on standard noise that is weighed.

    π(ε) ∝ N(ε; 0, I) w(ε)^β,    H(ε, v) = ½ |ε|² - β log w(ε) + ½ |v|²

A step draws v ~ N(0, I), follows the motion under H by leapfrogs of the size h,

    v ← v - ½h ∂H/∂ε,    ε ← ε + h v,    v ← v - ½h ∂H/∂ε

and accepts where it ends with the probability min(1, e^{H(start) - H(end)}), which leaves π as it is (Neal 2011).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

LogWeight = Callable[[Tensor], Tensor]
"""ε ``(S, B, Z)`` to log w(ε), ``(S, B)``."""


class Place(NamedTuple):
    """Where chains are: ε ``(S, B, Z)``, log w and its gradient there."""

    noise: Tensor
    log_weight: Tensor
    slope: Tensor


def place(log_weight: LogWeight, noise: Tensor) -> Place:
    """The place of ε ``(S, B, Z)``."""
    with torch.enable_grad():
        noise = noise.detach().requires_grad_()
        weighed = log_weight(noise)
        slope = torch.autograd.grad(weighed.sum(), noise)[0]
    return Place(noise.detach(), weighed.detach(), slope)


def move(
    log_weight: LogWeight,
    start: Place,
    *,
    beta: float,
    size: Tensor,
    leapfrogs: int,
    speed: Tensor,
    chance: Tensor,
) -> tuple[Place, Tensor]:
    """One step of chains, and the share of each example's that was accepted, ``(B,)``.

    Args:
        log_weight: log w.
        start: where the chains are.
        beta: β.
        size: h, of each example ``(B,)`` or of all.
        leapfrogs: how many.
        speed: v, standard normal, ``(S, B, Z)``.
        chance: uniform on [0, 1), ``(S, B)``.
    """
    size = size.unsqueeze(-1)
    end, end_speed = start, speed + 0.5 * size * _force(start, beta)
    for step in range(leapfrogs):
        end = place(log_weight, end.noise + size * end_speed)
        end_speed = end_speed + (1.0 if step < leapfrogs - 1 else 0.5) * size * _force(end, beta)
    accepted = chance.log() < _energy(start, speed, beta) - _energy(end, end_speed, beta)  # false where it is NaN
    at = accepted.unsqueeze(-1)
    kept = Place(
        torch.where(at, end.noise, start.noise),
        torch.where(accepted, end.log_weight, start.log_weight),
        torch.where(at, end.slope, start.slope),
    )
    return kept, accepted.to(speed).mean(0)


def _force(at: Place, beta: float) -> Tensor:
    return beta * at.slope - at.noise


def _energy(at: Place, speed: Tensor, beta: float) -> Tensor:
    kinetic = 0.5 * speed.square().sum(-1)
    return kinetic + 0.5 * at.noise.square().sum(-1) - beta * at.log_weight
