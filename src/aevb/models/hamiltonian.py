"""Hamiltonian Monte Carlo on weighted standard noise.

    π(ε) ∝ N(ε; 0, I) w(ε)^β,    H(ε, v) = ½ |ε|² - β log w(ε) + ½ |v|²

A step samples a velocity v ~ N(0, I), follows the dynamics of H by leapfrog steps of size h,

    v ← v - ½h ∂H/∂ε,    ε ← ε + h v,    v ← v - ½h ∂H/∂ε

and accepts the end point with probability min(1, e^{H(start) - H(end)}), which leaves π invariant (Neal 2011).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

LogWeight = Callable[[Tensor], Tensor]
"""Maps ε ``(S, B, Z)`` to log w(ε), ``(S, B)``."""


class ChainState(NamedTuple):
    """The state of chains.

    Attributes:
        noise: ε, ``(S, B, Z)``.
        log_weight: log w(ε), ``(S, B)``.
        slope: the gradient of log w, ``(S, B, Z)``.
    """

    noise: Tensor
    log_weight: Tensor
    slope: Tensor


def state_at(log_weight: LogWeight, noise: Tensor) -> ChainState:
    """Return the state of chains at ε ``(S, B, Z)``."""
    with torch.enable_grad():
        noise = noise.detach().requires_grad_()
        log_w = log_weight(noise)
        slope = torch.autograd.grad(log_w.sum(), noise)[0]
    return ChainState(noise.detach(), log_w.detach(), slope)


def move(
    log_weight: LogWeight,
    start: ChainState,
    *,
    beta: float,
    size: Tensor,
    leapfrogs: int,
    speed: Tensor,
    chance: Tensor,
) -> tuple[ChainState, Tensor]:
    """Return the chains after one step, and the acceptance rate of each example, ``(B,)``.

    Args:
        log_weight: log w.
        start: the state of the chains.
        beta: β.
        size: h, for each example ``(B,)`` or for all ``(1,)``.
        leapfrogs: the number of leapfrog steps.
        speed: v, standard normal, ``(S, B, Z)``.
        chance: uniform on [0, 1), ``(S, B)``.
    """
    size = size.unsqueeze(-1)
    end, end_speed = start, speed + 0.5 * size * _force(start, beta)
    for step in range(leapfrogs):
        end = state_at(log_weight, end.noise + size * end_speed)
        end_speed = end_speed + (1.0 if step < leapfrogs - 1 else 0.5) * size * _force(end, beta)
    accepted = chance.log() < _energy(start, speed, beta) - _energy(end, end_speed, beta)  # false for NaN
    at = accepted.unsqueeze(-1)
    kept = ChainState(
        torch.where(at, end.noise, start.noise),
        torch.where(accepted, end.log_weight, start.log_weight),
        torch.where(at, end.slope, start.slope),
    )
    return kept, accepted.to(speed).mean(0)


def _force(at: ChainState, beta: float) -> Tensor:
    return beta * at.slope - at.noise


def _energy(at: ChainState, speed: Tensor, beta: float) -> Tensor:
    kinetic = 0.5 * speed.square().sum(-1)
    return kinetic + 0.5 * at.noise.square().sum(-1) - beta * at.log_weight
