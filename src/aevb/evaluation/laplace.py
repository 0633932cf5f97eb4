"""Laplace's approximation of the posterior: a normal at its mode, as wide as the curvature there says.

    z* = argmax log p(x, z),    H = -∂²/∂z² log p(x, z) at z*,    r(z) = N(z; z*, H⁻¹)

The mode is found by Newton's method from where the encoder points to; of each step as much is taken as leads highest,
perhaps nothing; where H bends upwards its steps go by |H|. Axes along which H is flatter than a quarter of the standard
normal's are taken to be as flat as that.
Of a linear decoder with normal noise and prior, r is the posterior itself.

Where values are missing, z is drawn half from the encoder's q(z|x) and half from r, and weighed by
p(x, z) / (½ q + ½ r): there are as many posteriors as patterns of gaps, and an encoder is too sure of some.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from aevb.evaluation.posterior_samples import Part
from aevb.models.batch import Batch
from aevb.models.vae import VAE

ROUNDS = 10
FLATTEST = 0.25
LENGTHS = (0.0, 0.01, 0.1, 0.3, 1.0)


class Laplace(NamedTuple):
    """r of each example.

    Attributes:
        mode: z*, ``(B, Z)``.
        axes: eigenvectors of H side by side, ``(B, Z, Z)``.
        precision: its eigenvalues, ``(B, Z)``.
    """

    mode: Tensor
    axes: Tensor
    precision: Tensor

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return z of standard noise ``(S, B, Z)``."""
        return self.mode + torch.einsum("bij,sbj->sbi", self.axes, noise * self.precision.rsqrt())

    def log_prob(self, z: Tensor) -> Tensor:
        """log r(z) in nats, of ``(S, B, Z)`` ``(S, B)``."""
        noise = torch.einsum("bij,sbi->sbj", self.axes, z - self.mode) * self.precision.sqrt()
        return -0.5 * (noise.square() + math.log(2 * math.pi) - self.precision.log()).sum(-1)


def laplace(model: VAE, batch: Batch, start: Tensor) -> Laplace:
    """r of examples ``(B, *event)``, from points ``(B, Z)`` near the modes; of a model of one layer."""
    z, lengths = start, start.new_tensor(LENGTHS).view(-1, 1, 1)
    for _ in range(ROUNDS):
        slope, axes, curvature = _shape(model, batch, z)
        along = torch.einsum("bij,bi->bj", axes, slope) / curvature.abs().clamp_min(FLATTEST)
        tried = z + lengths * torch.einsum("bij,bj->bi", axes, along)
        best = model.log_joint(batch, tried).nan_to_num(-torch.inf).argmax(0)
        z = tried[best, torch.arange(len(z), device=z.device)]
    _, axes, curvature = _shape(model, batch, z)
    return Laplace(z, axes, curvature.clamp_min(FLATTEST))


def helped(part: Part) -> bool:
    """Whether r is to be had: of models of one layer whose posterior has a density."""
    return len(part.widths) == 1 and part.model.posterior_has_density


def candidates(part: Part) -> tuple[Tensor, Tensor]:
    """Draws of z from ½ q(z|x) + ½ r(z), of a model of one layer.

    Returns:
        z, ``(K, B, Z)``, and the logarithms of p(x, z) over their density, ``(K, B)`` in float64 on the CPU.
    """
    guess, modes = part.noise.tensor_split([len(part.noise) // 2])
    (layer,) = part.layers(guess)
    model, r = part.model, laplace(part.model, part.batch, layer.q.mean)
    z, shares = torch.cat([layer.z, r.from_noise(modes)]), part.noise.new_tensor([len(guess), len(modes)]).log()
    weights = []
    for some in z.split(max(1, part.rows // len(part.batch))):
        proposed = torch.logaddexp(layer.q.log_prob(some) + shares[0], r.log_prob(some) + shares[1])
        weights.append(
            (model.log_joint(part.batch, some) - proposed + part.noise.new_tensor(len(z)).log()).cpu().double()
        )
    return z, torch.cat(weights)


def _shape(model: VAE, batch: Batch, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The slope of log p(x, z), ``(B, Z)``, and the axes and eigenvalues of H."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        slope = torch.autograd.grad(model.log_joint(batch, z).sum(), z, create_graph=True)[0]
        rows = [torch.autograd.grad(part.sum(), z, retain_graph=True)[0] for part in slope.unbind(1)]
    curved = -torch.stack(rows, 1)
    curvature, axes = torch.linalg.eigh(0.5 * (curved + curved.mT))
    return slope.detach(), axes, curvature
