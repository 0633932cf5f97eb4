"""Pictures: what is drawn is what is there."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import AxLine
from matplotlib.patches import Rectangle, StepPatch
from numpy.typing import NDArray
from PIL import Image
from sklearn.decomposition import PCA
from torch import Tensor, nn

from aevb import plots
from aevb.columns import Column, DateNotation
from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import Config, ModelConfig
from aevb.data import Dataset, Examples
from aevb.evaluation.latent_means import latent_means
from aevb.models.vae import VAE
from aevb.plots.points import bin_edges, histograms, listed
from aevb.plots.tables import PANELS, _on_axis, _write_ticks, reconstructed_columns
from aevb.runs.aggregate import Row
from aevb.workflow.fitting import fit_run
from tests.conftest import Exact

Exactly = Callable[..., Exact]
CONFIG = Config.model_validate({"model": {"hidden": [6]}, "train": {"epochs": 3, "batch_size": 20}})


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_are_in_reading_order_with_gaps_of_paper(channels: int) -> None:
    shades = torch.arange(1, 6).view(5, 1, 1, 1).expand(5, channels, 2, 3) / 10
    sheet = plots.tiles(shades, 3)
    assert sheet.shape[:2] == (6, 12)
    for number, (row, column) in enumerate([(0, 0), (0, 4), (0, 8), (3, 0), (3, 4)]):
        np.testing.assert_allclose(sheet[row : row + 2, column : column + 3], (number + 1) / 10)
    np.testing.assert_allclose(sheet[2], 1)
    np.testing.assert_allclose(sheet[:, 3], 1)
    np.testing.assert_allclose(sheet[3:, 8:], 1)


def picture(images: Tensor, columns: int, path: Path) -> NDArray[np.uint8]:
    """The pixels of `save_picture`, not enlarged."""
    plots.save_picture(images, columns, path)
    with Image.open(path) as image:
        pixels = np.asarray(image)
    size, gap = images.shape[-1], -(-images.shape[-1] // 16)
    factor = pixels.shape[1] // (columns * (size + gap))
    return pixels[factor // 2 :: factor, factor // 2 :: factor]


@pytest.mark.parametrize("channels", [1, 3])
def test_pairs_stand_one_above_the_other(tmp_path: Path, channels: int) -> None:
    """Grey is ink, 0 is white paper and 1 is black; colours are not. What is missing is white."""
    pairs = torch.stack([torch.ones(3, channels, 4, 4), torch.zeros(3, channels, 4, 4)])
    pixels = picture(pairs, 2, tmp_path / "pairs.png").reshape(20, 10, -1)[..., 0]
    ones, zeros = (0, 255) if channels == 1 else (255, 0)
    assert pixels[2::5, [2, 7]].tolist() == [[ones, ones], [zeros, zeros], [ones, 255], [zeros, 255]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.2, 0.0, 1.0], [255, 204, 255, 0]),  # a digit: ink
        ([-0.4, 0.2, 0.0, 1.4], [255, 204, 255, 0]),  # its reconstruction: the range is [0, 1] all the same
        ([1.0, 0.8, 0.6, 0.0], [255, 204, 153, 0]),  # a photograph: as it is
        ([0.0, 51.0, 0.0, 255.0], [255, 204, 255, 0]),  # the digit and the photograph in other units
        ([255.0, 204.0, 153.0, 0.0], [255, 204, 153, 0]),
        ([-2.0, 2.0, 1.0, 2.0], [0, 255, 191, 255]),
        ([torch.nan, 0.0, -torch.inf, torch.inf], [255, 255, 255, 0]),
        ([-3e38, 3e38, -3e38, -3e38], [255, 0, 255, 255]),  # the width is no float32
        ([7.0, 7.0, 7.0, 7.0], [0, 0, 0, 0]),
        ([torch.nan] * 4, [255] * 4),
    ],
)
def test_gray_images_of_any_scale(tmp_path: Path, values: list[float], expected: list[int]) -> None:
    pixels = picture(torch.tensor(values).view(1, 1, 2, 2), 1, tmp_path / "grey.png")
    assert pixels[:2, :2].flatten().tolist() == expected
    assert set(pixels[2:].flatten()) | set(pixels[:, 2:].flatten()) == {255}, "gaps are paper"


def test_colours_of_any_scale_are_never_negatives(tmp_path: Path) -> None:
    values = torch.tensor([0.0, 51.0, 0.0, 255.0]).view(1, 1, 2, 2).expand(1, 3, 2, 2)
    pixels = picture(values, 1, tmp_path / "colour.png")
    assert pixels[:2, :2, 0].flatten().tolist() == [0, 51, 0, 255]


def test_a_pair_has_one_range_and_one_polarity(tmp_path: Path) -> None:
    """A dark photograph in a bright set keeps its shade, and its pale reconstruction is not stretched."""
    pairs = torch.tensor([[200.0, 200, 255, 0], [100, 100, 150, 150]]).view(2, 1, 1, 2, 2)
    pixels = picture(pairs, 1, tmp_path / "pair.png")
    assert pixels[:2, :2].flatten().tolist() == [200, 200, 255, 0]
    assert pixels[3:5, :2].flatten().tolist() == [100, 100, 150, 150]


def test_figures_of_photographs() -> None:
    """Bright gray images in [0, 255], by a model that knows nothing but their mean: all figures are that image."""
    photographs = torch.tensor([255.0, 204, 153, 0]).view(1, 1, 2, 2).repeat(20, 1, 1, 1)
    part = Examples(photographs)
    dataset = Dataset("photographs", "real", part.shape, part, part, part, "none", None)
    model = build(resolve(ModelConfig(hidden=(), latent=2), dataset), dataset.shape)
    for weight in model.decoder.parameters():
        nn.init.zeros_(weight)
    model.initialize(photographs)
    for figure in (plots.reconstructions(model, part), plots.samples(model, part), plots.manifold(model, side=3)):
        (image,) = figure.axes[0].images
        shown = np.asarray(image.to_rgba(np.asarray(image.get_array()), bytes=True))[..., 0]
        np.testing.assert_allclose(shown[:2, :2].flatten(), [255, 204, 153, 0], atol=1)
        np.testing.assert_allclose(shown[-1], 255)


def test_figures_of_images_with_two_latent_dimensions(tmp_path: Path, stripes: Dataset) -> None:
    run = fit_run(CONFIG, tmp_path / "run", stripes)
    figures = dict(plots.figures(run, stripes))
    assert list(figures) == ["training", "reconstructions", "samples", "manifold", "latent"]
    legend = figures["latent"].axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["falling", "rising"]
    for name, figure in figures.items():
        run.save_figure(name, lambda path, figure=figure: plots.save(figure, path))  # type: ignore[misc]
        with Image.open(run.folder / "figures" / f"{name}.png") as picture:
            assert np.asarray(picture.convert("L")).std() > 1, name


def test_figures_of_curves(tmp_path: Path) -> None:
    part = Examples(torch.sin(torch.linspace(0, 6, 30) + torch.arange(40.0).unsqueeze(1)))
    dataset = Dataset("sines", "real", (30,), part, part, part, "none", None)
    figures = dict(plots.figures(fit_run(CONFIG, tmp_path / "run", dataset), dataset))
    panels = figures["reconstructions"].axes
    assert len(panels) == 8
    example, reconstruction = panels[-1].get_lines()
    np.testing.assert_array_equal(example.get_ydata(), part.values[-1])
    assert len(np.asarray(reconstruction.get_ydata())) == 30
    assert [axis.get_title() for axis in figures["samples"].axes] == ["test examples", "samples"]
    assert [len(axis.get_lines()) for axis in figures["samples"].axes] == [6, 6]


@pytest.mark.parametrize("columns", [1, 2, 5, 40])
def test_figures_of_rows(tmp_path: Path, columns: int) -> None:
    part = Examples(torch.randn(40, columns))
    dataset = Dataset("rows", "real", (columns,), part, part, part, "none", None)
    model = CONFIG.model.model_copy(update={"latent": (3,)})
    run = fit_run(CONFIG.model_copy(update={"model": model}), tmp_path / "run", dataset)
    figures = dict(plots.figures(run, dataset))
    assert list(figures) == ["training", "reconstructions", "samples", "latent"]
    assert len(figures["reconstructions"].axes) == min(columns, PANELS)
    assert "principal" in figures["latent"].axes[0].get_xlabel()


def test_more_than_two_latent_dimensions_are_shown_by_their_principal_components(exact: Exactly) -> None:
    """The components have the variances of scikit-learn's, whose signs are arbitrary."""
    case, (examples, _) = exact(latent=4), many(1, 1)
    axis = plots.latent(case.model, examples).axes[0]
    (cloud,) = axis.collections
    shown = np.asarray(cloud.get_offsets())
    means = latent_means(case.model, examples).numpy()
    assert means.shape[1] > 2
    pca = PCA(2).fit(means)
    np.testing.assert_allclose(np.abs(shown), np.abs(pca.transform(means)), atol=1e-4)
    for label, share in zip((axis.get_xlabel(), axis.get_ylabel()), pca.explained_variance_ratio_, strict=True):
        assert f"({100 * share:.0f} % of the variance)" in label


