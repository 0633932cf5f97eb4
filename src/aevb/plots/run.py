"""The figures of a run."""

from collections.abc import Iterator

import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor

from aevb.columns import modelled
from aevb.data.dataset import Dataset, Examples
from aevb.models.vae import VAE
from aevb.plots.curves import training
from aevb.plots.images import manifold, picture
from aevb.plots.points import Cloud, clouds, histograms, latent, shares
from aevb.plots.style import STYLE, as_text, legend_below, subplots
from aevb.rng import RNGStream, seeded
from aevb.runs.run import Run

PANELS = 12
"""Columns of a table that a figure shows at most."""


def figures(run: Run, dataset: Dataset) -> Iterator[tuple[str, Figure]]:
    """The figures of a run, by name: training, reconstructions, samples, and for two latent dimensions more.

    Args:
        run: trained.
        dataset: the one it was trained on; pictures show its test part.
    """
    with rc_context(STYLE):
        if run.epochs:
            yield "training", training(run.epochs)
        if dataset.columns:
            yield "samples", sampled_columns(run.model, dataset, seed=run.config.seed)
        else:
            yield "reconstructions", reconstructions(run.model, dataset.test)
            yield "samples", samples(run.model, dataset.test, seed=run.config.seed)
        if run.config.model.latent == (2,):
            if len(dataset.shape) == 3 and not dataset.condition_columns:
                yield "manifold", manifold(run.model)
            yield "latent", latent(run.model, dataset.test, dataset.classes)


def reconstructions(model: VAE, examples: Examples) -> Figure:
    """Examples beside the mean of p(x|z) at the mean of q(z|x)."""
    some = examples[: 20 if len(examples.shape) == 3 else 1000]
    batch = some.all()
    x, again = batch.x, model.reconstruct(batch.to(model.device)).cpu()
    if x.dim() == 4:
        return picture(torch.stack([x, again]), 10, "test examples above their reconstructions")
    figure, axes = subplots(min(x.shape[1], PANELS))
    for column, axis in enumerate(axes):
        axis.scatter(x[:, column], again[:, column], s=4, alpha=0.5, linewidths=0)
        # Any point of the line would do, but the axes are made to show it: one amid the data widens them least.
        axis.axline((float(x[:, column].median()),) * 2, slope=1, color="black", linewidth=0.5)
        axis.set(title=f"column {column + 1}", xlabel="test example", ylabel="reconstruction")
    return figure


def sampled_columns(model: VAE, dataset: Dataset, *, seed: int = 0) -> Figure:
    """Each column of a table, test examples beside draws from the model: numbers as densities, others as shares."""
    with seeded(seed, RNGStream.SAMPLES, device=model.device):
        condition = dataset.test.subsample(2000).condition
        drawn = model.sample(min(len(dataset.test), 2000), condition, draw=True).cpu()
    x, order = dataset.test.all().x, modelled(dataset.columns)
    columns = sorted(order, key=lambda column: column.place)[:PANELS]
    figure, axes = subplots(len(columns))
    for column, axis in zip(columns, axes, strict=True):
        place = order.index(column)
        found = x[:, place][~x[:, place].isnan()]
        if column.values:
            shares(axis, found, drawn[:, place], column.values)
        else:
            histograms(axis, found, _near(drawn[:, place], found))
        axis.set(title=as_text(column.name), ylabel="share" if column.values else "density")
    legend_below(figure, axes[0])
    return figure


def _near(drawn: Tensor, x: Tensor) -> Tensor:
    """The draws that are not far from the data: one of them would hide the rest."""
    if not len(x):
        return drawn
    low, high = x.min(), x.max()
    return drawn[(drawn >= low - 0.5 * (high - low)) & (drawn <= high + 0.5 * (high - low))]


def samples(model: VAE, examples: Examples, *, seed: int = 0) -> Figure:
    """Draws from the prior, decoded: images as the mean of p(x|z), rows with their noise beside the data.

    Under a condition each is given what an example is given; images are in the order of this.
    """
    image = len(examples.shape) == 3
    count = 100 if image else min(len(examples), 2000)
    condition = examples[torch.linspace(0, len(examples) - 1, count).long()].condition
    condition = condition.sort(0).values if image and condition is not None else condition
    with seeded(seed, RNGStream.SAMPLES, device=model.device):
        drawn = model.sample(count, condition, draw=not image).cpu()
    if image:
        return picture(drawn, 10, "mean of p(x|z) for z drawn from the prior")
    x = examples.batch(slice(0, len(drawn))).x
    if x.shape[1] == 2:
        return clouds([Cloud("test examples", x), Cloud("samples", drawn)])
    figure, axes = subplots(min(x.shape[1], PANELS))
    for column, axis in enumerate(axes):
        histograms(axis, x[:, column], drawn[:, column])
        axis.set(title=f"column {column + 1}", ylabel="density")
    axes[0].legend()
    return figure
