"""The explorer's page, opened from disk in a real browser."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aevb.cli.app import main
from aevb.columns import Column
from aevb.config.schema import Config
from aevb.data import Dataset, Examples, load_data
from aevb.errors import BadInput
from aevb.explorer import Subject, explore, under
from aevb.explorer.content import Content, _identity, _rows, _view, gather
from aevb.explorer.page import packed, render
from aevb.explorer.server import pages
from aevb.runs.run_folder import RunFolder
from aevb.workflow.fitting import fit_run
from tests.conftest import some
from tests.explorer.browser import Opened, chromium, until, violations

HOSTILE = '</script><img src=x onerror="window.hacked=1">'
SHOTS = (360, 1280, 2560)


def trained(dataset: Dataset, folder: Path, **model: Any) -> RunFolder:
    content = {"model": {"hidden": (8,)} | model, "train": {"epochs": 2, "batch_size": 10}}
    run = fit_run(Config.model_validate(content), folder, dataset)
    run.evaluate(dataset, n_importance_samples=2)
    return run


def photographs() -> Dataset:
    """Color images without labels."""
    return some("unit", (3, 8, 8), 40)


def customers() -> Dataset:
    """A table with columns of all kinds, and names that try to act."""
    rng = np.random.default_rng(0)
    columns = [
        Column(name="height", kind="real", position=0),
        Column(name="price", kind="positive", position=1),
        Column(name="visits", kind="count", position=2, whole=True),
        Column(name="member", kind="binary", position=3, values=(False, True)),
        Column(name=HOSTILE, kind="categorical", position=4, values=("a", HOSTILE, "c")),
        Column(name="size", kind="categorical", position=5, values=("s", "l")),
    ]
    values = [rng.normal(size=60), rng.lognormal(size=60), rng.poisson(3, 60)]
    values += [rng.integers(0, count, 60) for count in (2, 3, 2)]
    table = torch.from_numpy(np.stack(values, 1).astype(np.float32))
    table[::7, 0] = torch.nan
    part = Examples(table, torch.arange(60) % 2)
    return Dataset(HOSTILE, "columns", (6,), part, part, part, "none", ("yes", HOSTILE), tuple(columns))


def curves() -> Dataset:
    """Rows of 30 columns: sines of any phase."""
    phase = 6 * torch.rand(60, 1, generator=torch.Generator().manual_seed(0))
    part = Examples(torch.sin(torch.linspace(0, 6, 30) + phase))
    return Dataset("sines", "real", (30,), part, part, part, "none", None)


KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "digits": (lambda: load_data("digits"), {"likelihood": "gaussian-full"}),
    "photographs": (
        photographs,
        {"network": "conv", "channels": (4, 8), "hidden": None, "latent": 5, "block": "residual"},
    ),
    "points": (lambda: load_data("blobs"), {}),
    "table": (customers, {"latent": 3}),
    "rows": (
        lambda: some("real", (120,), 40),
        {"posterior": "full", "prior": "mixture", "activation": "glu", "norm": "layer"},
    ),
    "curves": (curves, {}),
    "line": (lambda: some("binary", (1, 8, 8), 40), {"posterior": "point", "latent": 1}),
    "layers": (lambda: some("unit", (1, 8, 8), 40), {"latent": (3, 2)}),
    "skip": (lambda: some("unit", (1, 8, 8), 40), {"latent": (3, 2), "skip": "on"}),
    "full": (lambda: some("unit", (1, 8, 8), 40), {"posterior": "full", "latent": 3}),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


KINDS_OFTEN_TRIED = ("digits",)


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=() if kind in KINDS_OFTEN_TRIED else pytest.mark.slow) for kind in KINDS],
)
def explored(request: pytest.FixtureRequest, browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A run of each kind, and its page."""
    make, model = KINDS[request.param]
    dataset = make()
    run = trained(dataset, tmp_path_factory.mktemp(request.param) / "run", **model)
    opened = Opened(browser, explore([Subject(run, dataset)]))
    opened.page.wait_for_selector("html[data-ready]")
    opened.page.wait_for_timeout(300)
    yield run, dataset, opened
    opened.close()