@pytest.mark.parametrize("count", [1, 5])
def test_equal_latent_means_have_principal_components_without_variance(count: int, exact: Exactly) -> None:
    case = exact(latent=4)
    examples = Examples(many(1, 1)[0].values[:1].expand(count, -1))
    axis = plots.latent(case.model, examples).axes[0]
    assert axis.get_xlabel() == "first principal component (0 % of the variance)"
    assert axis.get_ylabel() == "second principal component (0 % of the variance)"


def test_training_curves_show_the_late_epochs(stripes: Dataset, tmp_path: Path) -> None:
    """The first of many epochs, far below the rest, does not flatten them."""
    run = fit_run(CONFIG, tmp_path / "run", stripes)
    first, later = run.epochs[0], run.epochs[1:] * 30
    object.__setattr__(first.train, "bound", -1e6)
    axis = plots.training([first, *later]).axes[0]
    assert axis.get_ylim()[0] > -1e5


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_training_curves_with_values_that_are_not_finite(stripes: Dataset, tmp_path: Path, value: float) -> None:
    """One leaves the limits to the other epochs; where there is nothing else, the figure is drawn all the same."""
    epochs = fit_run(CONFIG, tmp_path / "run", stripes).epochs
    before = plots.training(epochs).axes[0].get_ylim()
    bad = deepcopy(epochs[-1])
    object.__setattr__(bad.train, "bound", value)
    object.__setattr__(bad.valid, "bound", -value)
    assert plots.training([*epochs, bad]).axes[0].get_ylim() == before
    plots.save(plots.training([bad, bad]), tmp_path / "bad.png")


