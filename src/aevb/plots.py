"""Run records to figures, in one visual style. Nothing is trained here: a figure can be drawn again from the folder.

Colours can be told apart by the colour blind (Petroff 2021); training is dashed and validation solid, everywhere.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from aevb.data.dataset import Dataset, Examples
from aevb.model import VAE
from aevb.runs import Run
from aevb.training import Epoch, seeded

COLOURS = ["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"]
STYLE: Any = {
    "axes.prop_cycle": f"cycler('color', {COLOURS})",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "font.size": 10,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "savefig.bbox": "tight",
}
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
        yield "reconstructions", reconstructions(run.model, dataset.test)
        yield "samples", samples(run.model, dataset.test, seed=run.config.seed)
        if run.config.model.latent == 2:
            if len(dataset.shape) == 3:
                yield "manifold", manifold(run.model)
            yield "latent", latent(run.model, dataset.test, dataset.classes)


def save(figure: Figure, path: Any) -> None:
    """Write a figure in the house's resolution."""
    with rc_context(STYLE):
        figure.savefig(path)


def training(epochs: Sequence[Epoch]) -> Figure:
    """Bound, distortion and rate against the epoch."""
    figure, axes = _panels(3, columns=3, width=3.4, height=2.8)
    numbers = [epoch.number for epoch in epochs]
    for axis, name in zip(axes, ("bound", "distortion", "rate"), strict=True):
        axis.plot(numbers, [getattr(epoch.train, name) for epoch in epochs], "--", color=COLOURS[0], label="train")
        if epochs[0].valid:
            axis.plot(numbers, [getattr(epoch.valid, name) for epoch in epochs], color=COLOURS[2], label="validation")
        axis.set(title=name, xlabel="epoch", ylabel="nats per example")
        axis.set_ylim(*_robust_limits(axis))
    axes[0].legend()
    return figure


def reconstructions(model: VAE, examples: Examples) -> Figure:
    """Examples beside the mean of p(x|z) at the mean of q(z|x)."""
    x = examples.batch(slice(0, 20 if len(examples.shape) == 3 else 1000))
    again = model.reconstruct(x.to(_device(model))).cpu()
    if x.dim() == 4:
        return _pictures(_interleave(torch.stack([x, again]), 10), 10, "test examples above their reconstructions")
    figure, axes = _panels(min(x.shape[1], PANELS))
    for column, axis in enumerate(axes):
        axis.scatter(x[:, column], again[:, column], s=4, alpha=0.5, linewidths=0)
        axis.axline((float(x[0, column]),) * 2, slope=1, color="black", linewidth=0.5)
        axis.set(title=f"column {column + 1}", xlabel="test example", ylabel="reconstruction")
    return figure


def samples(model: VAE, examples: Examples, *, seed: int = 0) -> Figure:
    """Draws from the prior, decoded: images as the mean of p(x|z), rows with their noise beside the data."""
    image = len(examples.shape) == 3
    with seeded(seed, 0, device=_device(model)):
        drawn = model.sample(100 if image else min(len(examples), 2000), draw=not image).cpu()
    if image:
        return _pictures(drawn, 10, "mean of p(x|z) for z drawn from the prior")
    x = examples.batch(slice(0, len(drawn)))
    if x.shape[1] == 2:
        return _clouds(x, drawn)
    figure, axes = _panels(min(x.shape[1], PANELS))
    for column, axis in enumerate(axes):
        edges = np.histogram_bin_edges(x[:, column].numpy(), 30).tolist()
        for values, label, colour in ((x, "test examples", COLOURS[0]), (drawn, "samples", COLOURS[2])):
            axis.hist(values[:, column], edges, density=True, histtype="step", color=colour, label=label, linewidth=1.5)
        axis.set(title=f"column {column + 1}", ylabel="density")
    axes[0].legend()
    return figure


def manifold(model: VAE, *, side: int = 20, extent: float = 3.0) -> Figure:
    """The decoded plane: the mean of p(x|z) on a grid of z over [-extent, extent]²."""
    ticks = torch.linspace(-extent, extent, side)
    z = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), dim=-1).flip(0).reshape(-1, 2)
    with torch.no_grad():
        images = model.decode(z.to(_device(model))).mean.cpu()
    figure = Figure(figsize=(7, 7))
    axis = figure.subplots()
    half = extent * side / (side - 1)
    axis.imshow(tiles(images, side), cmap="gray_r", vmin=0, vmax=1, extent=(-half, half, -half, half))
    axis.set(title="mean of p(x|z) over the latent plane", xlabel="$z_1$", ylabel="$z_2$")
    return figure


