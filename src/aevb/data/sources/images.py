"""A folder of images, either directly in it or in one subfolder per class, whose name is the label.

The examples are (1, H, W) if all images are gray, else (3, H, W): bytes, or float32 in [0, 1] if an image is gray with
16 bits; colors are read with 8 bits. If all images have 16 bits and use fewer, as those of a camera with 12 bits, the
largest number of these bits is white; a note says so, and new images for the model have the same white.

The examples are in the order of their names. Images are rotated as their EXIF data state, and transparent parts become
white. Files with other suffixes are ignored, and counted in a note; names that begin with a dot, deeper folders and
special files are ignored without one. The size of an image is checked before it is decoded: images of more than
`MAX_PIXELS` pixels are refused.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from aevb import memory
from aevb.data.dataset import UnsplitData
from aevb.data.examples import Examples
from aevb.data.sources.filesystem import LocalLocation
from aevb.data.sources.registry import Option, ReadOptions, register_source
from aevb.errors import BadInput, option, printable

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # no format that needs a program from outside
MAX_PIXELS = 10**8
"""Largest number of pixels in an image."""
_GRAY_MODES = ("1", "L", "LA")
_WIDE = 65535.0  # white in 16 bits

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


@register_source
class ImageFolderSource:
    """Folders of images."""

    description = "a folder of images"
    options: frozenset[Option] = frozenset({"image_size"})
    priority = 20
    in_memory = False

    def accepts(self, data: object) -> bool:
        return isinstance(data, LocalLocation) and data.is_folder()

    def read(self, data: object, options: ReadOptions) -> UnsplitData:
        assert isinstance(data, LocalLocation)
        return read_images(data.path, options.image_size)

    def columns(self, data: object, options: ReadOptions) -> None:
        return None


def read_images(folder: Path, size: int | None = None) -> UnsplitData:
    """Read the images in a folder.

    Args:
        folder: the folder.
        size: resize images to `size` x `size` pixels.

    Raises:
        BadInput: there are no images, they are both in the folder and in subfolders, they have different sizes, or one
            is damaged, too large, an animation, or has 32 bits per pixel.
    """
    by_class = _find(folder)
    files = [file for members in by_class.values() for file in members]
    unsplit = unsplit_images(folder.resolve().name, str(folder), files, size)
    unsplit = replace(unsplit, notes=(*_notes(folder, by_class), *unsplit.notes))
    if list(by_class) == [""]:
        return unsplit
    labels = torch.repeat_interleave(torch.tensor([len(members) for members in by_class.values()]))
    return replace(unsplit, examples=replace(unsplit.examples, labels=labels), classes=tuple(by_class))


def unsplit_images(name: str, title: str, files: Sequence[ImageFile], size: int | None = None) -> UnsplitData:
    """Read images without labels.

    Args:
        name: name of the data.
        title: name for error messages.
        files: at least one.
        size: resize images to `size` x `size` pixels.

    Raises:
        BadInput: the images have different sizes, or one is damaged, too large, an animation, or has 32 bits per pixel.
    """
    if size is not None and not 1 <= size <= MAX_PIXELS**0.5:
        raise BadInput(f"image_size={size}: expected a whole number of pixels from 1 to {MAX_PIXELS**0.5:.0f}")
    images, largest = _read_all(title, files, size)
    values, scale = _stacked(images)
    white = _white(images, largest)
    notes = (f"the images have 16 bits and no value above {white}, which is taken as white",)
    narrow = white is not None and white < _WIDE
    examples = Examples(torch.from_numpy(values), None, scale)
    return UnsplitData(name, examples, notes=notes if narrow else (), white=white and white / _WIDE)


def _notes(folder: Path, by_class: dict[str, list[Path]]) -> Iterator[str]:
    """Yield a note on files that are ignored."""
    files = [file for name in by_class for file in _visible(folder / name, Path.is_file)]
    ignored = [file.name for file in files if file.suffix.lower() not in _SUFFIXES]
    if ignored:
        yield f"ignored: {len(ignored)} files that are not images, such as {printable(ignored[0])}"


# Files.


def _find(folder: Path) -> dict[str, list[Path]]:
    """Return the image files of each class by its name; the class is "" if they are directly in the folder."""
    direct = _images_in(folder)
    subfolders = {subfolder.name: _images_in(subfolder) for subfolder in _visible(folder, Path.is_dir)}
    by_class = {name: files for name, files in subfolders.items() if files}
    if direct and by_class:
        raise BadInput(
            f"{folder} has images both in it ({direct[0].name}) and in subfolders ({next(iter(by_class))}): "
            "expected either images only or one subfolder per class; move them"
        )
    if not direct and not by_class:
        raise BadInput(
            f"{folder} has no images: expected files with the suffix {', '.join(_SUFFIXES)}, "
            "directly in it or in one subfolder per class"
        )
    return by_class or {"": direct}


def _images_in(folder: Path) -> list[Path]:
    return [file for file in _visible(folder, Path.is_file) if file.suffix.lower() in _SUFFIXES]


def _visible(folder: Path, matches: Callable[[Path], bool]) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith(".") and matches(entry))
    except OSError as error:
        raise BadInput(
            f"{folder} cannot be listed ({error.strerror}): expected a folder with read permission"
        ) from error


# Pixels.


def _read_all(title: str, files: Sequence[ImageFile], size: int | None) -> tuple[list[Pixels], float]:
    """Return the images, and the largest value of those with 16 bits before they were resized."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd metadata, and large images, which `_require_max_pixels` checks
        first, largest = _read(files[0], size)
        images = [first]
        memory.require(
            len(files) * images[0].nbytes,
            f"{title}, {len(files)} images,",
            f"use a smaller {option('data.image-size')}",
        )
        for file in files[1:]:
            image, top = _read(file, size)
            images.append(image)
            largest = max(largest, top)
            _require_same_size(first, image, files[0], file)
    return images, largest


