"""Folders of images."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from aevb.config.schema import Config
from aevb.data import load_data
from aevb.data.loading import row_names
from aevb.data.sources.images import read_images
from aevb.runs.run_folder import RunFolder
from aevb.workflow.fitting import fit_run
from tests.data.sources import SPLITS, Array, all_values, gray_bytes, refused


def save_image(path: Path, pixels: Array | None = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(gray_bytes(6, 5) if pixels is None else pixels).save(path, **options)
    return path


def save_images(folder: Path, count: int = 12, ending: str = "png") -> Path:
    for n in range(count):
        save_image(folder / f"{n:02}.{ending}", gray_bytes(6, 5) // 2 + np.uint8(n))
    return folder


def test_a_folder_of_gray_images(tmp_path: Path) -> None:
    dataset = load_data(str(save_images(tmp_path / "save_images")))
    assert (dataset.name, dataset.kind, dataset.shape) == ("save_images", "unit", (1, 6, 5))
    assert (dataset.classes, dataset.train.labels, dataset.train.scale) == (None, None, 1 / 255)
    values = torch.cat([getattr(dataset, split).values for split in SPLITS])
    assert sorted((values[:, 0, 0, 0] - values[:, 0, 0, 0].min()).tolist()) == list(range(12))
    assert dataset.train.values[:, 0, 0, 0].diff().min() > 0  # in the order of the names


@pytest.mark.parametrize("ending", ["png", "jpg", "JPEG", "bmp", "gif", "webp", "tif", "TIFF"])
def test_every_format(tmp_path: Path, ending: str) -> None:
    dataset = load_data(str(save_images(tmp_path, ending=ending)))
    # Pillow writes no gray WebP.
    assert dataset.shape == ((3, 6, 5) if ending == "webp" else (1, 6, 5))


def test_one_color_image_makes_all_color(tmp_path: Path) -> None:
    save_images(tmp_path)
    colors = gray_bytes(6, 5, 3)
    save_image(tmp_path / "zz.png", colors)
    dataset = load_data(str(tmp_path))
    assert dataset.shape == (3, 6, 5)
    values = torch.cat([getattr(dataset, split).values for split in SPLITS])
    colored = [image for image in values if not torch.equal(image[0], image[1])]
    assert len(colored) == 1
    np.testing.assert_array_equal(colored[0].permute(1, 2, 0).numpy(), colors)


def test_palettes_are_gray_or_color(tmp_path: Path) -> None:
    for n in range(12):
        save_image(tmp_path / "gray" / f"{n}.png")
        image = Image.fromarray(gray_bytes(6, 5, 3)).convert("P")
        (tmp_path / "color").mkdir(exist_ok=True)
        image.save(tmp_path / "color" / f"{n}.png")
    Image.fromarray(gray_bytes(6, 5)).convert("P").save(tmp_path / "gray" / "0.png")
    assert load_data(str(tmp_path / "gray")).shape == (1, 6, 5)
    assert load_data(str(tmp_path / "color")).shape == (3, 6, 5)


def test_black_and_white_images_are_binary(tmp_path: Path) -> None:
    for n in range(12):
        save_image(tmp_path / f"{n}.png", gray_bytes(6, 5) > 99)
    dataset = load_data(str(tmp_path))
    assert dataset.kind == "binary"
    np.testing.assert_array_equal(dataset.train.batch(slice(0, 1)).x[0, 0], gray_bytes(6, 5) > 99)


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("size", [None, 3])
def test_sixteen_bits_are_kept(tmp_path: Path, ending: str, size: int | None) -> None:
    for n in range(12):
        save_image(tmp_path / f"{n}.{ending}", np.full((6, 5), 40 + n, dtype=np.uint16))
    save_image(tmp_path / "white.png", np.full((6, 5), 255, dtype=np.uint8))
    dataset = load_data(str(tmp_path), image_size=size)
    assert (dataset.kind, dataset.train.values.dtype) == ("unit", torch.float32)
    levels = sorted(all_values(dataset)[:, 0, 0, 0].tolist())
    assert levels == pytest.approx([(40 + n) / 65535 for n in range(12)] + [1.0], rel=1e-5)


def test_resized_sixteen_bits_are_in_the_unit_interval(tmp_path: Path) -> None:
    edge = np.repeat(np.array([0, 65535], dtype=np.uint16), 8)
    for n in range(12):
        save_image(tmp_path / f"{n}.png", np.tile(edge, (16, 1)))
    assert load_data(str(tmp_path), image_size=24).kind == "unit"


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    save_images(tmp_path, 11)
    save_image(tmp_path / "clear.png", np.dstack([gray_bytes(6, 5), np.zeros((6, 5), dtype=np.uint8)]))
    dataset = load_data(str(tmp_path))
    assert dataset.shape == (1, 6, 5)
    assert (all_values(dataset) == 1).flatten(1).all(1).sum() == 1


def test_photographs_are_rotated_upright(tmp_path: Path) -> None:
    save_images(tmp_path, 11)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    save_image(tmp_path / "turned.png", gray_bytes(5, 6), exif=exif)
    assert load_data(str(tmp_path)).shape == (1, 6, 5)


def test_images_are_resized_on_request(tmp_path: Path) -> None:
    save_images(tmp_path, 11)
    save_image(tmp_path / "zz.png", gray_bytes(9, 4))
    assert load_data(str(tmp_path), image_size=4).shape == (1, 4, 4)
    with refused("image_size=0"):
        load_data(str(tmp_path), image_size=0)


def test_the_first_two_sizes_that_differ_are_named(tmp_path: Path) -> None:
    save_images(tmp_path)
    save_image(tmp_path / "05.png", gray_bytes(9, 4))
    save_image(tmp_path / "07.png", gray_bytes(3, 3))
    with refused("00.png is 5 x 6", "05.png 4 x 9", "with image_size"):
        load_data(str(tmp_path))


def test_subfolders_are_classes(tmp_path: Path) -> None:
    for folder, level, count in (("dog", 10, 8), ("ant", 200, 6), (".thumbs", 0, 3)):
        for n in range(count):
            save_image(tmp_path / folder / f"{n}.PNG", np.full((4, 4), level + n, dtype=np.uint8))
    (tmp_path / "notes").mkdir()
    (tmp_path / "readme.txt").write_text("not an image")
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    dataset = load_data(str(tmp_path))
    assert dataset.classes == ("ant", "dog")
    assert sum(len(getattr(dataset, split)) for split in SPLITS) == 14
    for split in SPLITS:
        examples = getattr(dataset, split)
        assert torch.equal(examples.labels == 0, examples.values[:, 0, 0, 0] >= 200)


def test_images_on_two_levels_are_refused(tmp_path: Path) -> None:
    save_images(tmp_path)
    save_images(tmp_path / "ant")
    with refused(tmp_path, "00.png", "ant", "subfolder"):
        load_data(str(tmp_path))


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    save_images(tmp_path / "too" / "deep")
    with refused(tmp_path, "no images", ".png", ".tiff"):
        load_data(str(tmp_path))


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "webp", "tif"])
def test_damaged_images_are_named(tmp_path: Path, ending: str) -> None:
    save_images(tmp_path, ending=ending)
    whole_file = (tmp_path / f"04.{ending}").read_bytes()
    for content in (b"", b"garbage", whole_file[: len(whole_file) // 2]):
        (tmp_path / f"04.{ending}").write_bytes(content)
        with refused(tmp_path / f"04.{ending}", "cannot be read as an image"):
            load_data(str(tmp_path))


def test_all_damaged_images_are_named_before_a_difference_of_sizes(tmp_path: Path) -> None:
    save_images(tmp_path / "a")
    save_image(tmp_path / "a" / "01.png", gray_bytes(9, 4))
    for number in range(6):
        (tmp_path / "a" / f"9{number}.png").write_bytes(b"garbage")
    with refused(f"{tmp_path}: 6 files cannot be read as images: a/90.png, a/91.png, a/92.png, a/93.png and 2 more;"):
        load_data(str(tmp_path))


def test_files_are_named_in_the_order_of_the_examples(tmp_path: Path) -> None:
    for name, level in (("b/0.png", 3), ("a/10.png", 1), ("a/9.png", 2)):
        save_image(tmp_path / name, np.full((4, 4), level, dtype=np.uint8))
    assert row_names(str(tmp_path), ()) == {"file": ["a/10.png", "a/9.png", "b/0.png"]}
    assert read_images(tmp_path).examples.values[:, 0, 0, 0].tolist() == [1, 2, 3]


def test_conversions_are_noted(tmp_path: Path) -> None:
    clear = np.dstack([gray_bytes(6, 6, 3), np.full((6, 6), 255, dtype=np.uint8)])
    save_image(tmp_path / "a" / "opaque.png", clear)
    clear[0, 0, 3] = 0
    save_image(tmp_path / "a" / "clear.png", clear)
    exif = Image.Exif()
    exif[0x0112] = 6
    save_image(tmp_path / "b" / "gray.png", gray_bytes(5, 6), exif=exif)
    (tmp_path / "b" / "about.txt").write_text("")
    assert read_images(tmp_path, 4).notes == (
        "read 3 images in 2 classes: a 2, b 1",
        "ignored 1 file that is not an image, such as about.txt",
        "1 image rotated as the EXIF data state",
        "transparent parts of 1 image are white",
        "1 gray image read as color, because others have color",
        "resized from 2 sizes, such as 6 x 6, to 4 x 4 pixels; 1 image not square, stretched or compressed",
    )


@pytest.mark.parametrize("limit", ["aevb.data.image_files.MAX_PIXELS", "PIL.Image.MAX_IMAGE_PIXELS"])
def test_too_large_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    save_images(tmp_path)
    monkeypatch.setattr(limit, 12)  # of 30 pixels
    with refused("00.png", "pixels"):
        load_data(str(tmp_path))


def test_several_images_in_one_file_are_refused(tmp_path: Path) -> None:
    save_images(tmp_path)
    frames = [Image.fromarray(gray_bytes(6, 5) + np.uint8(n)) for n in range(3)]
    frames[0].save(tmp_path / "film.tif", save_all=True, append_images=frames[1:])
    with refused("film.tif", "several images"):
        load_data(str(tmp_path))


def test_images_of_32_bits_are_refused(tmp_path: Path) -> None:
    save_images(tmp_path)
    for pixels in (np.zeros((6, 5), dtype=np.float32), np.zeros((6, 5), dtype=np.int32)):
        save_image(tmp_path / "wide.tif", pixels)
        with refused("wide.tif", "32 bits", ".npy"):
            load_data(str(tmp_path))


def test_only_documented_formats_are_decoded(tmp_path: Path) -> None:
    save_images(tmp_path)
    Image.fromarray(gray_bytes(6, 5)).save(tmp_path / "04.png", format="TGA")
    with refused("04.png", "cannot be read as an image"):
        load_data(str(tmp_path))


def test_portable_maps_are_images_and_other_files_are_counted(tmp_path: Path) -> None:
    levels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    Image.fromarray(levels).save(tmp_path / "a.png")
    Image.fromarray(levels).save(tmp_path / "b.pgm")
    deep = (levels.astype(">u2") * 257).tobytes()
    (tmp_path / "c.pgm").write_bytes(b"P5 4 3 65535\n" + deep)
    (tmp_path / "readme.txt").write_text("about these images")
    (tmp_path / ".hidden").write_text("")
    found = read_images(tmp_path)
    assert found.notes == ("read 3 images", "ignored 1 file that is not an image, such as readme.txt")
    x = found.examples.all().x
    assert x.shape == (3, 1, 3, 4)
    for image in x:
        np.testing.assert_allclose(image[0], levels / 255, atol=1e-6)


def save_gray_with_alpha(path: Path, values: NDArray[np.uint16]) -> None:
    """A PNG of gray levels and opacities with 16 bits, ``(H, W, 2)``."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    size = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 4, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in values))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def test_gray_levels_with_alpha_keep_their_16_bits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 65536, (12, 6, 9, 2)).astype(np.uint16)
    images[:6, ..., 1] = 65535
    for number, image in enumerate(images):
        save_gray_with_alpha(tmp_path / f"{number:02d}.png", image)
    x = read_images(tmp_path).examples.all().x.numpy()
    opacity = images[..., 1] / 65535
    expected = images[..., 0] / 65535 * opacity + 1 - opacity
    assert x.shape == (12, 1, 6, 9)
    np.testing.assert_allclose(x[:, 0], expected, atol=1e-6)


def test_the_white_of_a_camera_with_12_bits_is_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 4096, (30, 4, 5)).astype(np.uint16)
    for folder, chosen in (("all", frames), ("dark", frames[:3] // 16)):
        (tmp_path / folder).mkdir()
        for number, frame in enumerate(chosen):
            Image.fromarray(frame).save(tmp_path / folder / f"{number:02d}.png")
    dataset = load_data(tmp_path / "all")
    assert any("no value above 4095" in note for note in dataset.notes)
    x = torch.cat([part.all().x for part in (dataset.train, dataset.valid, dataset.test)]).numpy()
    assert sorted(x.ravel().tolist()) == pytest.approx(sorted((frames / 4095).ravel().tolist()), abs=1e-6)
    config = Config.model_validate({"model": {"hidden": [4]}, "train": {"epochs": 1}})
    run = RunFolder.load(fit_run(config, tmp_path / "run", dataset).folder)
    dark = run.read_examples(str(tmp_path / "dark")).all().x.numpy()[:, 0]
    np.testing.assert_allclose(dark, (frames[:3] // 16) / 4095, atol=1e-6)
