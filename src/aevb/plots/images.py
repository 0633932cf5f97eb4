"""Sheets of images.

All images of a sheet share one gray scale, so that they can be compared. A value v in the range [a, b] has the shade
(v - a) / (b - a), where 0 is black and 1 is white; [a, b] is [0, 1] or the range of the values. Gray images with mostly
low values, such as digits, are inverted: dark ink on white paper.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from aevb.models.vae import VAE
from aevb.plots.style import STYLE, subplots


def tiles(shades: Tensor, columns: int) -> NDArray[np.float32]:
    """Return shades ``(N, C, H, W)`` side by side in rows with white gaps: one array, in color ``(…, 3)``.

    Missing tiles of the last row are white.
    """
    count, channels, height, width = shades.shape
    rows, gap = -(-count // columns), -(-height // 16)
    height, width = height + gap, width + gap
    sheet = torch.ones(rows * columns, channels, height, width)
    sheet[:count, :, : height - gap, : width - gap] = shades
    sheet = sheet.view(rows, columns, channels, height, width).permute(0, 3, 1, 4, 2)
    sheet = sheet.reshape(rows * height, columns * width, channels)
    return (sheet[..., 0] if channels == 1 else sheet).numpy()


def save_picture(images: Tensor, columns: int, path: str | Path) -> None:
    """Write images ``(N, C, H, W)``, or pairs ``(2, N, C, H, W)`` one above the other, at about 1000 pixels."""
    sheet = printed(images, columns)
    factor = max(1, 1000 // sheet.shape[1])
    Image.fromarray((255 * sheet).round().astype(np.uint8).repeat(factor, 0).repeat(factor, 1)).save(path)


def printed(images: Tensor, columns: int) -> NDArray[np.float32]:
    """Return the sheet of images ``(N, C, H, W)``, or of pairs ``(2, N, C, H, W)`` one above the other."""
    shades = _shades(images)
    return tiles(_interleave(shades, columns) if images.dim() == 5 else shades, columns)


def _shades(images: Tensor) -> Tensor:
    """Return the shades of values ``(..., C, H, W)`` of any scale; values that are not finite are white."""
    values = images.double()  # the width of a float32 range may exceed float32
    finite = values[values.isfinite()]
    low, high = _range(finite)
    shades = ((values - low) / ((high - low) or 1.0)).clamp(0, 1)
    # Of an even number of values, the lower median: an image that is half ink is inverted.
    ink = images.shape[-3] == 1 and len(finite) > 0 and finite.median().item() < (low + high) / 2
    return (1 - shades if ink else shades).nan_to_num(nan=1.0).float()


def _range(finite: Tensor) -> tuple[float, float]:
    """Return the values of black and white: 0 and 1, also if a model's means exceed them slightly."""
    if len(finite) == 0 or (finite.min() >= -0.5 and finite.max() <= 1.5):
        return 0.0, 1.0
    return finite.min().item(), finite.max().item()


def _interleave(pairs: Tensor, columns: int) -> Tensor:
    """Reorder pairs ``(2, N, ...)`` so that each row of `columns` first elements stands above their second elements.

    Returns:
        ``(2 N', ...)``; missing pairs of the last row are white.
    """
    missing = -pairs.shape[1] % columns
    pairs = torch.cat([pairs, pairs.new_ones(2, missing, *pairs.shape[2:])], 1)
    return pairs.reshape(2, -1, columns, *pairs.shape[2:]).transpose(0, 1).flatten(0, 2)


def picture(images: Tensor, columns: int, title: str) -> Figure:
    """Plot a sheet of images ``(N, C, H, W)`` or pairs ``(2, N, C, H, W)``."""
    sheet = printed(images, columns)
    figure = Figure(figsize=(7, 7 * sheet.shape[0] / sheet.shape[1] + 0.3))
    axis = figure.subplots()
    axis.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    axis.set(title=title)
    axis.set_axis_off()
    return figure