def _require_same_size(first: Pixels, other: Pixels, first_file: ImageFile, other_file: ImageFile) -> None:
    if first.shape[:2] != other.shape[:2]:
        (height, width), (other_height, other_width) = first.shape[:2], other.shape[:2]
        raise BadInput(
            f"{first_file} is {width} x {height} pixels and {other_file} {other_width} x {other_height}: "
            f"expected one size; resize all to N x N with {option('data.image-size')}"
        )


def _read(file: ImageFile, size: int | None) -> tuple[Pixels, float]:
    """Return an image, and its largest value before it was resized; 0 if it has 8 bits."""
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
            return _wide_pixels(upright, size, with_alpha=with_alpha) if wide else (_byte_pixels(upright, size), 0.0)
    except BadInput:
        raise
    except Image.DecompressionBombError as error:
        raise BadInput(_too_large(file)) from error
    except Exception as error:  # Pillow raises nearly anything on a damaged file
        raise BadInput(f"{file} cannot be read as an image: it is damaged or has another format; remove it") from error


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
        values, opacity = values[..., 0] * 256 + values[..., 1], (values[..., 2] * 256 + values[..., 3]) / _WIDE
        values = values * opacity + _WIDE * (1 - opacity)
    pixels = Image.fromarray(values / _WIDE)
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


# Stacking.


def _white(images: list[Pixels], largest: float) -> int | None:
    """Return the largest number of the bits in use; None if some images have 8 bits, or all are black."""
    if largest == 0 or any(image.dtype == np.uint8 for image in images):
        return None
    return next(white for bits in (8, 10, 12, 14, 16) if largest <= (white := 2**bits - 1))


def _stacked(images: list[Pixels]) -> tuple[Pixels, float]:
    """Return the images, ``(N, C, H, W)``, and the scale that maps them to [0, 1]."""
    scale = 1 / 255
    if any(image.dtype != np.uint8 for image in images):
        images = [image / np.float32(255) if image.dtype == np.uint8 else image for image in images]
        scale = 1.0
    if any(image.ndim == 3 for image in images):
        images = [
            np.broadcast_to(image if image.ndim == 3 else image[..., None], (*image.shape[:2], 3)) for image in images
        ]
    stacked = np.stack(images)
    return stacked[:, None] if stacked.ndim == 3 else np.ascontiguousarray(np.moveaxis(stacked, -1, 1)), scale