@pytest.mark.parametrize(
    "column",
    [
        1e4 + 1e-3 * torch.linspace(-1, 1, 40),
        torch.full((40,), 1e4),
        torch.full((40,), 1e20),
        torch.tensor([0.0]),
        torch.tensor([3.0, 5.0]),
        torch.tensor([-3e38, 3e38]),
    ],
    ids=["narrow", "constant", "large constant", "one row", "two rows", "wide"],
)
def test_histograms_of_any_column_hold_all_data_and_samples(exact: Exactly, tmp_path: Path, column: Tensor) -> None:
    """The densities of both integrate to 1 over the bins, so none lies outside."""
    examples = Examples(column[:, None].repeat(1, 3))
    figure = plots.samples(exact(features=3).model, examples)
    for axis in figure.axes:
        assert len(axis.patches) == 2
        for patch in axis.patches:
            assert isinstance(patch, StepPatch)
            density, edges, _ = patch.get_data()
            assert np.all(np.diff(edges) > 0)
            np.testing.assert_allclose((density * np.diff(edges)).sum(), 1)
    plots.save(figure, tmp_path / "samples.png")


def test_figures_of_sorted_test_rows_show_all_of_them(exact: Exactly) -> None:
    """Files may be sorted, so that the first rows are of one class."""
    examples, model = Examples(torch.arange(4000.0).view(-1, 1).expand(-1, 3)), exact(features=3).model
    shown = plots.samples(model, examples).axes[0].patches
    density, edges, _ = next(patch.get_data() for patch in shown if isinstance(patch, StepPatch))
    assert density[np.asarray(edges)[:-1] >= 2000].any()
    points = plots.reconstructions(model, examples).axes[0].collections[0]
    assert np.asarray(points.get_offsets())[:, 0].max() == 3999


def test_a_search_over_numbers_and_names_shows_every_setting() -> None:
    scales = []
    for values in (["learned", 0.001, 1.0], [None, 1, 100], [0.001, 1.0], [1, 2]):
        rows = [Row({"field": value}, 1, {("valid", "bound"): -1.0}, {}, []) for value in values]
        scales.append(plots.search(rows).axes[0].get_xscale())
    assert scales == ["linear", "linear", "log", "linear"]  # of names, the first is at 0


