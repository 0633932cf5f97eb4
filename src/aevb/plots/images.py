"""Figures of images; `aevb.data.image_sheet` explains their shades."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from aevb.data.image_sheet import interleave, printed, shades_of, tiles
from aevb.models.vae import VAE
from aevb.plots.style import STYLE, panel, subplots


def save_picture(images: Tensor, columns: int, path: str | Path) -> None:
    """Write images ``(N, C, H, W)``, or pairs ``(2, N, C, H, W)`` one above the other, at about 1000 pixels."""
    sheet = printed(images, columns)
    factor = max(1, 1000 // sheet.shape[1])
    Image.fromarray((255 * sheet).round().astype(np.uint8).repeat(factor, 0).repeat(factor, 1)).save(path)


@rc_context(STYLE)
def picture(images: Tensor, columns: int, title: str, *, ax: Axes | None = None) -> Figure:
    """Plot a sheet of images ``(N, C, H, W)``, or of pairs ``(2, N, C, H, W)`` one above the other, into `ax`."""
    sheet = printed(images, columns)
    figure, axis = panel(ax, 7, 7 * sheet.shape[0] / sheet.shape[1] + 0.3)
    axis.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    axis.set(title=title)
    axis.set_axis_off()
    return figure


@rc_context(STYLE)
def image_rows(rows: Mapping[str, Tensor], title: str, *, ax: Axes | None = None) -> Figure:
    """Plot one labeled row of images ``(N, C, H, W)`` for each name, into `ax` or a new figure."""
    stacked = torch.stack(list(rows.values()))
    sheet = printed(stacked.flatten(0, 1), stacked.shape[1])
    figure, axis = panel(ax, 7, 7 * sheet.shape[0] / sheet.shape[1] + 0.3, "constrained")
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
    shades = shades_of(torch.stack(list(sheets.values())))
    papers = [tiles(interleave(part, columns) if part.dim() == 5 else part, columns) for part in shades]
    width = 10 / min(across, len(sheets))
    figure, axes = subplots(len(sheets), across, width, width * papers[0].shape[0] / papers[0].shape[1] + 0.3)
    for axis, title, sheet in zip(axes, sheets, papers, strict=True):
        axis.imshow(sheet, cmap="gray", vmin=0, vmax=1)
        axis.set_title(title)
        axis.set_axis_off()
    return figure


@rc_context(STYLE)
def manifold(model: VAE, *, side: int = 20, extent: float | None = 3.0, ax: Axes | None = None) -> Figure:
    """Plot the decoded latent plane: the mean of p(x|z) on a grid of z.

    Args:
        model: a model of images with two latent dimensions.
        side: the number of grid points in each direction.
        extent: the grid is even over [-extent, extent]². If None, its points are even quantiles of the prior, the
            inverse CDF of an even grid over the unit square (Kingma & Welling 2013), so that all images represent the
            same prior mass.
        ax: axes to draw into; None for a new figure.
    """
    figure, axis = panel(ax, 7, 7)
    _manifold(axis, model, side, extent)
    axis.set(title="mean of p(x|z) on a grid of z")
    return figure


@rc_context(STYLE)
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
