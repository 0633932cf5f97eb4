"""`aevb.train` is the command `aevb train`; the run that it returns does what the commands do."""

from pathlib import Path

import numpy as np
import pytest
import torch

import aevb
from aevb.cli.app import main
from aevb.cli.terminal import show_findings
from aevb.data import IN_MEMORY
from aevb.errors import BadInput
from aevb.evaluation.diagnosis import Finding
from aevb.workflow import run as workflow
from aevb.workflow.options import with_keywords
from aevb.workflow.train import Interrupted, free_folder


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    return int(stop.value.code or 0)


def test_python_and_the_command_give_identical_weights() -> None:
    run = aevb.train("digits", latent=2, epochs=2, n_importance_samples=3, report=False)
    assert run.folder == Path("runs/digits-1")
    options = ["--model.latent", "2", "--train.epochs", "2", "--n-importance-samples", "3"]
    assert command("train", "digits", *options) == 0
    files = [Path(f"runs/digits-{number}") for number in (1, 2)]
    assert len({(folder / "model.safetensors").read_bytes() for folder in files}) == 1
    assert len({(folder / "config.json").read_bytes() for folder in files}) == 1
    assert aevb.load_run("runs/digits-2").scores == run.scores


def test_a_run_does_what_the_commands_do() -> None:
    run = aevb.train("digits", hidden=8, epochs=2, n_importance_samples=3, report=False, out="run")
    assert {score.split for score in run.scores} == {"valid", "test"}
    assert (run.history.ended, len(run.history.epochs)) == ("finished", 2)
    assert run.sample(5).shape == (5, 1, 8, 8)
    assert run.encode().shape == (len(run.dataset.test), 2)
    assert run.encode("digits").shape == (1797, 2)
    assert run.reconstruct(max_examples=3).mean.shape == (3, 1, 8, 8)
    assert [finding.problem for finding in run.diagnose()]
    assert run.report() == Path("run/report.html")
    assert run.evaluate("train", n_importance_samples=2, max_examples=10)[0].split == "train"
    again = aevb.load_run("run")
    assert torch.equal(again.sample(5), run.sample(5))
    assert again.config == run.config


@pytest.mark.parametrize("likelihood", ["negative-binomial", "gaussian"])
def test_samples_of_rows_are_samples_of_the_likelihood(likelihood: str) -> None:
    """The variance of the mean of p(x|z) is far smaller than that of independent Poisson counts."""
    x = np.random.default_rng(0).poisson(4.0, size=(200, 5))
    run = aevb.train(x, likelihood=likelihood, latent=1, epochs=5, n_importance_samples=2, report=False, out="run")
    samples = run.sample(500)
    assert 1 < samples.var() < 16
    assert "; 5, counts" in repr(run.dataset)
    assert (samples == samples.round()).all() == (likelihood == "negative-binomial")
    assert command("sample", "run", "--n-samples", "500", "--out", "x.npy") == 0
    assert np.array_equal(np.load("x.npy"), samples.numpy())


def test_data_in_memory() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    run = aevb.train(x, hidden=8, epochs=1, n_importance_samples=2, out="run")
    assert run.config.data.source == IN_MEMORY
    assert run.evaluate(n_importance_samples=2)
    assert run.score(x[:4], false_alarm_rate=0.2, n_importance_samples=5).log_px.shape == (4,)
    with pytest.raises(BadInput, match="trained on data in memory"):
        _ = aevb.load_run("run").dataset


def test_scores_of_an_expensive_model_take_few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    run = aevb.train(x, hidden=8, epochs=1, n_importance_samples=2, report=False)
    monkeypatch.setattr(workflow, "SCORE_OPERATIONS", 100)
    monkeypatch.setattr(workflow, "HELD_OUT", 9)
    found = run.score(x[:4], false_alarm_rate=0.2)
    assert found.summary.held_out == 9
    assert torch.equal(found.log_px, run.score(x[:4], false_alarm_rate=0.2, n_importance_samples=20).log_px)


@pytest.mark.parametrize(
    ("keywords", "content"),
    [
        ({"latent": 3}, {"model": {"latent": 3}}),
        ({"lr": 1e-4, "beta": 4.0}, {"train": {"lr": 1e-4}, "objective": {"beta": 4.0}}),
        ({"binarize": "threshold", "seed": 1}, {"data": {"binarize": "threshold"}, "seed": 1}),
        ({"objective": "iwae", "n_samples": 5}, {"objective": {"kind": "iwae", "n_samples": 5}}),
        ({"model": {"latent": 3}, "hidden": (8,)}, {"model": {"latent": 3, "hidden": (8,)}}),
        ({"model": aevb.ModelConfig.model_validate({"latent": 3})}, {"model": {"latent": 3}}),
        ({"condition": ("label",)}, {"model": {"condition": ("label",)}}),
    ],
)
def test_options_are_found_in_their_section(keywords: dict[str, object], content: dict[str, object]) -> None:
    assert with_keywords(None, keywords) == aevb.Config.model_validate(content)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"latnt": 3}, r"unknown option latnt: did you mean latent\?"),
        ({"latent": "x"}, "latent: input should be a valid integer"),
        ({"prior": "nothing"}, "no prior is named 'nothing'"),
    ],
)
def test_bad_options_get_one_line(keywords: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        aevb.train("digits", **keywords)  # type: ignore[arg-type]
    assert not list(Path().iterdir())


def test_a_conditional_model_from_a_file_and_in_a_sweep() -> None:
    Path("c.json").write_text('{"model": {"condition": ["label"], "hidden": [4]}, "train": {"epochs": 1}}')
    assert command("train", "--config", "c.json", "--n-importance-samples", "2", "--out", "run") == 0
    assert [column.name for column in aevb.load_run("run").record.data.condition_columns] == ["label"]
    options = ["--model.hidden", "4", "--train.epochs", "1", "--n-importance-samples", "2", "--out", "many"]
    assert command("sweep", "digits", "--over", "model.condition", "label", *options) == 0
    (run,) = Path("many").glob("*/seed=0")
    assert aevb.load_run(run).config.model.condition == ("label",)


def test_runs_that_begin_at_the_same_time_have_folders_of_their_own() -> None:
    """A folder is taken before training, and is removed if training cannot begin."""
    assert [str(free_folder("digits")) for _ in range(2)] == ["runs/digits-1", "runs/digits-2"]
    run = aevb.train("digits", hidden=4, epochs=1, n_importance_samples=2, report=False)
    assert str(run.folder) == "runs/digits-3"
    for name, value in (("likelihood", "poisson"), ("init_from", "runs/digits-2")):
        with pytest.raises(BadInput):
            aevb.train("digits", epochs=1, **{name: value})  # type: ignore[arg-type]
    assert command("train", "digits", "--seeds", "2", "--train.budget", "10s") == 2
    assert sorted(path.name for path in Path("runs").iterdir()) == ["digits-1", "digits-2", "digits-3"]


def test_no_folder_is_left_if_training_cannot_begin() -> None:
    with pytest.raises(BadInput):
        aevb.train("digits", epochs=1, init_from="nowhere")
    assert list(Path().iterdir()) == []
    Path("runs").write_text("a file")
    assert command("train", "digits", "--train.epochs", "1") == 2


def test_suggested_commands_quote_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    finding = Finding("collapse", "rate", 0.0, 0.1, "higher", "", "", "aevb evaluate RUN")
    show_findings(Path("my run"), [finding], 1, json=False)
    assert "aevb evaluate 'my run'" in capsys.readouterr().out
    assert "aevb report 'my run'" in str(Interrupted(Path("my run")))
