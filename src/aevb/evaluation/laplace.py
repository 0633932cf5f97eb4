"""Laplace approximation of the posterior: a normal at its mode, with the curvature there as its precision.

    z* = argmax log p(x, z),    H = -∂²/∂z² log p(x, z) at z*,    r(z) = N(z; z*, H⁻¹)

Newton's method finds the mode, starting from the encoder's mean. Of each step, the best of several lengths is taken,
which may be zero; along axes of negative curvature the step is scaled by |H|. It ends after ten steps, or where zero is
the best length for all examples. Eigenvalues of H below 0.25 are set to 0.25; the standard normal has the precision 1.
For a linear decoder with normal noise and a normal prior, r is the exact posterior.

Where values are missing, half of the samples of z come from the encoder's q(z|x) and half from r, with the weights
p(x, z) / (½ q + ½ r): there are as many posteriors as patterns of missing values, and an encoder is overconfident for
some of them.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.evaluation.posterior_samples import Part
from aevb.models.batch import Batch
from aevb.models.vae import VAE

NEWTON_STEPS = 10
LEAST_PRECISION = 0.25
STEP_LENGTHS = (0.0, 0.01, 0.1, 0.3, 1.0)


class Laplace(NamedTuple):
    """The approximation r of each example.

    Attributes:
        mode: z*, ``(B, Z)``.
        axes: eigenvectors of H as columns, ``(B, Z, Z)``.
        precision: eigenvalues of H, ``(B, Z)``.
    """

    mode: Tensor
    axes: Tensor
    precision: Tensor

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return z = z* + H^{-1/2} ε for standard normal noise ε, ``(S, B, Z)``.

        The symmetric root does not depend on the choice of axes where precisions are equal, which rounding decides.
        """
        along = torch.einsum("bij,sbi->sbj", self.axes, noise) * self.precision.rsqrt()
        return self.mode + torch.einsum("bij,sbj->sbi", self.axes, along)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log r(z) in nats, ``(S, B)``, for z ``(S, B, Z)``."""
        noise = torch.einsum("bij,sbi->sbj", self.axes, z - self.mode) * self.precision.sqrt()
        return -0.5 * (noise.square() + math.log(2 * math.pi) - self.precision.log()).sum(-1)


def laplace(model: VAE, batch: Batch, start: Tensor) -> Laplace:
    """Return the Laplace approximation of the posterior of each example.

    Args:
        model: with one stochastic layer.
        batch: B examples.
        start: points near the modes, ``(B, Z)``.
    """
    z, lengths = start, start.new_tensor(STEP_LENGTHS).view(-1, 1, 1)
    slope, axes, curvature = _derivatives(model, batch, z)
    for _ in range(NEWTON_STEPS):
        along = torch.einsum("bij,bi->bj", axes, slope) / curvature.abs().clamp_min(LEAST_PRECISION)
        candidates = z + lengths * torch.einsum("bij,bj->bi", axes, along)
        best = model.log_joint(batch, candidates).nan_to_num(-torch.inf).argmax(0)
        if not best.any():  # the best length is zero for all examples
            break
        z = candidates[best, torch.arange(len(z), device=z.device)]
        slope, axes, curvature = _derivatives(model, batch, z)
    return Laplace(z, axes, curvature.clamp_min(LEAST_PRECISION))


def has_laplace(part: Part) -> bool:
    """Return whether the approximation exists: for models of one layer whose posterior has a density."""
    return len(part.widths) == 1 and part.model.posterior_has_density


def candidates(part: Part) -> tuple[Tensor, Tensor]:
    """Return z, ``(K, B, Z)``, and the logarithms of their weights, ``(K, B)`` in float64 on the CPU.

    They come from ½ q(z|x) + ½ r(z), or from q(z|x) where the approximation does not exist.

    Args:
        part: examples.
    """
    if has_laplace(part):
        return laplace_candidates(part)
    traces = [(trace.z, trace.log_weight.cpu().double()) for trace in part.traces()]
    return torch.cat([z for z, _ in traces]), torch.cat([weight for _, weight in traces])


def laplace_candidates(part: Part) -> tuple[Tensor, Tensor]:
    """Sample z from ½ q(z|x) + ½ r(z).

    Args:
        part: examples of a model with one stochastic layer.

    Returns:
        z, ``(K, B, Z)``, and the logarithms of p(x, z) over the mixture density, ``(K, B)`` in float64 on the CPU.
    """
    q_noise, r_noise = part.noise.tensor_split([len(part.noise) // 2])
    (layer,) = part.layers(q_noise)
    r = laplace(part.model, part.batch, layer.q.mean)
    z = torch.cat([layer.z, r.from_noise(r_noise)])
    log_counts = part.noise.new_tensor([len(q_noise), len(r_noise)]).log()
    log_total = part.noise.new_tensor(len(z)).log()
    weights = []
    for points in z.split(max(1, part.rows // len(part.batch))):
        proposal = torch.logaddexp(layer.q.log_prob(points) + log_counts[0], r.log_prob(points) + log_counts[1])
        weights.append((part.model.log_joint(part.batch, points) - proposal + log_total).cpu().double())
    return z, torch.cat(weights)


def _derivatives(model: VAE, batch: Batch, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient of log p(x, z), ``(B, Z)``, and the eigenvectors and eigenvalues of H."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        slope = torch.autograd.grad(model.log_joint(batch, z).sum(), z, create_graph=True)[0]
        rows = [torch.autograd.grad(column.sum(), z, retain_graph=True)[0] for column in slope.unbind(1)]
    hessian = -torch.stack(rows, 1)
    curvature, axes = torch.linalg.eigh(0.5 * (hessian + hessian.mT))
    return slope.detach(), axes, curvature