@pytest.fixture
def without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the files of the networks, whose export takes seconds."""
    monkeypatch.setattr("aevb.explorer.content.networks", lambda _: {"decoder": b""})


def pixels(page: Any, part: str, root: str = "#run-0") -> str:
    """What a canvas shows."""
    return str(page.locator(f'{root} [data-part="{part}"]').evaluate("(canvas) => canvas.toDataURL()"))


def idle(page: Any) -> None:
    until(page, "aevb.explorers.every((explorer) => !explorer.busy)")


def received(run: RunFolder) -> int:
    """The number of latent dimensions that the decoder receives."""
    return run.model.decoder_input(run.model.sample_prior(1)).shape[-1]


def test_it_asks_nothing_of_anyone_and_complains_of_nothing(explored: Any) -> None:
    _, _, opened = explored
    assert not opened.requests
    assert not opened.complaints
    assert not opened.page.evaluate("window.hacked")
    assert opened.page.locator("img").count() == 0


def test_it_has_no_barriers(explored: Any) -> None:
    _, _, opened = explored
    assert not violations(opened.page)
    opened.page.emulate_media(color_scheme="dark")
    assert not violations(opened.page)
    opened.page.emulate_media(color_scheme="light")


def test_it_fits_screens_of_any_width(explored: Any) -> None:
    _, _, opened = explored
    for width in SHOTS:
        opened.page.set_viewport_size({"width": width, "height": 900})
        assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    opened.page.set_viewport_size({"width": 1280, "height": 900})


def test_it_decodes_what_pytorch_decodes(explored: Any) -> None:
    run, _, opened = explored
    width = received(run)
    z = torch.randn(4, width, generator=torch.Generator().manual_seed(0))
    for point in z:
        opened.page.evaluate("(z) => aevb.explorers[0].goTo(z)", point.tolist())
        idle(opened.page)
        found = opened.page.evaluate("[...aevb.explorers[0].found.mean]")
        with torch.no_grad():
            expected = run.model.decode(point.unsqueeze(0)).mean.flatten()
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5, rtol=1e-5)


def test_images_are_as_likely_as_pytorch_has_it(explored: Any) -> None:
    run, dataset, opened = explored
    if len(dataset.shape) != 3:
        pytest.skip("its examples are no images")
    if run.resolved.likelihood == "gaussian-full":  # ONNX has no word for its triangular solve
        assert not opened.page.evaluate("aevb.explorers[0].model.likelihood")
        return
    x = dataset.test.batch(slice(0, 1)).x
    z = torch.full((1, received(run)), 0.3)
    code = """async ([z, x]) => {
        const { model } = aevb.explorers[0];
        const { output } = await model.decode(Float32Array.from(z));
        return await model.logLikelihood(output, Float32Array.from(x));
    }"""
    found = opened.page.evaluate(code, [z[0].tolist(), x.flatten().tolist()])
    with torch.no_grad():
        assert found == pytest.approx(run.model.decode(z).log_prob(x).item(), rel=1e-4, abs=1e-3)


def test_its_examples_are_those_of_the_run(explored: Any) -> None:
    run, dataset, opened = explored
    last = opened.page.evaluate("aevb.explorers[0].model.count") - 1
    opened.page.evaluate("(n) => aevb.explorers[0].choose(n)", last)
    idle(opened.page)
    number = len(dataset.test) - 1
    assert f"test example {number}" in opened.page.locator('[data-part="chosen"]').inner_text()
    with torch.no_grad():
        code = run.model.decoder_input(run.model.latent_means(dataset.test.batch(slice(number, None)).x))
    np.testing.assert_allclose(opened.page.evaluate("[...aevb.explorers[0].z]"), code[0].numpy(), atol=1e-5)


def test_a_drag_changes_what_is_decoded(explored: Any) -> None:
    _, _, opened = explored
    page = opened.page
    page.evaluate("scrollTo(0, 0)")
    shown = {view: lambda: pixels(page, "now") for view in ("image", "cloud", "curve")}
    view = page.evaluate("aevb.explorers[0].model.facts.view")
    look = shown.get(view, lambda: page.locator('[data-part="now"]').inner_text())
    box = page.locator('[data-part="plane"]').bounding_box()
    looks = []
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    for share in (0.3, 0.5, 0.7):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + share * box["height"], steps=3)
        idle(page)
        looks.append(look())
    page.mouse.up()
    assert len(set(looks)) == 3
    right, up = page.evaluate("aevb.explorers[0].stage.place")
    assert right > 0
    assert up < 0 or page.evaluate("aevb.explorers[0].model.latent") == 1


def test_every_control_is_reached_by_keyboard(explored: Any) -> None:
    _, _, opened = explored
    page = opened.page
    wanted = page.evaluate(
        """() => {
            const all = [...document.querySelectorAll("button, input, select, a[href], [tabindex='0']")];
            const open = all.filter((one) => !one.disabled && one.checkVisibility());
            open.forEach((one, n) => (one.dataset.control = n));
            return open.filter((one) => one.type !== "radio" || one.checked).map((one) => one.dataset.control);
        }"""
    )
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(3 * len(wanted)):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.control"))
    assert set(wanted) <= reached


def test_keys_move_zoom_and_choose(explored: Any) -> None:
    _, _, opened = explored
    page = opened.page
    page.locator('[data-part="origin"]').click()
    page.locator('[data-part="plane"]').focus()
    unit = page.evaluate("aevb.explorers[0].stage.plane.scale.unit")
    for key in ("ArrowRight", "ArrowRight", "+"):
        page.keyboard.press(key)
    assert page.evaluate("aevb.explorers[0].stage.place")[0] == pytest.approx(0.1)
    assert page.evaluate("aevb.explorers[0].stage.plane.scale.unit") == pytest.approx(1.25 * unit)
    page.keyboard.press("0")
    assert page.evaluate("aevb.explorers[0].stage.plane.scale.unit") == pytest.approx(unit)
    page.keyboard.press("Enter")
    assert page.evaluate("aevb.explorers[0].chosen") == page.evaluate("aevb.explorers[0].nearestExample")


def test_the_slider_of_each_dimension_moves_it_alone(explored: Any) -> None:
    run, _, opened = explored
    page = opened.page
    page.locator('[data-part="origin"]').click()
    idle(page)
    order = page.evaluate("aevb.explorers[0].model.order")
    sliders = page.locator('[data-part="sliders"] input')
    assert sliders.count() == received(run)
    sliders.last.fill("1.5")
    expected = [1.5 if place == order[-1] else 0 for place in range(len(order))]
    assert page.evaluate("[...aevb.explorers[0].z]") == expected
    rates = page.evaluate("aevb.explorers[0].model.facts.rates")
    if rates:
        assert [rates[place] for place in order] == sorted(rates, reverse=True)


def test_a_walk_leads_from_one_example_to_another(explored: Any) -> None:
    run, _, opened = explored
    page = opened.page
    page.locator('[data-part="pair-random"]').click()
    page.wait_for_timeout(200)
    page.locator('[data-part="share"]').fill("50")
    ends = np.array(page.evaluate("['from', 'to'].map((end) => [...aevb.explorers[0].sections.morph[end].z])"))
    np.testing.assert_allclose(page.evaluate("[...aevb.explorers[0].z]"), ends.mean(0), atol=1e-6)
    line = page.evaluate("[...aevb.explorers[0].sections.morph.line]")
    first, last = torch.tensor(ends, dtype=torch.float32)
    with torch.no_grad():
        expected = run.model.decode(torch.lerp(first, last, torch.linspace(0, 1, 11).unsqueeze(1))).mean
    np.testing.assert_allclose(line, expected.flatten().numpy(), atol=1e-5, rtol=1e-5)


def test_samples_are_drawn_again(explored: Any) -> None:
    run, _, opened = explored
    page = opened.page
    before = pixels(page, "samples")
    page.locator('[data-part="resample"]').click()
    page.wait_for_timeout(300)
    assert pixels(page, "samples") != before
    z = np.array(page.evaluate("[...aevb.explorers[0].sections.samples.z]"))
    temperature = page.locator('[data-part="temperature"]')
    if run.resolved.prior == "normal" and len(run.resolved.latent) == 1:
        temperature.fill("0.5")
        page.wait_for_timeout(300)
        np.testing.assert_allclose(page.evaluate("[...aevb.explorers[0].sections.samples.z]"), z / 2, rtol=1e-5)
        temperature.fill("1")
    else:
        assert temperature.is_disabled()


# What only some kinds have.


@pytest.fixture(scope="module")
def digits(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A model of the size of MNIST's, of gray images of two classes, with z = 2."""
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.integers(0, 2, 300))
    grid = np.linspace(-1, 1, 28)
    waves = np.sin(6 * (grid[:, None] * np.where(labels, 1, -1)[:, None, None] + grid) + rng.normal(size=(300, 1, 1)))
    values = torch.from_numpy((255 * np.clip(waves, 0, 1)).astype(np.uint8)).unsqueeze(1)
    part = Examples(values, labels, 1 / 255)
    dataset = Dataset("waves", "unit", (1, 28, 28), part, part, part, "none", ("up", "down"))
    run = trained(dataset, tmp_path_factory.mktemp("waves") / "waves", hidden=(500,))
    opened = Opened(browser, explore([Subject(run, dataset)]), accept_downloads=True)
    opened.page.wait_for_selector("html[data-ready]")
    opened.page.wait_for_timeout(500)
    yield run, dataset, opened
    opened.close()


