"""What a reproduced report came to: every claim on the page, right numbers, nothing fetched, and the command for it."""

import json
import math
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from aevb import reproduction as recipes
from aevb.cli import app as cli
from aevb.config.schema import Config
from aevb.report import wording
from aevb.reproduction import figures
from aevb.reproduction import run as reproduction
from aevb.reproduction import wording as claims
from aevb.reproduction.facts import Report
from aevb.reproduction.pages import markdown, write
from aevb.reproduction.quantities import Missing, Results, number, score
from aevb.reproduction.recipe import Picture, Recipe, Trial
from aevb.reproduction.verdicts import Above, Below, Claim, Near, Verdict

HOSTILE = "<script>alert('x')</script> | a *b* `c` & <img src=http://example.org/x.png>"
Command = Callable[[str], tuple[int, str, str]]


def study(seed: int, _: str | None) -> dict[str, float]:
    return {"difference": 1.5 + 0.002 * seed}


def curve(results: Results) -> Figure:
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([epoch.train.bound for epoch in results.run("small").epochs])
    return figure


def noise(_: Results) -> Figure:
    figure = Figure(figsize=(2, 2))
    figure.subplots().imshow(np.random.default_rng(0).uniform(size=(200, 200, 3)))
    return figure


def absent(_: Results) -> Figure:
    raise Missing("nothing was trained for it")


def trial(**model: Any) -> Trial:
    config = {"data": {"source": "digits"}, "model": {"hidden": [4], **model}, "train": {"epochs": 1}}
    return Trial(Config.model_validate(config), n_importance_samples=3)


def recipe() -> Recipe:
    difference = number("study", "difference")
    return Recipe(
        name="tiny",
        title="A Title & More",
        author="A. N. Author",
        about="What it did.\n\nWhat is done here.",
        trials={"small": trial(), "large": trial(latent=[3])},
        claims=[
            Claim("the difference is near", "about 1.5", difference, Near(1.5, 0.1), "smoke", note="Read with care."),
            Claim(HOSTILE, 12.5, difference, Above(2), "smoke"),
            Claim("seen at full length", None, score("small", "bound"), Below(0), "full"),
            Claim("never measured", None, score("small", "no_such_score"), Below(0), "smoke"),
        ],
        pictures=[
            Picture("curve", "Figure 3a", "A bound.", "A curve that rises.", curve),
            Picture("noise", "Figure 4", "Noise.", "", noise),
            Picture("absent", "Figure 5", "Nothing.", "A walk.", absent),
        ],
        studies={"study": study},
        errata=["Equation 1 has the wrong sign."],
        differences=["Other data."],
    )


