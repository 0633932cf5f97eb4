"""Files of single images: their pixels, upright, on white, and with 8 or 16 bits.

The size of an image is checked before it is decoded: images of more than `MAX_PIXELS` pixels are refused.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from aevb.errors import BadInput

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # no format that needs a program from outside
MAX_PIXELS = 10**8
"""Largest number of pixels in an image."""
_GRAY_MODES = ("1", "L", "LA")
WHITE = 65535.0  # white in 16 bits

Pixels = NDArray[np.generic]  # (H, W) or (H, W, 3) uint8; or (H, W) float32 in [0, 1]


@dataclass(frozen=True)
class EncodedImage:
    """The content of an image file in memory.

    Attributes:
        title: name for error messages.
        content: encoded bytes.
    """

    title: str
    content: bytes

    def __str__(self) -> str:
        return self.title


ImageFile = Path | EncodedImage


class DecodedImage(NamedTuple):
    """An image that has been read.

    Attributes:
        file: its file.
        pixels: its pixels, resized.
        largest: its largest value before it was resized; 0 if it has 8 bits.
        size: width and height before it was resized.
        rotated: whether its EXIF data state another orientation.
        transparent: whether a part of it is transparent.
    """

    file: ImageFile
    pixels: Pixels
    largest: float
    size: tuple[int, int]
    rotated: bool
    transparent: bool


class DamagedImage(BadInput):
    """A file that cannot be decoded."""


def read_image(file: ImageFile, size: int | None) -> DecodedImage:
    """Read the image in a file.

    Args:
        file: the file.
        size: resize it to `size` x `size` pixels; None to keep its size.

    Raises:
        DamagedImage: the file cannot be decoded; the message is its name.
        BadInput: the image is too large, an animation, or has 32 bits per pixel.
    """
    try:
        with Image.open(_readable(file), formats=_FORMATS) as image:
            _require_max_pixels(image.size, file)
            _require_one_image(image, file)
            with_alpha = _has_wide_alpha(image)
            if with_alpha:
                image.tile = [image.tile[0]._replace(args="RGBA")]  # the bytes as they are: Pillow would drop 8 bits
            wide = with_alpha or _is_wide(image, file)
            with _silence() if image.format == "TIFF" and sys.stderr else nullcontext():
                upright = ImageOps.exif_transpose(image)
            pixels, largest = (
                _wide_pixels(upright, size, with_alpha=with_alpha) if wide else (_byte_pixels(upright, size), 0.0)
            )
            return DecodedImage(file, pixels, largest, upright.size, _is_rotated(image), _is_transparent(upright))
    except BadInput:
        raise
    except Image.DecompressionBombError as error:
        raise BadInput(_too_large(file)) from error
    except Exception as error:  # Pillow raises nearly anything on a damaged file
        raise DamagedImage(str(file)) from error


def _is_rotated(image: Image.Image) -> bool:
    return image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)


def _is_transparent(image: Image.Image) -> bool:
    """Return whether a part of an image is transparent, not only whether it has an opacity."""
    if not image.has_transparency_data:
        return False
    low, _ = image.convert("RGBA").getchannel("A").getextrema()
    return isinstance(low, int | float) and low < 255


def _readable(file: ImageFile) -> Path | BytesIO:
    return BytesIO(file.content) if isinstance(file, EncodedImage) else file


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress what libtiff writes to stderr; files that cannot be decoded raise errors."""
    sys.stderr.flush()
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def _require_max_pixels(size: tuple[int, int], file: ImageFile) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise BadInput(_too_large(file))


def _too_large(file: ImageFile) -> str:
    return f"{file} declares more than {MAX_PIXELS} pixels: shrink or remove it"


def _require_one_image(image: Image.Image, file: ImageFile) -> None:
    animated = getattr(image, "is_animated", False)  # counting the frames takes long
    if animated and image.format != "MPO":  # photographs with a preview
        raise BadInput(f"{file} holds several images: expected one in each file; save them separately")


def _is_wide(image: Image.Image, file: ImageFile) -> bool:
    """Return whether the image is gray with 16 bits, which a conversion by Pillow would clip to 8."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return True
    if image.mode in ("I", "F"):
        raise BadInput(f"{file} has pixels of 32 bits: expected 8 or 16; save such values as a .npy file")
    return False


def _has_wide_alpha(image: Image.Image) -> bool:
    """Return whether the image is gray with transparency, both with 16 bits."""
    tiles: list[Any] = getattr(image, "tile", [])
    return len(tiles) == 1 and tiles[0].args == "LA;16B"


def _wide_pixels(image: Image.Image, size: int | None, *, with_alpha: bool) -> tuple[Pixels, float]:
    values = np.asarray(image, dtype=np.float32)
    if with_alpha:  # the high and the low byte of the gray level, then those of its opacity
        values, opacity = values[..., 0] * 256 + values[..., 1], (values[..., 2] * 256 + values[..., 3]) / WHITE
        values = values * opacity + WHITE * (1 - opacity)
    pixels = Image.fromarray(values / WHITE)
    resized = np.asarray(_resized(pixels, size)).clip(0.0, 1.0)  # resampling overshoots at edges
    return resized, float(values.max())


def _byte_pixels(image: Image.Image, size: int | None) -> Pixels:
    colored = _on_white(image) if image.has_transparency_data else image.convert("RGB")
    gray = image.mode in _GRAY_MODES or (image.mode == "P" and _has_equal_channels(colored))
    return np.asarray(_resized(colored.convert("L") if gray else colored, size))


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _has_equal_channels(image: Image.Image) -> bool:
    pixels = np.asarray(image)
    return bool((pixels == pixels[..., :1]).all())


def _resized(image: Image.Image, size: int | None) -> Image.Image:
    return image if size is None else image.resize((size, size), Image.Resampling.LANCZOS)