@pytest.mark.slow
def test_a_decode_takes_less_than_five_milliseconds(digits: Any) -> None:
    page = digits[2].page
    for step in range(60):
        page.evaluate("(step) => aevb.explorers[0].goToPlace([step / 30 - 1, 0])", step)
        idle(page)
    assert len(page.evaluate("aevb.explorers[0].model.decoder.times")) > 60
    assert page.evaluate("aevb.explorers[0].model.decoder.median") < 5


def test_what_lies_behind_can_be_chosen(digits: Any) -> None:
    page = digits[2].page
    looks = []
    for name in ("tiles", "density", "none"):
        page.locator(f'input[value="{name}"]').check(force=True)
        page.wait_for_timeout(500)
        looks.append(pixels(page, "below"))
        assert page.locator('[data-part="key"]').is_visible() == (name == "density")
    assert len(set(looks)) == 3
    page.locator('[data-part="classes"] button').first.click()
    assert pixels(page, "below") != looks[-1]
    page.locator('[data-part="classes"] button').first.click()
    assert pixels(page, "below") == looks[-1]


def test_the_wheel_zooms_and_shift_pans(digits: Any) -> None:
    page = digits[2].page
    page.evaluate("scrollTo(0, 0)")
    box = page.locator('[data-part="plane"]').bounding_box()
    here = (box["x"] + 100, box["y"] + 100)
    unit = page.evaluate("aevb.explorers[0].stage.plane.scale.unit")
    page.mouse.move(*here)
    page.mouse.wheel(0, -50)
    until(page, f"aevb.explorers[0].stage.plane.scale.unit > 1.1 * {unit}")
    z, center = (page.evaluate(f"[...aevb.explorers[0].{what}]") for what in ("z", "stage.plane.scale.center"))
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(here[0] + 50, here[1])
    page.mouse.up()
    page.keyboard.up("Shift")
    assert page.evaluate("[...aevb.explorers[0].z]") == z
    assert page.evaluate("aevb.explorers[0].stage.plane.scale.center")[0] < center[0]
    page.locator('[data-part="whole"]').click()