@rc_context(STYLE)
def image_rows(rows: Mapping[str, Tensor], title: str) -> Figure:
    """Plot one labeled row of images ``(N, C, H, W)`` for each name."""
    stacked = torch.stack(list(rows.values()))
    sheet = printed(stacked.flatten(0, 1), stacked.shape[1])
    figure = Figure(figsize=(7, 7 * sheet.shape[0] / sheet.shape[1] + 0.3), layout="constrained")
    axis = figure.subplots()
    axis.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    middles = (np.arange(len(rows)) + 0.5) * sheet.shape[0] / len(rows)
    axis.set(title=title, xticks=[], yticks=middles, yticklabels=list(rows))
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


@rc_context(STYLE)
def image_sheets(sheets: Mapping[str, Tensor], *, columns: int, across: int = 2) -> Figure:
    """Plot several sheets of images, each below its title.

    Args:
        sheets: images ``(N, C, H, W)`` or pairs ``(2, N, C, H, W)`` by title, of one shape.
        columns: the number of columns of a sheet.
        across: the number of sheets in a row.
    """
    shades = _shades(torch.stack(list(sheets.values())))
    papers = [tiles(_interleave(part, columns) if part.dim() == 5 else part, columns) for part in shades]
    width = 10 / min(across, len(sheets))
    figure, axes = subplots(len(sheets), across, width, width * papers[0].shape[0] / papers[0].shape[1] + 0.3)
    for axis, title, sheet in zip(axes, sheets, papers, strict=True):
        axis.imshow(sheet, cmap="gray", vmin=0, vmax=1)
        axis.set_title(title)
        axis.set_axis_off()
    return figure


def manifold(model: VAE, *, side: int = 20, extent: float | None = 3.0) -> Figure:
    """Plot the decoded latent plane: the mean of p(x|z) on a grid of z.

    Args:
        model: a model of images with two latent dimensions.
        side: the number of grid points in each direction.
        extent: the grid is even over [-extent, extent]². If None, its points are even quantiles of the prior, the
            inverse CDF of an even grid over the unit square (Kingma & Welling 2013), so that all images represent the
            same prior mass.
    """
    figure = Figure(figsize=(7, 7))
    axis = figure.subplots()
    _manifold(axis, model, side, extent)
    axis.set(title="mean of p(x|z) on a grid of z")
    return figure


def manifolds(models: Mapping[str, VAE], *, side: int = 16, extent: float = 3.0) -> Figure:
    """Plot the decoded latent planes of several models, on an even grid over [-extent, extent]²."""
    figure, axes = subplots(len(models), columns=2, width=5, height=5)
    for axis, (title, model) in zip(axes, models.items(), strict=True):
        _manifold(axis, model, side, extent)
        axis.set(title=title)
    return figure


def _manifold(axis: Axes, model: VAE, side: int, extent: float | None) -> None:
    if extent is None:
        ticks, edges, prefix = torch.special.ndtri((torch.arange(side) + 0.5) / side), (0.0, 1.0), "quantile of "
    else:
        half = extent * side / (side - 1)
        ticks, edges, prefix = torch.linspace(-extent, extent, side), (-half, half), ""
    z = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), dim=-1).flip(0).reshape(-1, 2)
    with torch.no_grad():
        images = model.decode(z.to(model.device)).mean.cpu()
    axis.imshow(printed(images, side), cmap="gray", vmin=0, vmax=1, extent=(*edges, *edges))
    axis.set(xlabel=f"{prefix}$z_1$", ylabel=f"{prefix}$z_2$")


def morphing(model: VAE, images: Tensor, *, steps: int = 10) -> Figure:
    """Plot interpolations from each image to the next, between their latent means and between their pixels.

    Args:
        model: a model of images.
        images: ``(N, C, H, W)``; each of the N - 1 rows of a panel starts where the previous row ends.
        steps: the number of images in a row, including both ends.
    """
    start, end = images[:-1].to(model.device), images[1:].to(model.device)
    fade = torch.lerp(start, end, torch.linspace(0, 1, steps, device=start.device).view(-1, 1, 1, 1, 1))
    walks = {"between latent means": model.interpolate(start, end, steps), "between pixels": fade}
    return image_sheets(
        {title: walk.transpose(0, 1).flatten(0, 1).cpu() for title, walk in walks.items()}, columns=steps
    )
