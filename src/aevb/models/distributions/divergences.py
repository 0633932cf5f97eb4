"""KL divergences in closed form (Kingma & Welling 2013, appendix B), registered with `torch.distributions`.

KL(N(μ, diag σ²) || N(0, I))          = ½ Σ_j [σ_j² + μ_j² - 1 - log σ_j²]
KL(N(μ, diag σ²) || N(m, diag s²))    = ½ Σ_j [(σ_j² + (μ_j - m_j)²) / s_j² - 1 - log(σ_j² / s_j²)]
KL(N(μ, L Lᵀ) || N(0, I))             = ½ [Σ_ij L_ij² + Σ_j (μ_j² - 1 - log L_jj²)]
KL(N(μ, L Lᵀ) || N(m, diag s²))       the previous line with (μ - m) / s and L_ij / s_i
KL(point || any density)              = ∞
"""

import math

from torch import Tensor
from torch.distributions import Distribution, register_kl

from aevb.models.distributions.continuous import FullNormal, Normal, Point, StandardNormal
from aevb.models.shapes import size, sum_event


def kl_by_dimension(q: Distribution, p: Distribution) -> Tensor | None:
    """Return the terms of KL(q || p), ``(..., Z)`` in nats, or None unless both factorize over the dimensions."""
    if not isinstance(q, Normal):
        return None
    if isinstance(p, StandardNormal):
        return 0.5 * (q.variance + q.loc.square() - 1) - q.log_scale
    if isinstance(p, Normal):
        log_ratio = q.log_scale - p.log_scale
        shift = (q.loc - p.loc) * (-p.log_scale).exp()
        return 0.5 * ((2 * log_ratio).exp() + shift.square() - 1) - log_ratio
    return None


def closed_form_kl(q: Distribution, p: Distribution) -> Tensor | None:
    """Return KL(q || p) in nats, ``(...)``, or None if it has no known closed form."""
    if isinstance(q, Point):
        return q.loc.new_full(q.batch_shape, math.inf)
    terms = kl_by_dimension(q, p)
    if terms is not None:
        return sum_event(terms, len(q.event_shape))
    if not isinstance(q, FullNormal):
        return None
    if isinstance(p, Normal):
        unit = (-p.log_scale).exp()
        q = FullNormal((q.loc - p.loc) * unit, q.scale_tril * unit.unsqueeze(-1))
    elif not isinstance(p, StandardNormal):
        return None
    squares = q.scale_tril.square().flatten(-2).sum(-1) + q.loc.square().sum(-1)
    return 0.5 * (squares - size(q.event_shape)) - q.log_diagonal.sum(-1)


for _pair in [(Normal, StandardNormal), (Normal, Normal), (FullNormal, StandardNormal), (FullNormal, Normal)]:
    register_kl(*_pair)(closed_form_kl)