def test_a_drawing_is_encoded_as_pytorch_encodes_it(digits: Any) -> None:
    run, _, opened = digits
    page = opened.page
    pad = page.locator('[data-part="pad"]')
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.8 * box["height"], steps=5)
    page.mouse.up()
    until(page, "document.querySelector('[data-part=verdict]').innerText.includes('bound')")
    x = torch.tensor(page.evaluate("[...aevb.explorers[0].sections.own.x]")).view(1, 1, 28, 28)
    assert 0.02 < x.mean() < 0.5
    with torch.no_grad():
        q = run.model.encode(x)
        trace = run.model.trace(x, 4000)
    own = page.evaluate("(({mean, stddev}) => [[...mean], [...stddev]])(aevb.explorers[0].stage.own)")
    np.testing.assert_allclose(own, [q.mean[0].numpy(), q.stddev[0].numpy()], atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(page.evaluate("[...aevb.explorers[0].z]"), q.mean[0].numpy(), atol=1e-4)
    # The bound on the page uses its own samples: both are means with standard errors.
    bound = trace.log_likelihood[:, 0].mean() - trace.rate[0]
    text = page.locator('[data-part="verdict"] dd').first.inner_text().replace("−", "-").replace(",", "")
    shown, error = float(text.split()[0]), float(text.split()[2])
    spread = error + trace.log_likelihood.std().item() / 4000**0.5
    assert abs(shown - bound.item()) < 5 * spread + 0.5


def test_a_drawing_can_be_made_with_keys_and_cleared(digits: Any) -> None:
    page = digits[2].page
    page.locator('[data-part="clear"]').click()
    assert "Nothing" in page.locator('[data-part="verdict"]').inner_text()
    page.locator('[data-part="pad"]').focus()
    for key in ("Space", "Shift+ArrowDown", "Shift+ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    until(page, "document.querySelector('[data-part=verdict]').innerText.includes('squared error')")
    page.locator('[data-part="clear"]').click()


def test_a_file_is_read_and_what_is_none_is_named(digits: Any, tmp_path: Path) -> None:
    from PIL import Image

    page = digits[2].page
    picture = np.full((60, 40), 255, dtype=np.uint8)
    picture[10:50, 15:25] = 0
    Image.fromarray(picture).save(tmp_path / "one.png")
    page.locator('[data-part="file"]').set_input_files(tmp_path / "one.png")
    until(page, "document.querySelector('[data-part=verdict]').innerText.includes('squared error')")
    (tmp_path / "no.png").write_text("no picture")
    page.locator('[data-part="file"]').set_input_files(tmp_path / "no.png")
    until(page, "document.querySelector('[data-part=verdict]').innerText.includes('no.png is not an image')")


def test_the_strip_is_saved_as_a_png(digits: Any, tmp_path: Path) -> None:
    from PIL import Image

    page = digits[2].page
    with page.expect_download() as download:
        page.locator('[data-part="save"]').click()
    assert download.value.suggested_filename == "waves-morph.png"
    download.value.save_as(tmp_path / "strip.png")
    with Image.open(tmp_path / "strip.png") as image:
        assert image.size == (11 * 112, 2 * 112)
        assert len(np.unique(np.asarray(image.convert("L")))) > 20


def test_the_nearest_training_example_is_the_nearest(digits: Any) -> None:
    _, dataset, opened = digits
    page = opened.page
    sheet = page.locator('[data-part="samples"]')
    sheet.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("aevb.explorers[0].sections.samples.number") == 1
    mean = page.evaluate("[...aevb.explorers[0].sections.samples.means.subarray(784, 2 * 784)]")
    distances = (dataset.train.all().x.flatten(1) - torch.tensor(mean)).norm(dim=1)
    text = page.locator('[data-part="distance"]').inner_text()
    assert float(text.split()[-1]) == pytest.approx(distances.min().item(), abs=0.02)
    page.keyboard.press("Enter")
    idle(page)
    np.testing.assert_allclose(page.evaluate("[...aevb.explorers[0].found.mean]"), mean, atol=1e-6)


@pytest.mark.slow
def test_a_plane_of_more_dimensions_is_chosen(browser: Any, tmp_path: Path) -> None:
    dataset = some("unit", (1, 8, 8), 40)
    opened = Opened(browser, explore([Subject(trained(dataset, tmp_path / "run", latent=4), dataset)]))
    page = opened.page
    page.wait_for_selector("html[data-ready]")
    page.locator('[data-part="up"]').select_option("0")
    page.locator('[data-part="across"]').select_option("3")
    assert page.evaluate("aevb.explorers[0].stage.axes") == ["z₄", "z₁"]
    page.locator('[data-part="principal"]').check(force=True)
    assert "component 1" in page.evaluate("aevb.explorers[0].stage.axes[0]")
    u, v = np.array(page.evaluate("aevb.explorers[0].stage.directions.map((u) => [...u])"))
    np.testing.assert_allclose([u @ u, v @ v, u @ v], [1, 1, 0], atol=1e-5)
    opened.close()


@pytest.mark.slow
def test_two_runs_side_by_side(browser: Any, tmp_path: Path, stripes: Dataset) -> None:
    runs = [Subject(trained(stripes, tmp_path / name, latent=z), stripes) for name, z in (("a", 2), ("b", 3))]
    path = explore(runs)
    assert path == tmp_path / "a" / "explorer.html"
    opened = Opened(browser, path, width=1440)
    page = opened.page
    page.wait_for_selector("html[data-ready]")
    page.evaluate("aevb.explorers[0].choose(5)")
    idle(page)
    assert page.evaluate("aevb.explorers[1].chosen") == 5
    before = pixels(page, "now", "#run-1")
    page.locator('input[name="link"][value="place"]').check(force=True)
    page.evaluate("aevb.explorers[1].goToPlace([1, -1])")
    idle(page)
    np.testing.assert_allclose(page.evaluate("aevb.explorers[0].stage.place"), [1, -1], atol=1e-6)
    assert pixels(page, "now", "#run-1") != before
    page.locator('input[name="link"][value="none"]').check(force=True)
    page.evaluate("aevb.explorers[0].goToPlace([0, 0])")
    np.testing.assert_allclose(page.evaluate("aevb.explorers[1].stage.place"), [1, -1], atol=1e-6)
    links = page.locator("dd a").evaluate_all("(links) => links.map((link) => link.getAttribute('href'))")
    assert [(path.parent / link).resolve() for link in links] == [tmp_path / name / "config.json" for name in "ab"]
    assert not opened.complaints
    assert not violations(page)
    opened.close()


@pytest.mark.slow
def test_a_server_can_hand_the_files_out(browser: Any, tmp_path: Path) -> None:
    dataset = some("unit", (1, 8, 8), 40)
    run = trained(dataset, tmp_path / "run")
    content = gather(Subject(run, dataset), "0", run.folder)
    files = {f"files/{name}": file for name, file in packed([content]).items()}
    text = render([content], files_at="files/")
    assert len(text) < 200_000

    def hand_out(route: Any) -> None:
        name = route.request.url.removeprefix("http://explorer.test/")
        route.fulfill(body=files[name] if name else text, content_type="text/html" if not name else "application/gzip")

    page = browser.new_page()
    page.route("http://explorer.test/**", hand_out)
    page.goto("http://explorer.test/")
    page.wait_for_selector("html[data-ready]")
    idle(page)
    with torch.no_grad():
        expected = run.model.decode(torch.zeros(1, 2)).mean.flatten()
    np.testing.assert_allclose(page.evaluate("[...aevb.explorers[0].found.mean]"), expected.numpy(), atol=1e-5)
    page.close()


# Without a browser.


@pytest.mark.usefixtures("without_networks")
def test_the_facts_are_json_that_no_text_can_leave(tmp_path: Path) -> None:
    dataset = customers()
    text = explore([Subject(trained(dataset, tmp_path / "run"), dataset)]).read_text(encoding="utf-8")
    assert "<img" not in text
    facts = json.loads(text.split('id="facts">')[1].split("</script>")[0])
    assert facts[0]["data"] == HOSTILE
    assert HOSTILE in facts[0]["classes"]


@pytest.mark.slow
def test_a_column_that_is_missing_throughout(tmp_path: Path) -> None:
    dataset = customers()
    run = trained(dataset, tmp_path / "run")
    dataset.train.values[:, 1] = torch.nan
    facts = gather(Subject(run, dataset), "0", run.folder).facts
    assert facts["columns"][1]["low"] < facts["columns"][1]["high"]
    json.dumps(facts, allow_nan=False)


def test_a_column_of_large_numbers_that_hardly_vary_has_a_scale() -> None:
    part = Examples(torch.cat([torch.full((400, 2), 1e9, dtype=torch.float64), torch.zeros(1, 2)]))
    dataset = replace(some("real", (2,), 10), train=part, valid=part, test=part)
    for column in _rows(dataset, part, Content("0"))["columns"]:
        assert column["low"] < column["high"]


@pytest.mark.usefixtures("without_networks")
def test_times_are_shown_to_the_second(tmp_path: Path) -> None:
    """Times in seconds exceed the digits of float32."""
    seconds = torch.arange(1_700_000_001, 1_700_600_001, 10_000, dtype=torch.float64)
    part = Examples(torch.stack([seconds, seconds % 7], 1))
    columns = tuple(Column(name=name, kind="real", position=position) for position, name in enumerate(("time", "x")))
    dataset = Dataset("times", "columns", (2,), part, part, part, "none", None, columns)
    content = gather(Subject(trained(dataset, tmp_path / "run"), dataset), "0", tmp_path)
    examples = content.facts["examples"]
    assert np.frombuffer(content.files[examples["file"]], examples["type"])[::2].tolist() == seconds.tolist()


@pytest.mark.slow
def test_many_examples_are_thinned_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = some("unit", (1, 8, 8), 90)
    run = trained(dataset, tmp_path / "run")
    monkeypatch.setattr("aevb.explorer.content.SHOWN", 30)
    content = gather(Subject(run, dataset), "0", run.folder)
    numbers = np.frombuffer(content.files["0/numbers"], dtype="<f4").astype(int)
    codes = np.frombuffer(content.files["0/codes"], dtype="<f4").reshape(30, 2)
    with torch.no_grad():
        expected = run.model.encode(dataset.test.batch(torch.from_numpy(numbers)).x).mean
    np.testing.assert_allclose(codes, expected.numpy(), atol=1e-5)
    assert (numbers[0], numbers[-1]) == (0, 89)


@pytest.mark.slow
def test_a_model_too_large_for_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = some("unit", (1, 8, 8), 40)
    run = trained(dataset, tmp_path / "run")
    monkeypatch.setattr("aevb.explorer.page.LARGEST", 1000)
    with pytest.raises(BadInput, match="--serve"):
        explore([Subject(run, dataset)])
    assert not (run.folder / "explorer.html").exists()


def test_a_conditional_model_is_refused(tmp_path: Path) -> None:
    dataset = load_data("digits", condition=("label",))
    with pytest.raises(BadInput, match="pass condition="):
        explore([Subject(trained(dataset, tmp_path / "run"), dataset)])


def test_the_examples_of_a_condition_are_counted(tmp_path: Path) -> None:
    dataset = load_data("digits", condition=("label",))
    chosen = under(trained(dataset, tmp_path / "run"), dataset, torch.tensor([[3.0]]))
    counts = [len(part) for part in (chosen.dataset.train, chosen.dataset.valid, chosen.dataset.test)]
    assert [chosen.run.data.train, chosen.run.data.valid, chosen.run.data.test] == counts
    assert sum(counts) < len(dataset.train)


@pytest.mark.usefixtures("without_networks")
def test_the_examples_of_a_condition_have_their_numbers_in_the_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the page shows only some of them; its scores are named as those of all conditions."""
    dataset = load_data("digits", condition=("label",))
    run = trained(dataset, tmp_path / "run")
    assert dataset.test.labels is not None
    threes = (dataset.test.labels == 3).nonzero()[:, 0]
    for most, expected in ((2000, threes), (3, threes[[0, (len(threes) - 1) // 2, -1]])):
        monkeypatch.setattr("aevb.explorer.content.SHOWN", most)
        content = gather(under(run, dataset, torch.tensor([[3.0]])), "0", run.folder)
        numbers = np.frombuffer(content.files[content.facts["numbers"]["file"]], "<f4")
        assert numbers.tolist() == expected.tolist()
        shown = np.frombuffer(content.files[content.facts["examples"]["file"]], np.uint8).reshape(-1, 64)
        x = dataset.test[expected].all().x.flatten(1)
        np.testing.assert_allclose(shown / 255, x, atol=0.5 / 255)
    assert "bound (ELBO), nats, all conditions" in content.facts["headline"]
    assert "Test split, all conditions, in nats" in render([content])


def test_the_condition_may_be_a_missing_value(tmp_path: Path) -> None:
    part = Examples(torch.randn(60, 3), condition=torch.tensor([0.0, torch.nan]).repeat(30).unsqueeze(1))
    column = Column(name="size", kind="real", position=0)
    dataset = replace(some("real", (3,), 60), train=part, valid=part, test=part, condition_columns=(column,))
    chosen = under(trained(dataset, tmp_path / "run"), dataset, torch.tensor([[torch.nan]]))
    assert chosen.numbers is not None
    assert chosen.numbers.tolist() == list(range(1, 60, 2))
    assert chosen.run.data.name.endswith("given size missing")


@pytest.mark.usefixtures("without_networks")
def test_the_link_to_a_configuration_is_quoted(tmp_path: Path, stripes: Dataset) -> None:
    runs = [Subject(trained(stripes, tmp_path / name), stripes) for name in ("a", "b #1%41")]
    assert 'href="../b%20%231%2541/config.json"' in explore(runs).read_text(encoding="utf-8")


@pytest.mark.usefixtures("without_networks")
def test_a_run_on_the_hub_can_be_served(tmp_path: Path, stripes: Dataset) -> None:
    run = replace(trained(stripes, tmp_path / "run"), folder=Path("hub:me/stripes"))
    content = pages([Subject(run, stripes)], "token")["/token/config-0.json"].content
    assert json.loads(content)["model"]["hidden"] == [8]


@pytest.mark.slow
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main_of = ["train", "digits", "--train.epochs", "1", "--n-importance-samples", "2", "--out", str(tmp_path / "run")]
    for arguments, status in ((main_of, 0), (["explore", str(tmp_path / "run"), "--no-open"], 0)):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == status
    assert f"wrote {tmp_path / 'run' / 'explorer.html'}" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main(["explore", *[str(tmp_path / "run")] * 3])
    assert caught.value.code == 2
    assert "one run or compares two" in capsys.readouterr().err


def test_the_view_suits_the_rows() -> None:
    noise = some("real", (30,), 40)
    assert [_view(dataset) for dataset in (curves(), noise, customers())] == ["curve", "row", "row"]


def test_an_underestimate_is_marked_in_the_header(tmp_path: Path) -> None:
    run = trained(some("real", (30,), 40), tmp_path / "run")
    (log_px,) = (score for score in run.scores if (score.name, score.split) == ("log_px", "test"))
    assert _identity(run, tmp_path)["notes"] == []
    run.save_scores([replace(log_px, note="underestimate: of two samples")])
    facts = _identity(run, tmp_path)
    assert facts["headline"]["log p(x), nats"].endswith(" †")
    assert facts["notes"] == ["underestimate: of two samples"]
