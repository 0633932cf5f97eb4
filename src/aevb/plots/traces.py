"""Rows that are curves: reconstructions over test examples, and samples beside them."""

from collections.abc import Sequence

import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from aevb.data.examples import Examples
from aevb.models.distributions import IndependentColumns
from aevb.models.vae import VAE
from aevb.plots.style import COLORS, STYLE, legend_below, subplots
from aevb.rng import RNGStream, seeded

PANELS, CURVES = 8, 6
"""The numbers of reconstructions, and of test examples and samples."""
ROWS = 2000
"""The largest number of rows whose quantiles are computed."""


@rc_context(STYLE)
def reconstructed_curves(model: VAE, examples: Examples, order: Sequence[int]) -> Figure:
    """Plot curves and their reconstructions: the mean of p(x|z) at the mean of q(z|x), with its standard deviation.

    Args:
        model: the model.
        examples: evenly spaced ones are shown.
        order: indices of the points of a curve in a row, from left to right.
    """
    batch = examples.subsample(PANELS).all()
    given = batch.to(model.device)
    with torch.no_grad():
        p = model.decode(model.decoder_input(model.latent_means(given)), given.condition)
    means = p.mean.cpu()[:, order]
    # Distributions of the columns of a table have no common standard deviation.
    stddevs = None if isinstance(p, IndependentColumns) else p.stddev.expand_as(p.mean).cpu()[:, order]
    figure, axes = subplots(len(means), height=1.9, share=True)
    for n, axis in enumerate(axes):
        if stddevs is not None:
            _band(axis, means[n] - stddevs[n], means[n] + stddevs[n], "#f3c9c2", "± 1 standard deviation of p(x|z)")
        axis.plot(batch.x[n, order], color="black", linewidth=0.8, label="test example")
        axis.plot(means[n], color=COLORS[2], linewidth=1, label="reconstruction")
        axis.set(xlabel="column")
        axis.label_outer()
    legend_below(figure, axes[0])
    return figure


@rc_context(STYLE)
def sampled_curves(model: VAE, examples: Examples, order: Sequence[int], *, seed: int = 0) -> Figure:
    """Plot some test examples and, beside them, samples from the model, each over the quantiles of all of them.

    Args:
        model: the model.
        examples: test examples; the samples of a conditional model have their conditions.
        order: indices of the points of a curve in a row, from left to right.
        seed: of the samples.
    """
    batch = examples.subsample(ROWS).all()
    with seeded(seed, RNGStream.SAMPLES, device=model.device):
        drawn = model.sample(len(batch.x), batch.condition, draw=True).cpu()
    figure, axes = subplots(2, width=4.5, height=2.8, share=True)
    for axis, title, rows in zip(axes, ("test examples", "samples"), (batch.x, drawn), strict=True):
        _some_curves(axis, rows[:, order])
        axis.set(title=title, xlabel="column")
        axis.label_outer()
    legend_below(figure, axes[0])
    return figure


def _some_curves(axis: Axes, rows: Tensor) -> None:
    """Plot evenly spaced curves over the quantiles of all rows ``(N, D)``."""
    low, high = (rows.double().nanquantile(share, 0) for share in (0.05, 0.95))
    _band(axis, low, high, "0.85", "5 % to 95 % quantile of each column")
    for n, row in enumerate(torch.linspace(0, len(rows) - 1, min(CURVES, len(rows))).long()):
        axis.plot(rows[row], color=COLORS[n], linewidth=0.9)


def _band(axis: Axes, low: Tensor, high: Tensor, color: str, label: str) -> None:
    axis.fill_between(range(len(low)), low, high, color=color, linewidth=0, label=label)