@pytest.fixture(autouse=True, scope="module")
def _one_core() -> Iterator[None]:
    """Runs take every core, which such small ones have no use for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.cpu_count", lambda: 1)
        yield


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Trained with two seeds, once."""
    results = Results(tmp_path_factory.mktemp("runs") / "tiny-smoke", [0, 1])
    return write(recipe(), results, "smoke", reproduction.reproduce(recipe(), results))


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def found(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page((report.folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_is_whole_and_has_every_claim(report: Report, page: Page) -> None:
    assert page.open == []
    assert page.found("html") == [{"lang": "en"}]
    for claim in report.recipe.claims:
        assert claim.label in page.text
    for words in (
        "A Title & More",
        "1 of 2 claims holds, 1 fails.",
        "0 of 2 expectations hold, 1 is not judged at this scale, 1 has no number.",
        "1.5010 ± 0.0014",
        "within 0.1 of 1.5",
        "Read with care.",
        "In the report: A curve that rises.",
        "Not available: nothing was trained for it.",
        "Equation 1 has the wrong sign.",
        "Other data.",
        "model.latent=3",
        "aevb reproduce tiny --scale smoke --seeds 2",
        "torch 2.",
    ):
        assert words in page.text
    cells = [cell for cell in page.found("td") if cell["data-label"] == "verdict"]
    assert [str(cell["class"]) for cell in cells] == [
        f"verdict {outcome}" for outcome in ("holds", "fails", "not-judged", "not-judged")
    ]


def test_the_page_fetches_nothing_and_no_text_acts(page: Page) -> None:
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    places = [str(found[name]) for _, found in page.tags for name in ("src", "href", "srcset") if name in found]
    assert all(place.startswith(("data:image/png;base64,", "#claim-")) for place in places)
    assert "url(" not in page.text
    assert "@import" not in page.text


def test_the_pictures_are_in_the_page_with_words_for_those_who_do_not_see_them(report: Report, page: Page) -> None:
    images = page.found("img")
    assert [image["alt"] for image in images] == ["Figure 3a: A bound.", "Figure 4: Noise."]
    for image, name in zip(images, ("curve", "noise"), strict=True):
        content = b64decode(str(image["src"]).partition(",")[2])
        assert content == (report.folder / "figures" / f"{name}.png").read_bytes()
        with Image.open(BytesIO(content)) as picture:
            assert [str(size) for size in picture.size] == [image["width"], image["height"]]


def test_tables_can_be_read_by_ear(page: Page) -> None:
    assert len(page.found("caption")) == len(page.found("table")) == 3
    assert {head["scope"] for head in page.found("th")} == {"col", "row"}


def test_a_heavy_picture_is_made_lighter(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = report.folder / "figures" / "noise.png"
    monkeypatch.setattr(figures, "LARGEST", plain.stat().st_size - 1)
    drawn = figures.draw(report.recipe.pictures[1], Results(tmp_path, [0]))
    with Image.open(tmp_path / str(drawn.file)) as image, Image.open(plain) as full:
        assert (image.mode, full.mode) == ("P", "RGBA")
        assert image.size == full.size
    assert (tmp_path / str(drawn.file)).stat().st_size <= figures.LARGEST


def test_the_same_as_markdown(report: Report) -> None:
    text = (report.folder / "results.md").read_text(encoding="utf-8")
    lines = text.splitlines()
    table = [line for line in lines if line.startswith("| ")]
    assert len(table) == (2 + 2) + (2 + 2) + (2 + 2)
    assert r"\<script>alert('x')\</script> \| a \*b\* \`c\` &" in table[3]
    assert [line.replace(r"\|", "").count("|") for line in table[:8]] == [8] * 8
    assert table[2].startswith("| 1 | the difference is near ")
    assert "✓ holds: [1.4883, 1.5137] from 2 runs" in table[2].replace("\\", "")
    assert "![Figure 3a: A bound.](figures/curve.png)" in lines
    assert "- 1: Read with care." in lines
    assert not any(before for before, line in pairwise(lines) if line.startswith("#"))
    assert "aevb reproduce tiny --scale smoke --seeds 2" in lines
    assert str(report.folder.parent) not in text


def test_a_comparison_with_several_publications_has_no_author(report: Report) -> None:
    comparison = replace(report.recipe, author="", noun="record", errata=[], differences=["Other data."])
    page = markdown(replace(report, recipe=comparison))
    assert "By " not in page
    assert "## Records\n" in page
    assert "## Differences from the published models\n" in page


def test_the_same_for_programs(report: Report) -> None:
    content = json.loads((report.folder / "results.json").read_text(encoding="utf-8"))
    assert [claim["outcome"] for claim in content["claims"]] == ["holds", "fails", "not judged", "not judged"]
    first, *_, last = content["claims"]
    assert first["values"] == {"0": 1.5, "1": 1.502}
    assert (first["mean"], first["std"]) == (1.501, pytest.approx(0.002 * math.sqrt(0.5)))
    assert first["interval"] == pytest.approx([1.501 - 0.0127062, 1.501 + 0.0127062], abs=1e-6)
    assert last["values"] == {"0": None, "1": None}
    assert last["mean"] is None
    assert content["seeds"] == [0, 1]
    assert Config.model_validate(content["trials"]["small"]["config"]) == report.recipe.trials["small"].config
    assert content["training_seconds"] > 0


def test_what_was_measured_is_what_the_runs_have(report: Report) -> None:
    runs = [Results(report.folder, [0, 1]).run("small", seed) for seed in (0, 1)]
    bounds = [next(s.value for s in run.scores if (s.name, s.split) == ("bound", "test")) for run in runs]
    shown = dict(zip(report.measured.columns, report.measured.rows[0], strict=True))
    assert shown["bound (ELBO)"] == wording.with_spread(float(np.mean(bounds)), float(np.std(bounds, ddof=1)))
    assert (shown["trial"], shown["data"], shown["seeds"], shown["K"]) == ("small", "digits", "2", "3")
    assert shown["parameters"] == f"{sum(weights.numel() for weights in runs[0].model.parameters()):,}"
    seconds = sum(run.outcome.seconds for run in runs if run.outcome)
    assert shown["an epoch"] == wording.duration(seconds / sum(len(run.epochs) for run in runs))


def test_what_is_done_is_not_done_again(report: Report) -> None:
    before = {path: path.stat().st_mtime_ns for path in report.folder.rglob("seed=*/*")}
    results = Results(report.folder, [0, 1])
    again = write(recipe(), results, "smoke", reproduction.reproduce(recipe(), results))
    assert {path: path.stat().st_mtime_ns for path in report.folder.rglob("seed=*/*")} == before
    assert again.claims == report.claims


def test_runs_of_another_configuration_do_not_count(report: Report) -> None:
    other = Recipe(**{**vars(recipe()), "trials": {"small": trial(latent=[5]), "large": trial(latent=[3])}})
    results = Results(report.folder, [0])
    failures = reproduction.reproduce(other, results)
    assert [failure.partition(":")[0] for failure in failures] == ["small, seed 0"]
    assert "another configuration" in failures[0]
    assert score("small", "bound").values(results) == []
    assert len(score("large", "bound").values(results)) == 1
    assert results.runs("small") == []


def test_the_share_that_is_done(report: Report, tmp_path: Path) -> None:
    done = list(reproduction.cells(recipe(), Results(report.folder, [0, 1])))
    none = list(reproduction.cells(recipe(), Results(tmp_path, [0, 1])))
    assert reproduction.share_done(done) == 1.0
    assert reproduction.share_done(done + none) == 0.5


@pytest.mark.parametrize(
    ("mean", "spread", "text"),
    [
        (-98.3214, 0.1234, "-98.32 ± 0.12"),
        (-98.3214, math.nan, "-98.32"),
        (0.012345, 0.00042, "0.0123 ± 0.0004"),
        (0.012345, math.nan, "0.0123"),
        (1523.4, 20.0, "1523.40 ± 20.00"),
        (3.2e-12, 1.1e-12, "3.2e-12 ± 1.1e-12"),
        (3.2e-12, math.nan, "3.2e-12"),
        (1e-6, 0.1, "0.00 ± 0.10"),
        (12.0, math.nan, "12"),
        (12.0, 0.0, "12 ± 0"),
        (0.0, math.nan, "0"),
        (math.nan, math.nan, "–"),
        (math.inf, math.nan, "–"),
    ],
)
def test_numbers_have_the_digits_that_they_deserve(mean: float, spread: float, text: str) -> None:
    assert wording.with_spread(mean, spread) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.21, "3.2 s"), (200, "3 min 20 s"), (4320, "1 h 12 min"), (math.nan, "–")]
)
def test_times_are_told_in_their_units(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "0 of 0 claims hold"),
        ([1.0], "1 of 1 claim holds"),
        ([1.0, 1.0, -1.0, -1.0], "2 of 4 claims hold, 2 fail"),
        ([-1.0, math.nan], "0 of 2 claims hold, 1 fails, 1 has no number"),
    ],
)
def test_claims_are_counted_in_words(values: list[float], text: str) -> None:
    claim = Claim("more", None, number("study", "more"), Above(0), exact=True)
    assert claims.summary([Verdict(claim, [value], judged=True) for value in values]) == text


