"""The page of a run: its numbers, findings and figures, nothing fetched, and nothing in a name acts."""

import json
import re
import shlex
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from aevb import plots
from aevb.cli.app import main
from aevb.config.schema import Config
from aevb.data import IN_MEMORY, Dataset
from aevb.data.tables.summary import ColumnSummary
from aevb.evaluation.diagnosis import Finding
from aevb.models.registry import import_plugin, register
from aevb.report import write_run
from aevb.runs.findings import load_findings, save_findings
from aevb.runs.run_folder import RunFolder
from aevb.workflow.fitting import fit_run
from aevb.workflow.train import load_source
from tests.reproduction.test_pages import Page

HOSTILE = "<script>alert(1)</script>&\"'"


@pytest.fixture
def run(stripes: Dataset, tmp_path: Path) -> RunFolder:
    config = Config.model_validate({"model": {"hidden": (8,)}, "train": {"epochs": 2, "batch_size": 20}})
    made = fit_run(config, tmp_path / "stripes one", stripes)
    made.evaluate(stripes, "valid", n_importance_samples=1)
    made.evaluate(stripes, "test", n_importance_samples=20)
    return made


def finding(what: str) -> Finding:
    return Finding(what, "rate", 0.0, 0.1, "higher", "the rate is -0.5 nats", "bad luck", "aevb evaluate RUN")


def page_of(run: RunFolder, findings: list[Finding] | None) -> Page:
    return Page(write_run(run, findings).read_text(encoding="utf-8"))


