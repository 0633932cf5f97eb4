"""What notebooks show: HTML in which texts are escaped, and text where there is no HTML."""

import re
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import aevb
from aevb import display
from aevb.config.schema import Config
from aevb.data import Dataset, Examples
from aevb.evaluation import Score, Scores
from aevb.evaluation.diagnosis import Finding, Findings
from aevb.training.history import Epoch, EpochMetrics, History
from aevb.workflow.fitting import fit_run
from aevb.workflow.notebook import NotebookProgress
from aevb.workflow.run import Run

SCRIPT = "<script>alert(1)</script>"
SCORE = Score("bound", -1.234, 0.056, "test", "ELBO", 7, "none", note="few samples", examples=20)
FINDING = Finding("blurry", "rate", 1.0, None, "lower", "the rate is 1", SCRIPT, "--train.epochs 9")


def epochs(bounds: list[float]) -> list[Epoch]:
    metrics = [EpochMetrics(-bound, bound, 1.0, 2.0) for bound in bounds]
    return [Epoch(number + 1, 0.1, one, one) for number, one in enumerate(metrics)]


def html(value: Any) -> str:
    """The HTML of an object; each tag that is opened is closed, and nothing is loaded."""
    text: str = value._repr_html_()
    opened, closed = re.findall(r"<([a-z]+)(?![^>]*/>)", text), re.findall(r"</([a-z]+)>", text)
    assert sorted(tag for tag in opened if tag not in ("img", "br")) == sorted(closed)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert SCRIPT not in text
    return text


def test_a_table_escapes_its_cells() -> None:
    text = display.table(["name"], [[SCRIPT], ["a\x1b[0m\nb"]])
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
    assert "\x1b" not in text


def test_text_tables_are_aligned() -> None:
    assert display.text_table(["a", "b"], [["long", "1"], ["x", "22"]]) == "a     b\nlong  1\nx     22"


def test_scores_show_value_error_and_estimator() -> None:
    scores = Scores([SCORE, replace(SCORE, name="rate_1")])
    assert repr(scores).splitlines()[1].split("  ")[:2] == ["bound (ELBO)", "-1.234 ± 0.056 †"]
    assert repr(scores).splitlines()[2:] == ["† few samples"]
    assert "ELBO, K = 7" in html(scores)
    assert "† few samples" in html(scores)
    assert scores == [SCORE, replace(SCORE, name="rate_1")]


def test_a_count_has_no_decimals() -> None:
    assert "  2  " in repr(Scores([replace(SCORE, name="active_units", value=2.0, stderr=None, note=None)]))


def test_a_diagnosis_shows_evidence_cause_and_remedy() -> None:
    text = html(Findings([FINDING]))
    assert all(part in text for part in ("blurry", "the rate is 1", "&lt;script&gt;", "--train.epochs 9"))
    assert "evidence  the rate is 1" in repr(Findings([FINDING]))
    assert "No problems found." in html(Findings())
    assert repr(Findings()) == "No problems found."


def test_a_history_shows_its_curve_and_the_kept_bound() -> None:
    history = History(epochs([-3.0, -2.0, -1.5]), 2, "early")
    assert repr(history) == (
        "History(3 epochs, stopped early; weights of epoch 2, validation bound -2.00 nats per example)"
    )
    assert html(history).count("<polyline") == 2
    assert repr(History()) == "History(0 epochs; weights of epoch 0)"
    assert "svg" not in html(History())


def test_a_curve_leaves_out_its_first_values_and_what_is_not_finite() -> None:
    values = [-1e6, *[-float(step) for step in range(40, 0, -1)], nan, inf]
    text = display.curves("bound", range(len(values)), {"train": values})
    assert ">1<" not in text
    low, high = re.findall(r'text-anchor="end">(−?[\d.]+)</text>', text)[1::-1]
    assert (low, high) == ("−40.9", "0.9")  # 5 % beyond the values but the first two
    assert "nan" not in text
    assert "inf" not in text


