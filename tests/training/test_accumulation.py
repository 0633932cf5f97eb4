"""Batches that are taken in parts: the gradient of the whole in the memory of a part."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from aevb.config.build import build_objective
from aevb.config.schema import ObjectiveConfig, TrainConfig
from aevb.data import Dataset
from aevb.errors import BadInput, Notice
from aevb.models.objectives import ELBO, IWAE
from aevb.training.backends.base import split_rows
from aevb.training.backends.eager import EagerBackend
from aevb.training.capture import CaptureError
from aevb.training.fit import TrainingJob, fit, fit_stacked
from aevb.training.policy import worth_stacking
from aevb.workflow.fitting import fit_run
from tests.runs.test_resume import config, cut_off, data, end, resume
from tests.training.test_fit import Spy, small

pytestmark = pytest.mark.usefixtures("in_command")  # messages name options as a command does


def step(stripes: Dataset, parts: int, rows: slice = slice(0, 20)) -> tuple[Tensor, dict[str, Tensor]]:
    """The means of the terms, and the gradients, of one step of a model without draws."""
    model = small(stripes, posterior="point")
    backend = EagerBackend(model, build_objective(ObjectiveConfig(), "point"), stripes.train, 0, parts)
    with backend.epoch(1) as gradients:
        found = gradients(rows, 0.5)
    return found, {name: weight.grad for name, weight in backend.weights.items() if weight.grad is not None}


@pytest.mark.parametrize("parts", [2, 3, 7, 20])
def test_gradient_and_terms_are_those_of_the_whole_batch(stripes: Dataset, parts: int) -> None:
    """Also where it does not divide the 20 examples of a batch, each of which counts the same."""
    (terms, gradients), (expected_terms, expected) = step(stripes, parts), step(stripes, 1)
    assert terms.shape == (1, 4)
    torch.testing.assert_close(terms, expected_terms, rtol=1e-5, atol=0)
    assert gradients.keys() == expected.keys() != set()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-5)
    _, others = step(stripes, parts, slice(20, 40))
    assert not all(torch.allclose(gradient, expected[name], rtol=1e-2) for name, gradient in others.items())


@pytest.mark.parametrize(("size", "count", "sizes"), [(20, 4, [5] * 4), (20, 3, [6, 7, 7]), (5, 5, [1] * 5)])
def test_micro_batches_cover_the_rows_evenly(size: int, count: int, sizes: list[int]) -> None:
    parts = split_rows(slice(40, 40 + size), count)
    assert [part.stop - part.start for part in parts] == sizes
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(40, 40 + size))


def test_the_model_sees_one_micro_batch_at_a_time(stripes: Dataset) -> None:
    """Each with noise of its own, clipped as one gradient, in one step of the optimizer."""
    spy, steps = Spy(), list[int]()
    options = TrainConfig(epochs=2, batch_size=40, micro_batches=3)
    fit(small(stripes), spy, stripes.train, config=options, on_step=lambda: steps.append(1))
    assert [len(x) for x in spy.seen] == [13, 13, 14] * 4
    assert len(steps) == 4
    assert len(torch.cat(spy.seen[:6]).flatten(1).unique(dim=0)) == 80


@pytest.mark.parametrize("objective", [ELBO(), IWAE(5)])
def test_models_learn(stripes: Dataset, objective: ELBO | IWAE) -> None:
    options = TrainConfig(epochs=60, batch_size=20, micro_batches=4, lr=1e-2)
    history = fit(small(stripes), objective, stripes.train, stripes.valid, options)
    first, last = history.epochs[0].valid, history.epochs[-1].valid
    assert first
    assert last
    assert last.bound > first.bound + 5


def test_more_micro_batches_than_examples_are_refused(stripes: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"--train.micro-batches 30 is more than the 20 examples of a step: use fewer"):
        fit(small(stripes), ELBO(), stripes.train, config=TrainConfig(batch_size=20, micro_batches=30))
    with pytest.raises(BadInput, match="more than the 30 examples"):
        fit_run(config(batch_size=100, micro_batches=50), tmp_path / "run", data())
    assert not (tmp_path / "run").exists()


def test_batch_normalization_needs_micro_batches_of_several_examples(stripes: Dataset) -> None:
    model = small(stripes, network="conv", hidden=None)
    with pytest.raises(BadInput, match=r"of two examples or more: use a smaller --train.micro-batches"):
        fit(model, ELBO(), stripes.train, config=TrainConfig(epochs=1, batch_size=20, micro_batches=11))


def test_micro_batches_exclude_capture_and_stacking(stripes: Dataset) -> None:
    options = TrainConfig(epochs=1, batch_size=20, micro_batches=2, compile="on")
    with pytest.warns(Notice, match="not compiled: batches are split into micro-batches"):
        fit(small(stripes), ELBO(), stripes.train, config=options)
    with pytest.raises(CaptureError, match="for one model at a time"):
        fit_stacked([TrainingJob(small(stripes)), TrainingJob(small(stripes))], ELBO(), stripes.train, config=options)
    for parts in (1, 2):
        chosen = TrainConfig(micro_batches=parts)
        assert worth_stacking(small(stripes), ELBO(), stripes.train, chosen) == (parts == 1)


@pytest.mark.parametrize("options", [{}, {"clip_grad_norm": 1.0, "ema": 0.9}])
def test_an_interrupted_run_resumes_bit_for_bit(tmp_path: Path, options: dict[str, Any]) -> None:
    chosen = config(micro_batches=3, **options)
    fit_run(chosen, tmp_path / "whole", data())
    cut_off(tmp_path / "run", chosen, 17)
    resume(tmp_path / "run", chosen)
    assert end(tmp_path / "run") == end(tmp_path / "whole")