def latent(model: VAE, examples: Examples, classes: Sequence[str] | None = None) -> Figure:
    """The posterior means of test examples in the latent plane, coloured by class where there are classes."""
    parts = [examples.batch(slice(i, i + 1000)).to(_device(model)) for i in range(0, len(examples), 1000)]
    with torch.no_grad():
        means = torch.cat([model.encode(x).mean.cpu() for x in parts])
    figure = Figure(figsize=(7, 6))
    axis = figure.subplots()
    labels = torch.zeros(len(means), dtype=torch.int64) if examples.labels is None else examples.labels.cpu()
    names = ["test examples"] if examples.labels is None or classes is None else classes
    for number, name in enumerate(names):
        chosen = means[labels == number]
        colour = COLOURS[number % len(COLOURS)]
        axis.scatter(
            chosen[:, 0], chosen[:, 1], s=min(12.0, 6e4 / len(means)), alpha=0.6, linewidths=0, color=colour, label=name
        )
    axis.set(title="means of q(z|x), test examples", xlabel="$z_1$", ylabel="$z_2$", aspect="equal")
    legend = axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=3)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)
    return figure


def tiles(images: Tensor, columns: int) -> NDArray[np.float32]:
    """Images ``(N, C, H, W)`` side by side in rows, with a gap of paper: one array, with colours ``(…, 3)``.

    Paper, also in the missing tiles of the last row, is 0 for grey and 1 for colour.
    """
    count, channels, height, width = images.shape
    rows, gap = -(-count // columns), -(-height // 16)
    height, width = height + gap, width + gap
    sheet = torch.full((rows * columns, channels, height, width), 0.0 if channels == 1 else 1.0)
    sheet[:count, :, : height - gap, : width - gap] = images.clamp(0, 1)
    sheet = sheet.view(rows, columns, channels, height, width).permute(0, 3, 1, 4, 2)
    sheet = sheet.reshape(rows * height, columns * width, channels)
    return (sheet[..., 0] if channels == 1 else sheet).numpy()


def save_picture(images: Tensor, columns: int, path: Any) -> None:
    """Write images ``(N, C, H, W)``, or pairs ``(2, N, C, H, W)`` one above the other, enlarged to be seen."""
    if images.dim() == 5:
        images = _interleave(images, columns)
    sheet = tiles(images, columns)
    ink = (255 * ((1 - sheet) if sheet.ndim == 2 else sheet)).round().astype(np.uint8)
    factor = max(1, 1000 // sheet.shape[1])
    Image.fromarray(ink.repeat(factor, 0).repeat(factor, 1)).save(path)


def _interleave(pairs: Tensor, columns: int) -> Tensor:
    """Pairs ``(2, N, ...)`` to rows of `columns` firsts, each above the row of their seconds, ``(2 N', ...)``."""
    missing = -pairs.shape[1] % columns
    pairs = torch.cat([pairs, pairs.new_zeros(2, missing, *pairs.shape[2:])], 1)
    return pairs.reshape(2, -1, columns, *pairs.shape[2:]).transpose(0, 1).flatten(0, 2)


def _pictures(images: Tensor, columns: int, title: str) -> Figure:
    sheet = tiles(images, columns)
    figure = Figure(figsize=(7, 7 * sheet.shape[0] / sheet.shape[1] + 0.3))
    axis = figure.subplots()
    axis.imshow(sheet, cmap="gray_r", vmin=0, vmax=1)
    axis.set(title=title)
    axis.set_axis_off()
    return figure


def _clouds(x: Tensor, drawn: Tensor) -> Figure:
    figure, axes = _panels(2, columns=2, width=3.4, height=3.4, share=True)
    for axis, points, title, colour in zip(axes, (x, drawn), ("test examples", "samples"), COLOURS[:3:2], strict=True):
        axis.scatter(points[:, 0], points[:, 1], s=4, alpha=0.5, linewidths=0, color=colour)
        axis.set(title=title, xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    return figure


def _panels(
    count: int, columns: int = 4, width: float = 2.6, height: float = 2.4, share: bool = False
) -> tuple[Figure, list[Axes]]:
    """Axes in rows, with no empty ones."""
    rows, columns = -(-count // columns), min(count, columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes: list[Axes] = list(figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).flat)
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def _robust_limits(axis: Axes) -> tuple[float, float]:
    """Limits that leave the first epochs out where they would flatten the rest."""
    curves = [np.asarray(line.get_ydata(), dtype=float) for line in axis.get_lines()]
    late = np.concatenate([curve[len(curve) // 20 :] for curve in curves])
    margin = 0.05 * (np.ptp(late) or 1.0)
    return float(late.min() - margin), float(late.max() + margin)


def _device(model: VAE) -> torch.device:
    return next(model.parameters()).device