def test_the_page_is_whole_and_says_what_the_terminal_says(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    page = page_of(run, [finding("posterior collapse")])
    assert page.open == []
    assert page.found("html") == [{"lang": "en"}]
    for words in ("stripes one", "posterior collapse", "the rate is −0.5 nats", "aevb train --config", "torch 2."):
        assert words in page.text
    assert "aevb evaluate '" in page.text.partition("bad luck")[2]  # with the name of the run, which has a blank
    assert main_prints(run, capsys) <= set(page.text.replace("−", "-").split())


def main_prints(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The numbers on the terminal's page."""
    from aevb.cli.terminal import show_run

    show_run(run, json=False)
    return {word for word in capsys.readouterr().out.split() if word.lstrip("-")[:1].isdigit() and "." in word[1:-1]}


def test_a_page_without_findings_says_why(run: RunFolder) -> None:
    assert "No problems found" in page_of(run, []).text
    assert "Diagnostics" not in page_of(run, None).text


def test_nothing_is_fetched_and_no_name_acts(run: RunFolder) -> None:
    hostile = run.folder.with_name(HOSTILE.replace("/", "_"))
    shutil.move(run.folder, hostile)
    moved = RunFolder.load(hostile)
    page = page_of(moved, [finding(HOSTILE)])
    assert HOSTILE in page.text
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    places = [str(found[name]) for _, found in page.tags for name in ("src", "href", "srcset") if name in found]
    assert set(places) == {"config.json", "scores.json", "metrics.jsonl", "model.safetensors"}


def test_the_data_of_a_table_are_described(run: RunFolder, stripes: Dataset) -> None:
    summaries = (ColumnSummary("id", "excluded", 0, 90, "an identifier: all values differ"),)
    described = replace(stripes, summaries=summaries, notes=(f"day is read as {HOSTILE}",))
    text = write_run(run, [], described).read_text(encoding="utf-8")
    page = Page(text)
    assert "an identifier: all values differ" in page.text
    assert f"day is read as {HOSTILE}" in page.text
    assert HOSTILE not in text
    assert "an identifier" not in page_of(run, []).text


def test_the_explorer_is_linked_once_it_is_there(run: RunFolder) -> None:
    assert "aevb explore" in page_of(run, []).text
    (run.folder / "explorer.html").write_text("")
    assert "explorer.html" in [link["href"] for link in page_of(run, []).found("a")]


def test_findings_are_kept_and_damaged_ones_are_none(run: RunFolder) -> None:
    assert load_findings(run.folder) is None
    save_findings(run.folder, [finding("posterior collapse")])
    assert load_findings(run.folder) == [finding("posterior collapse")]
    for content in ("{", "[1]", '[{"what": 1}]', "{}x"):
        (run.folder / "findings.json").write_text(content)
        assert load_findings(run.folder) is None


def test_train_leaves_a_page_and_report_makes_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    common = ["--train.epochs", "2", "--model.hidden", "8", "--n-importance-samples", "5"]
    for words in (["train", "digits", "--out", "run", *common], ["report", "run", "--json"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert not ended.value.code
        page = Page(Path("run/report.html").read_text(encoding="utf-8"))
        Path("run/report.html").unlink()
        assert [image["alt"].partition(":")[0] for image in page.found("img") if image["alt"]] == [
            "Training",
            "Reconstructions",
            "Samples",
            "Decoded latent plane",
            "Latent means",
        ]
        assert all(str(image["src"]).startswith("data:image/png;base64,") for image in page.found("img"))
    out = capsys.readouterr().out
    assert "page in report.html" in out
    assert json.loads(out.splitlines()[-1]) == {"file": str(Path("run/report.html"))}
    assert json.loads(Path("run/findings.json").read_text()) is not None


OWN_PLOT = """
from matplotlib.figure import Figure

from aevb.models.registry import register


@register.plot("own-plot", title="Own plot", caption="Number of epochs.")
def own_plot(run, dataset):
    figure = Figure()
    figure.subplots().bar([0], [len(run.epochs)])
    return figure


@register.plot("never", title="Never", caption="Does not apply.")
def never(run, dataset):
    return None
"""


def test_a_plot_of_a_plugin_is_drawn_and_shown(run: RunFolder, stripes: Dataset, tmp_path: Path) -> None:
    (tmp_path / "own_plot.py").write_text(OWN_PLOT)
    import_plugin(str(tmp_path / "own_plot.py"))
    try:
        drawn = dict(plots.figures(run, stripes))
        assert list(drawn)[-1] == "own-plot"
        run.save_figure("own-plot", partial(plots.save, drawn["own-plot"]))
        page = page_of(run, [])
        assert "Own plot: Number of epochs." in [image["alt"] for image in page.found("img")]
        assert "Never" not in page.text
    finally:
        for name in ("own-plot", "never"):
            del register.plot._entries[name]
        del sys.modules["own_plot"]
    without_plugin = page_of(run, [])
    assert "Own plot" in [image["alt"] for image in without_plugin.found("img")]


def test_the_page_of_data_in_memory_has_only_commands_without_data(run: RunFolder) -> None:
    run.config = run.config.model_copy(
        update={"data": run.config.data.model_copy(update={"source": IN_MEMORY, "data_dir": None})}
    )
    text = page_of(run, []).text
    assert "aevb sample" in text
    for words in ("aevb explore", "aevb evaluate", "aevb train"):
        assert words not in text


def test_the_page_of_a_table_has_commands_for_tables(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("town,size\n" + "".join(f"{'ab'[row % 2]},{row % 7}.5\n" for row in range(60)))
    config = Config.model_validate({"data": {"source": str(tmp_path / "t.csv")}, "train": {"epochs": 2}})
    dataset = load_source(config)
    run = fit_run(config, tmp_path / "run", dataset)
    assert "reconstructions" in dict(plots.figures(run, dataset))
    text = page_of(run, []).text
    for words in ("aevb impute", "aevb score", "aevb quality", "--out samples.csv"):
        assert words in text


def command(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 0


def test_the_commands_of_a_conditional_run_have_the_condition_that_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Explorer and samples work as suggested, with names and values that a shell would split."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aevb.explorer.content.networks", lambda _: {"decoder": b""})  # their export takes seconds
    rng = np.random.default_rng(0)
    sizes = rng.integers(2, size=200)
    rows = [f"{'very small' if size else 'large'},{(-1) ** row},{rng.normal():.3f}" for row, size in enumerate(sizes)]
    Path("t.csv").write_text("\n".join(["the size,sign,x", *rows]) + "\n")
    command(["train", "t.csv", "--model.condition", "the size", "sign", "--train.epochs", "1", "--out", "r"])
    page = Page((tmp_path / "r" / "report.html").read_text(encoding="utf-8"))
    explored, sampled = (re.search(rf"aevb {name} r .*", page.text) for name in ("explore", "sample"))
    assert explored
    assert sampled
    command([*shlex.split(explored[0])[1:], "--no-open"])
    command(shlex.split(sampled[0])[1:])
    assert "given the size" in (tmp_path / "r" / "explorer.html").read_text(encoding="utf-8")
