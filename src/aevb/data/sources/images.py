"""A folder of images, either directly in it or in one subfolder per class, whose name is the label.

The examples are (1, H, W) if all images are gray, else (3, H, W): bytes, or float32 in [0, 1] if an image is gray with
16 bits; colors are read with 8 bits. If all images have 16 bits and use fewer, as those of a camera with 12 bits, the
largest number of these bits is white; a note says so, and new images for the model have the same white.

The examples are in the order of their names. Images are rotated as their EXIF data state, and transparent parts become
white. Files with other suffixes are ignored, and counted in a note; names that begin with a dot, deeper folders and
special files are ignored without one. Notes count what was read and converted.
"""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from aevb import memory
from aevb.data.dataset import UnsplitData
from aevb.data.examples import Examples
from aevb.data.image_files import MAX_PIXELS, WHITE, DamagedImage, DecodedImage, ImageFile, Pixels, read_image
from aevb.data.sources.filesystem import LocalLocation
from aevb.data.sources.registry import Option, ReadOptions, register_source
from aevb.errors import BadInput, option, printable

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm")
SHOWN = 4
"""Largest number of files and classes that a message names."""


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
    images = _read_all(title, files, size)
    pixels = [image.pixels for image in images]
    white = _white(pixels, max(image.largest for image in images))
    notes = [*_conversions(images, size)]
    if white is not None and white < WHITE:
        notes.append(f"the images have 16 bits and no value above {white}, which is taken as white")
    values, scale = _stacked(pixels)
    examples = Examples(torch.from_numpy(values), None, scale)
    return UnsplitData(name, examples, notes=tuple(notes), white=white and white / WHITE, image_files=True)


def _conversions(images: Sequence[DecodedImage], size: int | None) -> Iterator[str]:
    """Yield a note on each kind of conversion, with the number of images."""
    rotated, transparent = (sum(getattr(image, name) for image in images) for name in ("rotated", "transparent"))
    gray = sum(image.pixels.ndim == 2 for image in images)
    if rotated:
        yield f"{_counted(rotated, 'image')} rotated as the EXIF data state"
    if transparent:
        yield f"transparent parts of {_counted(transparent, 'image')} are white"
    if 0 < gray < len(images):
        yield f"{_counted(gray, 'gray image')} read as color, because others have color"
    if size is not None:
        yield from _resizing(images, size)


def _resizing(images: Sequence[DecodedImage], size: int) -> Iterator[str]:
    """Yield a note on the sizes of images before they were resized, and on their proportions."""
    sizes = Counter(image.size for image in images)
    (width, height), _ = sizes.most_common(1)[0]
    stretched = sum(count for (width, height), count in sizes.items() if width != height)
    if set(sizes) != {(size, size)}:
        before = f"{width} x {height}" if len(sizes) == 1 else f"{len(sizes):,} sizes, such as {width} x {height},"
        proportions = f"; {_counted(stretched, 'image')} not square, stretched or compressed" if stretched else ""
        yield f"resized from {before} to {size} x {size} pixels{proportions}"


def _counts(by_class: dict[str, list[Path]]) -> str:
    """Return the number of images, and of those in each class."""
    total = _counted(sum(map(len, by_class.values())), "image")
    if list(by_class) == [""]:
        return f"read {total}"
    named = [f"{printable(name)} {len(files):,}" for name, files in list(by_class.items())[:SHOWN]]
    return f"read {total} in {_counted(len(by_class), 'class', 'classes')}: {', '.join(named)}" + ", …" * (
        len(by_class) > SHOWN
    )


def _counted(count: int, noun: str, plural: str = "") -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def _notes(folder: Path, by_class: dict[str, list[Path]]) -> Iterator[str]:
    """Yield the numbers of images and classes, and a note on files that are ignored."""
    yield _counts(by_class)
    files = [file for name in by_class for file in _visible(folder / name, Path.is_file)]
    ignored = [file.name for file in files if file.suffix.lower() not in _SUFFIXES]
    if ignored:
        verb = "is not an image" if len(ignored) == 1 else "are not images"
        yield f"ignored {_counted(len(ignored), 'file')} that {verb}, such as {printable(ignored[0])}"


# Files.


def file_names(folder: Path) -> Iterator[str]:
    """Yield the path of each image relative to its folder, in the order of the examples.

    Raises:
        BadInput: there are no images, or they are both in the folder and in subfolders.
    """
    for files in _find(folder).values():
        yield from (file.relative_to(folder).as_posix() for file in files)


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


def _read_all(title: str, files: Sequence[ImageFile], size: int | None) -> list[DecodedImage]:
    """Return all images; damaged files are reported together, before a difference of sizes."""
    images, damaged, difference = list[DecodedImage](), list[ImageFile](), ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd metadata, and large images, which `_require_max_pixels` checks
        for file in files:
            try:
                image = read_image(file, size)
            except DamagedImage:
                damaged.append(file)
                continue
            if not images:
                _require_memory(title, image, len(files))
            # After a problem, the other files are read to find damaged ones, but not kept.
            difference = difference or (_difference(images[0], image) if images else "")
            if not images or not (damaged or difference):
                images.append(image)
    if damaged:
        raise BadInput(_name_damaged(title, damaged))
    if difference:
        raise BadInput(difference)
    return images


def _require_memory(title: str, image: DecodedImage, count: int) -> None:
    memory.require(
        count * image.pixels.nbytes, f"{title}, {count} images,", f"use a smaller {option('data.image-size')}"
    )


def _name_damaged(title: str, files: Sequence[ImageFile]) -> str:
    """Return a message that names the first damaged files and counts the others."""
    if len(files) == 1:
        return f"{files[0]} cannot be read as an image: it is damaged or has another format; remove it"
    names = ", ".join(str(file).removeprefix(f"{title}{os.sep}") for file in files[:SHOWN])
    more = f" and {len(files) - SHOWN:,} more" if len(files) > SHOWN else ""
    return (
        f"{title}: {len(files):,} files cannot be read as images: {names}{more}; they are damaged or have another"
        " format: remove them"
    )


def _difference(first: DecodedImage, other: DecodedImage) -> str:
    """Return a message if two images have different sizes."""
    if first.pixels.shape[:2] == other.pixels.shape[:2]:
        return ""
    (height, width), (other_height, other_width) = first.pixels.shape[:2], other.pixels.shape[:2]
    return (
        f"{first.file} is {width} x {height} pixels and {other.file} {other_width} x {other_height}: "
        f"expected one size; resize all to N x N with {option('data.image-size')}"
    )


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