def test_histograms_tell_narrow_columns_apart() -> None:
    """10^4 ± 10^-3 in float32 are three values: each has its bin."""
    column = torch.tensor([1e4 - 1e-3, 1e4, 1e4 + 1e-3])
    edges = bin_edges(column.double().numpy())
    assert (np.histogram(column.double().numpy(), edges)[0] > 0).sum() == 3


def test_histograms_leave_out_what_is_not_finite() -> None:
    axis = Figure().subplots()
    histograms(axis, torch.tensor([0.0, 1.0, torch.nan]), torch.full((3,), torch.inf))
    (data, edges, _), (drawn, _, _) = (patch.get_data() for patch in axis.patches if isinstance(patch, StepPatch))
    assert (edges[0], edges[-1]) == (0, 1)
    np.testing.assert_allclose(data[[0, 15, -1]], [15, 0, 15])
    assert not drawn.any()


def test_values_that_are_numbers_are_in_their_order() -> None:
    counts = torch.tensor([3.0, 1.0, 5.0, 9.0])
    assert listed(counts, ["4", "5", "10", "other"]).tolist() == [0, 1, 2, 3]
    assert listed(counts, ["x", "y", "z", "w"]).tolist() == [3, 2, 0, 1]
    assert listed(torch.arange(20.0), [str(19 - code) for code in range(20)]).tolist() == list(range(19, 11, -1))


@pytest.mark.parametrize(
    ("pattern", "unit", "values", "expected"),
    [
        ("%Y-%m-%d %H:%M:%S", "s", [1.67e9, 1.73e9], ["2023", "Jul", "2024", "Jul"]),
        ("%Y-%m-%d", "D", [-1e7, 1e7], None),
        ("%H:%M", "m", [0.0, 1200.0], ["00:00", "06:00", "12:00", "18:00"]),
        ("", "h", [0.0, 1000.0], None),
    ],
    ids=["dates", "any year", "times", "durations"],
)
def test_dates_on_an_axis_are_short(
    pattern: str, unit: Literal["s", "D", "m", "h"], values: list[float], expected: list[str] | None
) -> None:
    column = Column(name="day", kind="real", position=0, notation=DateNotation(pattern=pattern, unit=unit))
    figure = Figure()
    axis = figure.subplots()
    axis.plot(_on_axis(column, torch.tensor(values, dtype=torch.float64)), [0, 1])
    _write_ticks(axis.xaxis, column)
    axis.margins(x=0)
    figure.draw_without_rendering()
    texts = [label.get_text() for label in axis.get_xticklabels()]
    assert len(texts) <= 6
    assert not expected or texts == expected


def test_ratings_are_whole_numbers() -> None:
    rating = Column(name="rating", kind="discrete", position=0, values=(1.0, 2.0, 5.0))
    assert rating.labels == ("1", "2", "5")
    assert rating.model_copy(update={"values": (1.0, 2.5)}).labels == ("1.0", "2.5")


def many(count: int, present: int) -> tuple[Examples, list[str]]:
    """Rows of the first `present` of `count` classes."""
    labels = torch.arange(200) % present
    return Examples(torch.randn(200, 5, generator=torch.Generator().manual_seed(0)), labels), [
        f"class {number}" for number in range(count)
    ]


def test_classes_that_are_present_have_looks_of_their_own(exact: Exactly) -> None:
    """Twenty classes in ten colours and two markers; of those that no example shown has, there is nothing."""
    figure = plots.latent(exact().model, *many(20, 17))
    clouds = [cloud for cloud in figure.axes[0].collections if isinstance(cloud, PathCollection)]
    looks = {(str(cloud.get_facecolor()), str(cloud.get_paths()[0].vertices)) for cloud in clouds}
    assert len(clouds) == len(looks) == 17
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [f"class {number}" for number in range(17)]


def test_thousands_of_classes_are_one_cloud(exact: Exactly) -> None:
    """Also where few of them are present: a colour would not say which."""
    for present in (5, 200):
        axis = plots.latent(exact().model, *many(5000, present)).axes[0]
        (cloud,) = axis.collections
        assert len(np.asarray(cloud.get_offsets())) == 200
        assert axis.get_legend() is None


