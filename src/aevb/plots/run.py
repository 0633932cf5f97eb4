"""The figures of a run.

A figure is a function of a run and its data set, registered by name:

    @register.plot("bound", title="Bound", caption="The bound over the epochs.")
    def bound(run, dataset): ...

It returns a matplotlib figure, or None if it does not apply. Every registered figure is written to figures/NAME.png and
shown in report.html with its title and caption.
"""

from collections.abc import Callable, Iterator

import torch
from matplotlib import rc_context
from matplotlib.figure import Figure

from aevb.data.curves import curve_order
from aevb.data.dataset import Dataset
from aevb.data.examples import Examples
from aevb.models.registry import register
from aevb.models.vae import VAE
from aevb.plots.curves import training
from aevb.plots.images import manifold, picture
from aevb.plots.points import Cloud, clouds, histograms, latent
from aevb.plots.style import STYLE, legend_below, subplots
from aevb.plots.tables import PANELS, reconstructed_columns, sampled_columns
from aevb.plots.traces import reconstructed_curves, sampled_curves
from aevb.rng import RNGStream, seeded
from aevb.runs.run_folder import RunFolder

Plot = Callable[[RunFolder, Dataset], Figure | None]


def figures(run: RunFolder, dataset: Dataset) -> Iterator[tuple[str, Figure]]:
    """Yield the registered figures that apply to a run, by name.

    Args:
        run: a trained run.
        dataset: the data set of the run; figures show its test split.
    """
    plot: Plot
    for name, plot in register.plot.items():
        with rc_context(STYLE):
            figure = plot(run, dataset)
        if figure is not None:
            yield name, figure


@register.plot("training", title="Training", caption="The terms of the objective over the epochs, in nats per example.")
def _training(run: RunFolder, _dataset: Dataset) -> Figure | None:
    return training(run.epochs) if run.epochs else None


@register.plot(
    "reconstructions",
    title="Reconstructions",
    caption="Test examples x and their reconstructions: the mean of p(x|z), or its most probable category, at the mean"
    " of q(z|x).",
)
def _reconstructions(run: RunFolder, dataset: Dataset) -> Figure | None:
    order = curve_order(dataset.test[:1000].all().x, dataset.columns) if dataset.columns else None
    if order:
        return reconstructed_curves(run.model, dataset.test, order)
    return reconstructed_columns(run.model, dataset) if dataset.columns else reconstructions(run.model, dataset.test)


@register.plot("samples", title="Samples", caption="Samples from the model: z from the prior, decoded.")
def _samples(run: RunFolder, dataset: Dataset) -> Figure | None:
    order = curve_order(dataset.test[:1000].all().x, dataset.columns) if dataset.columns else None
    if order:
        return sampled_curves(run.model, dataset.test, order, seed=run.config.seed)
    if dataset.columns:
        return sampled_columns(run.model, dataset, seed=run.config.seed)
    return samples(run.model, dataset.test, seed=run.config.seed)


@register.plot("manifold", title="Decoded latent plane", caption="The mean of p(x|z) on an even grid of z.")
def _manifold(run: RunFolder, dataset: Dataset) -> Figure | None:
    images = len(dataset.shape) == 3 and not dataset.condition_columns
    return manifold(run.model) if images and run.resolved.layers == (2,) else None


@register.plot("latent", title="Latent means", caption="The means of q(z|x) of test examples.")
def _latent(run: RunFolder, dataset: Dataset) -> Figure | None:
    layers = run.resolved.layers
    return latent(run.model, dataset.test, dataset.classes) if len(layers) == 1 and layers[0] > 1 else None


@rc_context(STYLE)
def reconstructions(model: VAE, examples: Examples) -> Figure:
    """Plot examples and their reconstructions, the mean of p(x|z) at the mean of q(z|x): images, curves or columns."""
    batch = examples.subsample(20 if len(examples.shape) == 3 else 1000).all()
    x, again = batch.x, model.reconstruct(batch.to(model.device)).cpu()
    if x.dim() == 4:
        return picture(torch.stack([x, again]), 10, "test examples (above) and reconstructions (below)")
    if order := curve_order(x):
        return reconstructed_curves(model, examples, order)
    figure, axes = subplots(min(x.shape[1], PANELS))
    for column, axis in enumerate(axes):
        axis.scatter(x[:, column], again[:, column], s=4, alpha=0.5, linewidths=0)
        # Any point of the diagonal would do, but the axes expand to show it: the median expands them least.
        axis.axline((float(x[:, column].median()),) * 2, slope=1, color="black", linewidth=0.5)
        axis.set(title=f"x{column}", xlabel="test example", ylabel="reconstruction")
    _tell_columns(figure, x.shape[1])
    return figure


@rc_context(STYLE)
def samples(model: VAE, examples: Examples, *, seed: int = 0) -> Figure:
    """Plot samples from the prior, decoded: images as the mean of p(x|z), rows with noise, beside the data.

    The samples of a conditional model have the conditions of the examples; images are sorted by condition.
    """
    image = len(examples.shape) == 3
    order = None if image else curve_order(examples[:1000].all().x)
    if order:
        return sampled_curves(model, examples, order, seed=seed)
    count = 100 if image else min(len(examples), 2000)
    batch = examples.spaced(count).all()
    condition = batch.condition.sort(0).values if image and batch.condition is not None else batch.condition
    with seeded(seed, RNGStream.SAMPLES, device=model.device):
        drawn = model.sample(count, condition, draw=not image).cpu()
    if image:
        return picture(drawn, 10, "mean of p(x|z) for z sampled from the prior")
    x = batch.x
    if x.shape[1] == 2:
        return clouds([Cloud("test examples", x), Cloud("samples", drawn)])
    figure, axes = subplots(min(x.shape[1], PANELS))
    for column, axis in enumerate(axes):
        histograms(axis, x[:, column], drawn[:, column])
        axis.set(title=f"x{column}", ylabel="density")
    legend_below(figure, axes[0])
    _tell_columns(figure, x.shape[1])
    return figure


def _tell_columns(figure: Figure, columns: int) -> None:
    """Add a title if the figure does not show all columns of an array."""
    if columns > PANELS:
        figure.suptitle(f"the first {PANELS} of {columns} columns", fontsize="medium")
