"""A folder of images, either directly in it or in one subfolder per class, whose name is then the label.

The examples are (1, H, W) if all images are grey, else (3, H, W): bytes, or float32 in [0, 1] where some image is grey
of 16 bits. The order is that of the names. An image is taken as one sees it: turned as its EXIF data tell, transparent
parts on white. Files with other endings and names that begin with a dot are passed over; deeper folders too, and what
is no regular file. How large an image is, it tells before it is decoded: those of more than `MOST` pixels are refused.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from aevb import memory
from aevb.data.dataset import Examples, UnsplitData
from aevb.errors import BadInput

if TYPE_CHECKING:
    from PIL import Image

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")  # no format that needs a program from outside
MOST = 10**8
"""Pixels of an image."""
_GREY_MODES = ("1", "L", "LA")
_WIDE = 65535.0  # white in 16 bits

Pixels = NDArray[Any]  # (H, W) or (H, W, 3) uint8; or (H, W) float32 in [0, 1]


def read_images(folder: Path, size: int | None = None) -> UnsplitData:
    """Read the images in a folder, each resized to `size` x `size` if that is given.

    Raises:
        BadInput: there are no images, they are both in the folder and in subfolders, have different sizes, or one is
            damaged, far too large, a sequence of images, or of 32 bits.
    """
    if size is not None and not 1 <= size <= MOST**0.5:
        raise BadInput(f"image_size={size}: expected a whole number of pixels from 1 to {MOST**0.5:.0f}")
    by_class = _find(folder)
    files = [file for found in by_class.values() for file in found]
    values, scale = _stacked(_read_all(folder, files, size))
    labels, classes = None, None
    if list(by_class) != [""]:
        classes = tuple(by_class)
        labels = torch.repeat_interleave(torch.tensor([len(found) for found in by_class.values()]))
    return UnsplitData(folder.resolve().name, Examples(torch.from_numpy(values), labels, scale), classes)


# Finding them.


def _find(folder: Path) -> dict[str, list[Path]]:
    """The image files of each class, by its name; of the one class "" if they are directly in the folder."""
    direct = _images_in(folder)
    by_class = {sub.name: found for sub in _visible(folder, Path.is_dir) if (found := _images_in(sub))}
    if direct and by_class:
        raise BadInput(
            f"{folder} has images both in it ({direct[0].name}) and in subfolders ({next(iter(by_class))}): "
            "expected either images alone or one subfolder per class; move them"
        )
    if not direct and not by_class:
        raise BadInput(
            f"{folder} has no images: expected files ending in {', '.join(_ENDINGS)}, "
            "in it or in one subfolder per class"
        )
    return by_class or {"": direct}


def _images_in(folder: Path) -> list[Path]:
    return [file for file in _visible(folder, Path.is_file) if file.suffix.lower() in _ENDINGS]


def _visible(folder: Path, suits: Callable[[Path], bool]) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith(".") and suits(entry))
    except OSError as error:
        raise BadInput(f"{folder} cannot be listed ({error.strerror}): expected a folder one may read") from error


# Reading them.


def _read_all(folder: Path, files: list[Path], size: int | None) -> list[Pixels]:

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on odd metadata, and on images that `_require_modest` judges
        images = [_read(files[0], size)]
        memory.require(
            len(files) * images[0].nbytes, f"{folder}, {len(files)} images,", "use a smaller --data.image-size"
        )
        for file in files[1:]:
            images.append(_read(file, size))
            _require_same_size(images[0], images[-1], files[0], file)
    return images


def _require_same_size(first: Pixels, other: Pixels, first_file: Path, other_file: Path) -> None:
    if first.shape[:2] != other.shape[:2]:
        (height, width), (other_height, other_width) = first.shape[:2], other.shape[:2]
        raise BadInput(
            f"{first_file} is {width} x {height} pixels and {other_file} {other_width} x {other_height}: "
            "expected one size; resize all to N x N with --data.image-size N"
        )


def _read(file: Path, size: int | None) -> Pixels:
    from PIL import Image, ImageOps

    try:
        with Image.open(file, formats=_FORMATS) as image:
            _require_modest(image.size, file)
            _require_one_image(image, file)
            wide = _is_wide(image, file)
            with _silence() if image.format == "TIFF" and sys.stderr else nullcontext():
                upright = ImageOps.exif_transpose(image)
            return _wide_pixels(upright, size) if wide else _byte_pixels(upright, size)
    except BadInput:
        raise
    except Image.DecompressionBombError as error:
        raise BadInput(_too_large(file)) from error
    except Exception as error:  # Pillow raises nearly anything on a damaged file
        raise BadInput(f"{file} cannot be read as an image: it is damaged or of another kind; remove it") from error


@contextmanager
def _silence() -> Iterator[None]:
    """Keep libtiff from writing on stderr what it thinks of a file: whether it can be decoded is all that counts."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _require_modest(size: tuple[int, int], file: Path) -> None:
    if size[0] * size[1] > MOST:
        raise BadInput(_too_large(file))


def _too_large(file: Path) -> str:
    return f"{file} declares too large an image: expected at most {MOST} pixels; shrink or remove it"


def _require_one_image(image: "Image.Image", file: Path) -> None:
    several = getattr(image, "is_animated", False)  # how many takes long to tell
    if several and image.format != "MPO":  # photographs with a preview
        raise BadInput(f"{file} holds several images: expected one in each file; save them one by one")


def _is_wide(image: "Image.Image", file: Path) -> bool:
    """Whether the image is grey of 16 bits, which a conversion by Pillow would clip to 8."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return True
    if image.mode in ("I", "F"):
        raise BadInput(f"{file} has pixels of 32 bits: expected 8 or 16; save such values as one .npy file")
    return False


def _wide_pixels(image: "Image.Image", size: int | None) -> Pixels:
    from PIL import Image

    pixels = Image.fromarray(np.asarray(image, dtype=np.float32) / _WIDE)
    return np.asarray(_resized(pixels, size)).clip(0.0, 1.0)  # resampling overshoots at edges


def _byte_pixels(image: "Image.Image", size: int | None) -> Pixels:
    coloured = _on_white(image) if image.has_transparency_data else image.convert("RGB")
    grey = image.mode in _GREY_MODES or (image.mode == "P" and _has_equal_channels(coloured))
    return np.asarray(_resized(coloured.convert("L") if grey else coloured, size))


def _on_white(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _has_equal_channels(image: "Image.Image") -> bool:
    pixels = np.asarray(image)
    return bool((pixels == pixels[..., :1]).all())


def _resized(image: "Image.Image", size: int | None) -> "Image.Image":
    from PIL import Image

    return image if size is None else image.resize((size, size), Image.Resampling.LANCZOS)


# Joining them.


def _stacked(images: list[Pixels]) -> tuple[Pixels, float]:
    """(N, C, H, W) and the scale that brings it to [0, 1]."""
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