def test_the_line_of_perfect_reconstructions_does_not_depend_on_the_first_example(exact: Exactly) -> None:
    """A first example that is reconstructed badly widens the axis of the reconstructions no more than it must."""
    x = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    x[0, 0] = 1e3
    model = exact().model
    lowest, highest = model.reconstruct(x)[:, 0].aminmax()
    for order in (x, x.flip(0)):
        axis = plots.reconstructions(model, Examples(order)).axes[0]
        (line,) = axis.lines
        assert isinstance(line, AxLine)
        assert line.get_slope() == 1
        middle = x[:, 0].median().item()
        assert line.get_xy1() == (middle, middle)
        expected = min(lowest.item(), middle), max(highest.item(), middle)
        assert (axis.dataLim.ymin, axis.dataLim.ymax) == pytest.approx(expected)
    assert highest < 900


def test_clouds_share_their_plane() -> None:
    near, far = torch.rand(10, 2), 5 + torch.rand(12, 2)
    figure = plots.clouds([plots.Cloud("data", near), plots.Cloud("again", far, torch.rand(12))])
    for axis, points in zip(figure.axes, (near, far), strict=True):
        np.testing.assert_allclose(np.asarray(axis.collections[0].get_offsets()), points)
        assert axis.get_xlim() == figure.axes[0].get_xlim()
        assert axis.get_xlim()[1] > 5


def test_a_strip_has_a_point_for_each_seed() -> None:
    values = {"one": {"a": [1.0, 2.0], "b": [0.1]}, "two": {"a": [0.5], "b": []}}
    figure = plots.strips(values, {"one": {"level": 3.0}, "two": {"level": 4.0}}, "nats", least=0.2)
    points = [cloud for cloud in figure.axes[0].collections if isinstance(cloud, PathCollection)]
    assert [np.asarray(cloud.get_offsets())[:, 1].tolist() for cloud in points] == [[1.0, 2.0], [0.2], [0.5], []]
    places = [np.asarray(cloud.get_offsets())[0, 0] for cloud in points[1:3]]
    np.testing.assert_allclose(places, [0, 1], atol=0.5)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "level"]


def test_stacks_end_at_their_sums() -> None:
    figure = plots.stacks({"one": {"a": {"x": 1.0, "y": 2.0}, "b": {"x": 0.5, "y": 0.25}}}, "nats")
    tops = [bar.get_y() + bar.get_height() for bar in figure.axes[0].patches if isinstance(bar, Rectangle)]
    assert tops == [1.0, 0.5, 3.0, 0.75]


def test_progress_shows_curves_and_levels() -> None:
    figure = plots.progress({"one": {"a": [[0.0, 1.0, 2.0], [0.0, 3.0]]}}, {"one": {"truth": 7.0}}, "nats")
    assert [np.asarray(line.get_ydata()).tolist() for line in figure.axes[0].lines] == [[0, 1, 2], [0, 3], [7, 7]]
    assert figure.axes[0].get_ylim()[1] > 7


def test_ellipses_lie_at_one_and_two_deviations() -> None:
    ellipse = plots.Ellipse(np.array([1.0, -1.0]), np.array([[2.0, 0.5], [0.5, 1.0]]))
    figure = plots.contours(np.ones((3, 3)).cumsum(0), (-4, 4, -4, 4), {"fit": [ellipse]})
    for line, deviations in zip(figure.axes[0].lines, (1, 2), strict=True):
        offsets = np.stack(line.get_data()).T - ellipse.mean
        squares = np.einsum("ni,ij,nj->n", offsets, np.linalg.inv(ellipse.covariance), offsets)
        np.testing.assert_allclose(squares, deviations**2)


def shown(figure: Figure) -> list[NDArray[np.float64]]:
    """The images of a figure, as they are drawn."""
    return [np.asarray(image.get_array()) for axis in figure.axes for image in axis.get_images()]


def test_rows_of_images_stand_beside_their_names() -> None:
    rows = {"black": torch.ones(3, 1, 4, 4), "white": torch.zeros(3, 1, 4, 4)}
    figure = plots.image_rows(rows | {"also white": rows["white"]}, "three")
    (axis,), (sheet,) = figure.axes, shown(figure)
    assert sheet.shape == (15, 15)
    names = {
        label.get_text(): round(place) for label, place in zip(axis.get_yticklabels(), axis.get_yticks(), strict=True)
    }
    assert {name: sheet[place, 1] for name, place in names.items()} == {"black": 0, "white": 1, "also white": 1}


