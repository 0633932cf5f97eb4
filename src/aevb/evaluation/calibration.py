"""Noise that is as wide as new rows need it, so that intervals cover what they say.

The noise of a table's numbers is learned from the rows to which all other weights were fitted, and so is too small for
new rows: the more so, the fewer were learned from. Held-out rows x_1, ..., x_n say how much wider it has to be. With
all else fixed, the deviation σ_j of a number, and the dispersion r_j of a count (`aevb.models.likelihoods`), become

    σ_j e^{w_j},  r_j e^{-2 w_j},    w = argmax Σ_i log p(x_i) - ν Σ_j (w_j - w̄)²  over all w ≥ 0

A few rows cannot tell columns apart: against a column that goes its own way stand, as it were, ν values, and nothing
against all columns together. Nothing becomes narrower: new rows are no closer to the model than those it learned from.

Of each row, what is there counts, with S draws of z as for imputation (`aevb.evaluation.laplace`), which stay as the
noise changes, so that w can be searched for; then they are drawn anew, since where z may lie depends on the noise:

    log p(x) ≈ log 1/S Σ_s p(x | z_s) p(z_s) / h(z_s),    z_s ~ h = ½ q(z | x) + ½ r(z)

The bound would not do in its place: noise would pay for an encoder that is wrong about new rows.
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
from aevb.evaluation.laplace import candidates
from aevb.evaluation.posterior_samples import Part, parts
from aevb.models.likelihoods import Columns
from aevb.models.vae import VAE

AGAINST = 20.0
"""ν."""
ROUNDS = 3
"""Of drawing z."""
NUMBERS = 2**20
"""That are decoded in a round, at most, about: they set how many rows are asked, and S."""
FEWEST, MOST = 100, 1000
"""S, of many rows and of few."""


class Decoded(NamedTuple):
    """Rows with draws of z.

    Attributes:
        x: ``(B, D)``.
        output: what the decoder makes of z, ``(S, B, *output)``.
        log_weight: log p(z) / h(z), ``(S, B)``.
    """

    x: Tensor
    output: Tensor
    log_weight: Tensor


def calibrate_noise(model: VAE, examples: Examples, *, seed: int = 0) -> None:
    """Widen the noise of a table's numbers as far as held-out rows ask for it.

    Args:
        model: trained, of the columns of a table; it is left in evaluation mode.
        examples: that it has not learned from; where there are none, nothing changes.
        seed: of the draws.
    """
    learned = deepcopy(model.likelihood)
    assert isinstance(learned, Columns)
    if not (learned.n_noise_parameters and examples):
        return
    asked = examples.subsample(max(1, NUMBERS // FEWEST // examples.shape[0]))
    samples = min(MOST, NUMBERS // asked.values.numel())
    for _ in range(ROUNDS):
        drawn = parts(model, asked, samples, seed=seed, memory=2**30, together=1)
        decoded = [some for part in drawn for some in _decoded(part)]
        wider = learned.with_scaled_noise(_wider(learned, decoded))
        # Weights are saved in float32: what comes back is to be the same.
        model.likelihood.load_state_dict({name: weight.float() for name, weight in wider.items()}, strict=False)


@torch.no_grad()
def _decoded(part: Part) -> Iterator[Decoded]:
    """A few rows at a time, so that those at work stay in the processor's caches."""
    z, log_weight = candidates(part)
    few = max(1, part.rows // len(z))
    for start in range(0, len(part.batch), few):
        rows = slice(start, start + few)
        batch, weight = part.batch[rows], log_weight[:, rows]
        output = part.model.decoder_output(z[:, rows], batch.condition)
        yield Decoded(batch.x, output, weight.to(output) - part.model.likelihood(output).log_prob(batch.x))


def _wider(likelihood: Columns, decoded: Sequence[Decoded]) -> Tensor:
    """w, ``(J,)``."""

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w = likelihood.log_scale.new_tensor(at).requires_grad_()
        told = torch.stack([_told(likelihood, w, some) for some in decoded]).sum()
        total = AGAINST * (w - w.mean()).square().sum() - told
        (slope,) = torch.autograd.grad(total, w)
        return total.item(), slope.double().cpu().numpy()

    start = np.zeros(likelihood.n_noise_parameters)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start))
    return likelihood.log_scale.new_tensor(found.x)


def _told(likelihood: Columns, w: Tensor, decoded: Decoded) -> Tensor:
    """The sum of log p(x) where noise is wider, but for log S."""
    noisy = functional_call(likelihood, likelihood.with_scaled_noise(w), decoded.output)
    return torch.as_tensor((noisy.log_prob(decoded.x) + decoded.log_weight).logsumexp(0).sum())
