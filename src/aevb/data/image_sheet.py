"""Sheets of images, as arrays of shades.

All images of a sheet share one gray scale, so that they can be compared. A value v in the range [a, b] has the shade
(v - a) / (b - a), where 0 is black and 1 is white; [a, b] is [0, 1] or the range of the values. Gray images with mostly
low values, such as digits, are inverted: dark ink on white paper.
"""

from base64 import b64encode
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor


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


def printed(images: Tensor, columns: int) -> NDArray[np.float32]:
    """Return the sheet of images ``(N, C, H, W)``, or of pairs ``(2, N, C, H, W)`` one above the other."""
    shades = shades_of(images)
    return tiles(interleave(shades, columns) if images.dim() == 5 else shades, columns)


def shades_of(images: Tensor) -> Tensor:
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


def interleave(pairs: Tensor, columns: int) -> Tensor:
    """Reorder pairs ``(2, N, ...)`` so that each row of `columns` first elements stands above their second elements.

    Returns:
        ``(2 N', ...)``; missing pairs of the last row are white.
    """
    missing = -pairs.shape[1] % columns
    pairs = torch.cat([pairs, pairs.new_ones(2, missing, *pairs.shape[2:])], 1)
    return pairs.reshape(2, -1, columns, *pairs.shape[2:]).transpose(0, 1).flatten(0, 2)


def as_html(sheet: NDArray[np.float32], scale: int = 1) -> str:
    """Return shades in [0, 1], ``(H, W)`` or in color ``(H, W, 3)``, as an image of HTML.

    Args:
        sheet: the shades.
        scale: width of a pixel on the screen.
    """
    file = BytesIO()
    Image.fromarray((255 * sheet).round().astype(np.uint8)).save(file, "png", optimize=True)
    source = f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
    style = "image-rendering: pixelated; margin: 0.3em 0; max-width: 100%"
    return f'<img src="{source}" width="{scale * sheet.shape[1]}" alt="examples" style="{style}">'