# The command.


@pytest.fixture
def aevb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in an empty folder, where the reports are ours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AEVB_DATA", raising=False)
    monkeypatch.setattr(recipes, "NAMES", ("tiny",))
    monkeypatch.setattr(recipes, "recipe", lambda *_: recipe())

    def call(command: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            cli.main(command.split())
        shown = capsys.readouterr()
        return int(stop.value.code or 0), shown.out, shown.err

    return call


def test_the_command(aevb: Command) -> None:
    status, out, err = aevb("reproduce tiny --scale smoke --jobs 1")
    assert status == 0
    assert "tiny: 0 of 2 claims hold, 2 are undecided; our own questions: 0 of 2 expectations hold" in out
    assert "page: runs/tiny-smoke/report.html" in out
    assert err.splitlines() == [
        "tiny, 1 of 2 runs: trial small, seed 0, done",
        "tiny, 2 of 2 runs: trial large, seed 0, done",
    ]
    assert {path.name for path in Path("runs/tiny-smoke").iterdir()} == {
        *("figures", "large", "small", "study", "report.html", "results.json", "results.md")
    }
    content = json.loads(aevb("reproduce all --scale smoke --jobs 1 --json")[1])
    assert content == {"tiny": json.loads(Path("runs/tiny-smoke/results.json").read_text())}


def test_a_run_that_fails_is_told_and_stops_no_other(aevb: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Recipe(**{**vars(recipe()), "trials": {"bad": trial(likelihood="poisson"), "small": trial()}})
    monkeypatch.setattr(recipes, "recipe", lambda *_: broken)
    status, out, err = aevb("reproduce tiny --scale smoke --jobs 1")
    assert status == 2
    assert "page: runs/tiny-smoke/report.html" in out
    assert "tiny, 1 of 2 runs: trial bad, seed 0, failed" in err
    assert "aevb: tiny: bad, seed 0: digits has gray values" in err
    assert Path("runs/tiny-smoke/small/seed=0/model.safetensors").is_file()
    assert "bad, seed 0: digits has gray values" in Path("runs/tiny-smoke/results.md").read_text()


def test_ctrl_c_says_how_to_resume(aevb: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduction, "reproduce", interrupted)
    assert aevb("reproduce tiny --scale smoke") == (130, "", "interrupted: run the same command to resume\n")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("tinny", "no report is named 'tinny': did you mean tiny?"),
        ("tiny zzz", "no report is named 'zzz': expected tiny, all"),
    ],
)
def test_an_unknown_report_gets_one_line(names: str, message: str, aevb: Command) -> None:
    assert aevb(f"reproduce {names}") == (2, "", f"aevb: {message}\n")
    assert not list(Path.cwd().iterdir())


def test_missing_data_are_reported_before_anything_is_trained(aevb: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.model_validate({"data": {"source": "mnist", "binarize": "threshold"}})
    made = Recipe(**{**vars(recipe()), "trials": {"small": trial(), "mnist": Trial(config)}})
    monkeypatch.setattr(recipes, "recipe", lambda *_: made)
    status, out, err = aevb("reproduce tiny --data-dir nowhere")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "nowhere" in err
    assert not list(Path.cwd().iterdir())
