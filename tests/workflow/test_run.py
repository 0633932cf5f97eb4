"""A run does the same whatever was called before, and wherever it is called."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch

import aevb
from aevb.errors import BadInput

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
QUICK = {"hidden": 4, "latent": 1, "epochs": 1, "n_importance_samples": 2, "report": False}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trained(data: object = X, **options: object) -> aevb.Run:
    return aevb.train(data, **QUICK | options)  # type: ignore[arg-type]


def test_a_run_stays_in_its_folder_after_a_change_of_the_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(out="run")
    elsewhere = Path("elsewhere")
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    run.evaluate("train", n_importance_samples=2)
    run.diagnose()
    assert list(Path().iterdir()) == []
    assert aevb.load_run(run.folder).scores == run.scores
    assert (run.folder / "findings.json").is_file()


def test_scores_leave_the_model_of_an_estimator_as_it_is() -> None:
    aevb.VariationalAutoencoder(1, hidden=(4,), epochs=1).fit(X).save_pretrained("model")
    run = aevb.load_run("model")
    before = run.encode(X)
    run.score(X, n_importance_samples=2)
    assert run.model.dtype == torch.float32
    assert torch.equal(run.encode(X), before)


def test_a_data_set_refuses_options_that_it_was_loaded_without() -> None:
    x = np.random.default_rng(0).uniform(size=(60, 3)).astype(np.float32)
    plain, binary = aevb.load_data(x), aevb.load_data(x, binarize="threshold")
    for name, value in (("binarize", "threshold"), ("test", 30), ("condition", "label")):
        with pytest.raises(BadInput, match="already a Dataset"):
            trained(plain, **{name: value})
    run = trained(binary, binarize="threshold")
    assert run.config.data.binarize == "threshold"
    assert run.config == trained(binary).config == trained(binary, config=run.config).config
    assert torch.equal(run.reconstruct(x).x, torch.tensor(x).round())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_training_where_gradients_are_off(mode: Callable[[], AbstractContextManager[None]]) -> None:
    with mode():
        run = trained()
    assert torch.equal(run.encode(X), trained().encode(X))


def test_empty_data_and_impossible_numbers_get_one_line() -> None:
    frame = pytest.importorskip("pandas").DataFrame(X, columns=["a", "b", "c"])
    for data in (X, frame):
        run = trained(data)
        for use in (run.encode, run.reconstruct, run.score):
            with pytest.raises(BadInput, match="has no examples"):
                use(data[:0])
    for call in (run.impute, run.explain, run.quality):
        with pytest.raises(BadInput, match="has no examples"):
            call(frame[:0])
    cases: list[tuple[Callable[..., object], dict[str, object]]] = [
        (run.evaluate, {"n_importance_samples": -1}),
        (run.evaluate, {"max_examples": 0}),
        (run.evaluate, {"split": "validation"}),
        (run.sample, {"seed": -1}),
        (run.score, {"false_alarm_rate": 5, "data": frame}),
        (run.score, {"n_importance_samples": -3, "data": frame}),
        (run.impute, {"n_imputations": 0, "data": frame}),
        (trained, {"n_importance_samples": 0}),
    ]
    for method, options in cases:
        with pytest.raises(BadInput, match=r"is less than|is no rate|is unknown"):
            method(**options)
    assert run.evaluate(measures="likelihood", n_importance_samples=2)


def test_rows_of_a_conditional_model_need_their_condition() -> None:
    frame = pytest.importorskip("pandas").DataFrame(X, columns=["a", "b", "c"]).assign(group=list("xy") * 30)
    run = trained(frame, condition="group")
    with pytest.raises(BadInput, match="pass the condition"):
        run.table(run.sample(2))