def test_sheets_have_one_range() -> None:
    sheets = {"dark": torch.full((4, 1, 4, 4), 0.25), "none": torch.zeros(4, 1, 4, 4)}
    figure = plots.image_sheets(sheets, columns=2)
    assert [axis.get_title() for axis in figure.axes] == ["dark", "none"]
    assert [image[1, 1] for image in shown(figure)] == [0.75, 1]
    assert all(image.shape == (10, 10) for image in shown(figure))


def test_latent_means_have_the_names_of_their_classes() -> None:
    labels = torch.tensor([0, 2, 2, 0])
    clouds = {"first": torch.randn(4, 2), "second": torch.randn(4, 2)}
    figure = plots.scatter_latent_means(
        {title: plots.Labelled(cloud, labels, ("a", "b", "c")) for title, cloud in clouds.items()}
    )
    figure.canvas.draw()
    assert [axis.get_title() for axis in figure.axes] == ["first", "second"]
    for axis, cloud in zip(figure.axes, clouds.values(), strict=True):
        assert [text.get_text() for text in axis.texts] == ["a", "c"]
        assert axis.texts[0].get_position() == pytest.approx(cloud[labels == 0].median(0).values.tolist())
        drawn = np.concatenate([np.asarray(points.get_offsets()) for points in axis.collections])
        np.testing.assert_allclose(np.sort(drawn, 0), np.sort(cloud.numpy(), 0), rtol=1e-6)


def test_a_figure_of_one_panel_is_drawn_into_given_axes(tmp_path: Path, stripes: Dataset) -> None:
    run, figure = fit_run(CONFIG, tmp_path / "run", stripes), Figure()
    part = figure.add_subfigure(figure.add_gridspec(1, 2)[0])  # also in a part of a figure
    axes = part.subplots(2, 3).flat
    images = stripes.test.all().x
    drawn = [
        plots.latent(run.model, stripes.test, stripes.classes, ax=axes[0]),
        plots.manifold(run.model, side=3, ax=axes[1]),
        plots.picture(images, 5, "images", ax=axes[2]),
        plots.image_rows({"a": images[:4]}, "rows", ax=axes[3]),
        plots.above({"a": {"ours": [1.0], "other": [0.5]}}, "nats", ax=axes[4]),
        plots.strips({"a": {"ours": [1.0, 2.0]}}, {"a": {"best": 0.5}}, "distance", 0.1, ax=axes[5]),
    ]
    assert all(one is figure for one in drawn)
    assert all(axis.has_data() for axis in axes)


class Copy(nn.Module):
    """A model of a table that reconstructs each row as given rows."""

    device = torch.device("cpu")

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = rows

    def reconstruct(self, _: object) -> Tensor:
        return self.rows


def test_reconstructions_of_a_table_have_their_quality_in_the_title() -> None:
    """Numbers have R², values the share that is right; a missing value counts as neither."""
    nan = torch.nan
    x = torch.tensor([[0.0, 18_000, 0], [1.0, 18_010, 1], [2.0, nan, 2], [3.0, 18_030, nan]])
    again = torch.tensor([[0.5, 18_000, 0], [1.5, 18_010, 2], [1.5, 0, 2], [2.5, 18_030, 0]])
    columns = (
        Column(name="size", kind="real", position=0),
        Column(name="day", kind="integer", position=1, notation=DateNotation(pattern="%Y-%m-%d", unit="D"), whole=True),
        Column(name="town", kind="categorical", position=2, values=("Winterthur", "Basel", "Schaffhausen am Rhein")),
    )
    part = Examples(x)
    dataset = Dataset("t", "columns", (3,), part, part, part, "none", None, columns)
    figure = reconstructed_columns(cast(VAE, Copy(again)), dataset)
    assert [axis.get_title() for axis in figure.axes] == ["size: R² = 0.80", "day: R² = 1.00", "town: 67% right"]
    assert [label.get_text() for label in figure.axes[2].get_xticklabels()] == ["Winterthur", "Basel", "Schaffhaus…"]
    figure.draw_without_rendering()
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["15", "May", "15"]
    np.testing.assert_allclose(np.asarray(figure.axes[2].images[0].get_array()), [[1, 0, 0], [0, 0, 0], [0, 1, 1]])
