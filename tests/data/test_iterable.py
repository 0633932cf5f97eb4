"""Streams of examples: order, reproducibility and errors."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig, TrainConfig
from aevb.data import from_iterable, out_of_core
from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.models.objectives import ELBO
from aevb.training.fit import fit
from aevb.training.state import TrainingState
from tests.conftest import some


@pytest.fixture(autouse=True)
def _small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_core, "BUFFER", 60 * 16)


class Numbered(IterableDataset[Any]):
    """Rows of four numbers, the first of which is the number of the row, with a label."""

    def __init__(self, rows: int = 300) -> None:
        self.rows = torch.randn(rows, 4, generator=torch.Generator().manual_seed(0))
        self.rows[:, 0] = torch.arange(rows)

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        return ((row, 0) for row in self.rows)


def epoch(seed: int = 0, start: int = 0, per_epoch: int = 300) -> Tensor:
    order = from_iterable(Numbered(), per_epoch).shuffled(torch.Generator().manual_seed(seed))
    return torch.cat([order.batch(slice(first, first + 25)).x for first in range(start, per_epoch, 25)])


def test_every_example_occurs_once_and_shuffled() -> None:
    first, again, other = epoch(), epoch(), epoch(1)
    assert sorted(first[:, 0].tolist()) == list(range(300))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert (first[1:, 0] - first[:-1, 0] == 1).float().mean() < 0.1


@pytest.mark.parametrize("start", [25, 50, 175])
def test_an_epoch_can_be_resumed_anywhere(start: int) -> None:
    assert torch.equal(epoch(start=start), epoch()[start:])


def test_fit_accepts_a_stream_and_resumes_within_an_epoch() -> None:
    stream, dataset = from_iterable(Numbered(), 300), some("real", (4,))
    states: list[TrainingState] = []
    weights = []
    for start in (None, 5):
        torch.manual_seed(0)
        model = build(resolve(ModelConfig(hidden=(8,)), dataset), (4,))
        config = TrainConfig(epochs=2, batch_size=30)
        if start is None:
            fit(model, ELBO(), stream, stream.first, config, checkpoint_due=lambda: True, on_state=states.append)
        else:
            begun = next(state for state in states if state.position and state.position.step == start)
            fit(model, ELBO(), stream, stream.first, config, resume_from=begun)
        weights.append(model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_bytes_stay_bytes() -> None:
    stream = from_iterable([np.full((1, 2, 2), value, dtype=np.uint8) for value in range(10)], 10, scale=1 / 255)
    assert stream.first.values.dtype == torch.uint8
    x = stream.shuffled().batch(slice(0, 10)).x
    assert x.dtype == torch.float32
    assert x.max().item() == pytest.approx(9 / 255)


@pytest.mark.parametrize(
    ("items", "fragment"),
    [
        ([], "no examples"),
        (["text"], "str"),
        ([torch.zeros(2), torch.zeros(3)], "example 1 of the stream has the shape (3,)"),
        ([torch.zeros(2), torch.full((2,), np.nan)], "example 1 of the stream has values that are not finite"),
        ([torch.zeros(2)] * 3, "ended after 3 examples"),
    ],
)
def test_unusable_streams_are_refused(items: list[Any], fragment: str) -> None:
    with pytest.raises(BadInput) as caught:
        from_iterable(items, 5).shuffled().batch(slice(0, 5))
    assert fragment in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_thread_ends_with_an_unfinished_epoch() -> None:
    order = from_iterable(Numbered(), 300).shuffled()
    assert isinstance(order.batch(slice(0, 5)).x, Tensor)
    del order
    end = time.monotonic() + 10
    while any(thread.name.startswith("aevb reads") for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_batches_may_be_larger_than_the_first_examples() -> None:
    stream = from_iterable(Numbered(), 300, n_first=5)
    assert isinstance(stream.subsample(10), Examples)
    assert len(stream.subsample(10)) == 10
    model = build(resolve(ModelConfig(hidden=(8,)), some("real", (4,))), (4,))
    config = TrainConfig(epochs=1, batch_size=50, compile="off")
    assert len(fit(model, ELBO(), stream, config=config).epochs) == 1
