"""Noise calibration: noise that is as wide as new rows require, so that intervals have their nominal coverage.

The noise of a table's numbers is learned from the rows that all other weights were fitted to, so it is too small for
new rows, especially if there were few. Held-out rows x_1, ..., x_n show how much wider it has to be. With all other
weights fixed, the standard deviation σ_j of a number and the dispersion r_j of a count (`aevb.models.likelihoods`)
become

    σ_j e^{w_j},  r_j e^{-2 w_j},    w = argmax Σ_i log p(x_i) - ν Σ_j (w_j - w̄)²  over all w ≥ 0

A few rows cannot distinguish the columns: the penalty acts like ν observations against a column that differs from the
mean, and does not act on the mean. Noise never becomes narrower: new rows are no closer to the model than those it was
trained on.

Missing values are integrated out, with S samples of z per row as for imputation (`aevb.evaluation.laplace`). They stay
fixed while w is optimized; then they are sampled again, since the posterior of z depends on the noise:

    log p(x) ≈ log 1/S Σ_s p(x | z_s) p(z_s) / h(z_s),    z_s ~ h = ½ q(z | x) + ½ r(z)

The bound cannot replace log p(x) here: noise would compensate for an encoder that is wrong about new rows.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor
from torch.func import functional_call

from aevb.data.examples import Examples
from aevb.evaluation.laplace import laplace_candidates
from aevb.evaluation.posterior_samples import Part, parts
from aevb.models.likelihoods import Columns
from aevb.models.vae import VAE

PENALTY = 20.0
"""ν."""
ROUNDS = 3
"""How often z is sampled."""
NUMBERS = 2**20
"""About how many numbers are decoded in a round; this sets the number of rows and S."""
MIN_SAMPLES, MAX_SAMPLES = 100, 1000
"""S for many rows and for few."""


class Decoded(NamedTuple):
    """Rows with samples of z.

    Attributes:
        x: ``(B, D)``.
        output: the decoder's output for z, ``(S, B, *output)``.
        log_weight: log p(z) / h(z), ``(S, B)``.
    """

    x: Tensor
    output: Tensor
    log_weight: Tensor


def calibrate_noise(model: VAE, examples: Examples, *, seed: int = 0) -> None:
    """Widen the noise of a table's numbers to fit held-out rows.

    Args:
        model: a trained model of the columns of a table; it is put into evaluation mode.
        examples: held-out rows; if there are none, nothing changes.
        seed: the random seed.
    """
    learned = deepcopy(model.likelihood)
    assert isinstance(learned, Columns)
    if not (learned.n_noise_parameters and examples):
        return
    rows = examples.subsample(max(1, NUMBERS // MIN_SAMPLES // examples.shape[0]))
    n_samples = min(MAX_SAMPLES, NUMBERS // rows.values.numel())
    for _ in range(ROUNDS):
        all_parts = parts(model, rows, n_samples, seed=seed, memory=2**30, at_once=1)
        decoded = [chunk for part in all_parts for chunk in _decoded(part)]
        wider = learned.with_scaled_noise(_log_scales(learned, decoded))
        # Weights are saved in float32, and a loaded model should equal the saved one.
        model.likelihood.load_state_dict({name: weight.float() for name, weight in wider.items()}, strict=False)


@torch.no_grad()
def _decoded(part: Part) -> Iterator[Decoded]:
    """Yield a few rows at a time, so that those in use stay in the CPU's caches."""
    z, log_weight = laplace_candidates(part)
    size = max(1, part.rows // len(z))
    for start in range(0, len(part.batch), size):
        rows = slice(start, start + size)
        batch, weight = part.batch[rows], log_weight[:, rows]
        output = part.model.decoder_output(z[:, rows], batch.condition)
        yield Decoded(batch.x, output, weight.to(output) - part.model.likelihood(output).log_prob(batch.x))


def _log_scales(likelihood: Columns, decoded: Sequence[Decoded]) -> Tensor:
    """Return the optimal w, ``(J,)``."""

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w = likelihood.log_scale.new_tensor(at).requires_grad_()
        log_px = torch.stack([_log_px(likelihood, w, chunk) for chunk in decoded]).sum()
        total = PENALTY * (w - w.mean()).square().sum() - log_px
        (slope,) = torch.autograd.grad(total, w)
        return total.item(), slope.double().cpu().numpy()

    start = np.zeros(likelihood.n_noise_parameters)
    result = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start))
    return likelihood.log_scale.new_tensor(result.x)


def _log_px(likelihood: Columns, w: Tensor, decoded: Decoded) -> Tensor:
    """Return the sum of log p(x) with scaled noise, except for the constant log S."""
    noisy = functional_call(likelihood, likelihood.with_scaled_noise(w), decoded.output)
    return torch.as_tensor((noisy.log_prob(decoded.x) + decoded.log_weight).logsumexp(0).sum())
