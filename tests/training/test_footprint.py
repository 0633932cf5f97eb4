"""A training that does not fit into memory is refused before it begins."""

from pathlib import Path
from typing import Any

import pytest

from aevb import memory
from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import Config, ModelConfig, TrainConfig
from aevb.data import Dataset
from aevb.errors import BadInput
from aevb.training.footprint import example_bytes, trained_bytes
from aevb.workflow.fitting import fit_run


def model_of(dataset: Dataset, **options: Any) -> Any:
    return build(resolve(ModelConfig(**options), dataset), dataset.shape)


def test_the_estimate_grows_with_weights_batches_and_samples(stripes: Dataset) -> None:
    small, large = (model_of(stripes, hidden=(width,), activation="relu") for width in (10, 1000))
    adam, sgd = TrainConfig(), TrainConfig(optimizer="sgd")
    assert trained_bytes(large, adam) == pytest.approx(100 * trained_bytes(small, adam), rel=0.2)
    assert trained_bytes(large, sgd) < trained_bytes(large, adam)
    once, often = (example_bytes(large, count, stripes.train) for count in (1, 100))
    decoder = 2 * 4 * (1000 + 1000 + 16)  # two outputs of the hidden layer, and the last
    assert often - once == pytest.approx(99 * decoder, rel=0.02)
    assert large.training


def test_it_is_refused_in_one_line_and_leaves_nothing(
    stripes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.model_validate({"model": {"hidden": [8]}, "train": {"epochs": 1}})
    needed = trained_bytes(model_of(stripes, hidden=(8,)), config.train)
    monkeypatch.setattr(memory, "used", lambda: 0)
    monkeypatch.setattr(memory, "most", lambda: needed)
    with pytest.raises(BadInput, match=r"this training needs .* GiB of memory, but only .* use a smaller batch_size"):
        fit_run(config, tmp_path / "run", stripes)
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(memory, "most", lambda: 10 * needed + 2**20)
    assert fit_run(config, tmp_path / "run", stripes).finished