def test_a_long_curve_has_few_points() -> None:
    text = display.curves("bound", range(100_000), {"train": [float(step) for step in range(100_000)]})
    assert len(text) < 10_000


def test_an_autoencoder_shows_its_distortion() -> None:
    assert "distortion" in repr(History(epochs([-inf, -inf]), 1))


def test_a_data_set_of_images_shows_some(stripes: Dataset) -> None:
    assert repr(stripes) == "Dataset('stripes': 80 train, 20 validation, 20 test; 1 x 4 x 4, unit values, 2 classes)"
    assert html(stripes).count("data:image/png;base64,") == 1


def test_a_data_set_is_displayed_without_random_numbers(stripes: Dataset) -> None:
    before = torch.get_rng_state()
    html(replace(stripes, train=replace(stripes.train, resampled=True)))
    assert torch.equal(before, torch.get_rng_state())


def test_a_table_shows_its_columns_and_first_rows(tmp_path: Path) -> None:
    rows = "".join(f"{'ab'[n % 2]}{SCRIPT},{n}.5,{'' if n % 3 else n}\n" for n in range(40))
    (tmp_path / "t.csv").write_text("kind,size,gaps\n" + rows)
    text = html(aevb.load_data(tmp_path / "t.csv"))
    assert text.count("<table") == 2
    assert "categorical" in text or "binary" in text
    assert "&lt;script&gt;" in text


def test_vectors_show_their_first_elements() -> None:
    part = Examples(torch.arange(40.0).view(4, 10))
    text = html(Dataset("rows", "real", (10,), part, part, part, "none", None))
    assert "x7" in text
    assert "x8" not in text


def test_a_run_shows_its_summary(tmp_path: Path, stripes: Dataset) -> None:
    config = Config.model_validate({"model": {"hidden": [4]}, "train": {"epochs": 2}})
    run = Run(fit_run(config, tmp_path / "run", stripes), stripes)
    run.evaluate()
    assert repr(run).startswith(f"Run({str(run.folder)!r}: stripes, 2 latent dimensions, ")
    assert "test bound" in repr(run)
    text = html(run)
    assert all(part in text for part in ("parameters", "<svg", "bound (ELBO)", "± is the standard error"))
    assert isinstance(run.scores, Scores)


def test_a_page_below_the_notebook_is_framed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = display.Page(Path("runs") / "a b" / "explorer.html")
    assert 'src="runs/a%20b/explorer.html"' in html(page)
    assert "iframe" not in html(display.Page(tmp_path.parent / "explorer.html"))
    assert Path(page) == page.path


class Handle:
    """An output of a notebook that records its updates."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def update(self, shown: object) -> None:
        self.texts.append(repr(shown))


def test_progress_is_one_output_that_is_seldom_updated(stripes: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that ticks 0.1 s per step: two updates a second."""
    handle, clock = Handle(), SimpleNamespace(now=0.0)
    monkeypatch.setattr("aevb.workflow.notebook.time.monotonic", lambda: clock.now)
    progress = NotebookProgress(_handle=handle)
    config = Config.model_validate({"train": {"epochs": 10, "batch_size": 10}})  # 8 steps per epoch
    with progress.training(config, stripes) as hooks:
        for number, epoch in enumerate(epochs([-3.0] * 10)):
            for _ in range(8):
                clock.now += 0.1
                hooks.on_step()
            hooks.on_epoch(epoch)
            assert len(handle.texts) <= 2 * clock.now + 1, number
    assert handle.texts[0] == "epoch 1 of 10"
    assert "validation bound -3.00, at most 3.2 s left" in handle.texts[9]
    assert handle.texts[-1] == "10 epochs in 8.0 s; best epoch 1, validation bound -3.00"
    with progress.status("drawing"):
        assert handle.texts[-1] == "drawing"
    assert handle.texts[-1].startswith("10 epochs in 8.0 s")
    assert "<svg" in html(progress)


def test_outside_of_notebooks_nothing_is_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert not display.in_notebook()
    aevb.train("digits", epochs=1, hidden=[4], out=tmp_path / "run", report=False, n_importance_samples=2)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
