"""Pictures: what is drawn is what is there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aevb import experiment, plots
from aevb.config import Config
from aevb.data import Dataset, Examples

CONFIG = Config.model_validate({"model": {"hidden": [6]}, "train": {"epochs": 3, "batch_size": 20}})


@pytest.mark.parametrize(("channels", "paper"), [(1, 0.0), (3, 1.0)])
def test_tiles_are_in_reading_order_with_gaps_of_paper(channels: int, paper: float) -> None:
    images = torch.arange(1, 6).view(5, 1, 1, 1).expand(5, channels, 2, 3) / 10
    sheet = plots.tiles(images, 3)
    assert sheet.shape[:2] == (6, 12)
    for number, (row, column) in enumerate([(0, 0), (0, 4), (0, 8), (3, 0), (3, 4)]):
        np.testing.assert_allclose(sheet[row : row + 2, column : column + 3], (number + 1) / 10)
    np.testing.assert_allclose(sheet[2], paper)
    np.testing.assert_allclose(sheet[:, 3], paper)
    np.testing.assert_allclose(sheet[3:, 8:], paper)


def test_pairs_stand_one_above_the_other(tmp_path: Path) -> None:
    """Grey is ink: 0 is white paper, 1 is black."""
    pairs = torch.stack([torch.ones(3, 1, 4, 4), torch.zeros(3, 1, 4, 4)])
    plots.save_picture(pairs, 2, tmp_path / "pairs.png")
    with Image.open(tmp_path / "pairs.png") as image:
        picture = np.asarray(image)
    factor = picture.shape[0] // 20
    rows = picture[2 * factor :: 5 * factor, [2 * factor, 7 * factor]]
    assert rows.tolist() == [[0, 0], [255, 255], [0, 255], [255, 255]]


def test_figures_of_images_with_two_latent_dimensions(tmp_path: Path, stripes: Dataset) -> None:
    run = experiment.train(CONFIG, tmp_path / "run", stripes)
    figures = dict(plots.figures(run, stripes))
    assert list(figures) == ["training", "reconstructions", "samples", "manifold", "latent"]
    legend = figures["latent"].axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["falling", "rising"]
    for name, figure in figures.items():
        run.save_figure(name, lambda path, figure=figure: plots.save(figure, path))  # type: ignore[misc]
        with Image.open(run.folder / "figures" / f"{name}.png") as picture:
            assert np.asarray(picture.convert("L")).std() > 1, name


@pytest.mark.parametrize("columns", [1, 2, 5, 40])
def test_figures_of_rows(tmp_path: Path, columns: int) -> None:
    part = Examples(torch.randn(40, columns))
    dataset = Dataset("rows", "real", (columns,), part, part, part, "none", None)
    model = CONFIG.model.model_copy(update={"latent": 3})
    run = experiment.train(CONFIG.model_copy(update={"model": model}), tmp_path / "run", dataset)
    figures = dict(plots.figures(run, dataset))
    assert list(figures) == ["training", "reconstructions", "samples"]
    assert len(figures["reconstructions"].axes) == min(columns, plots.PANELS)


def test_training_curves_show_the_late_epochs(stripes: Dataset, tmp_path: Path) -> None:
    """The first of many epochs, far below the rest, does not flatten them."""
    run = experiment.train(CONFIG, tmp_path / "run", stripes)
    first, later = run.epochs[0], run.epochs[1:] * 30
    object.__setattr__(first.train, "bound", -1e6)
    axis = plots.training([first, *later]).axes[0]
    assert axis.get_ylim()[0] > -1e5
