"""The networks of the explorer, each compared with PyTorch when it is written (`aevb.explorer.networks`)."""

from pathlib import Path

import numpy as np
import onnxruntime
import pandas
import pytest
import torch

from aevb.columns import modelled
from aevb.config.schema import Config
from aevb.data import load_data
from aevb.explorer.content import Subject, gather
from aevb.explorer.networks import networks
from aevb.workflow.fitting import fit_run


def test_the_decoder_of_a_table_gives_means_chances_and_spreads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns of all types: numbers within bounds and whole ones, numbers that are often zero, a few numbers."""
    rng = np.random.default_rng(0)
    table = {
        "real": rng.normal(size=300),
        "positive": rng.lognormal(size=300),
        "bounded": rng.beta(2, 1, 300),
        "integer": rng.normal(10, 15, 300).round().astype(int),
        "nonnegative": np.where(rng.random(300) < 0.5, 0, rng.lognormal(size=300)),
        "count": rng.poisson(3, 300),
        "binary": rng.choice(["no", "yes"], 300),
        "discrete": rng.choice([4, 6, 8], 300),
        "categorical": rng.choice(["a", "b", "c"], 300),
        "hours": np.where(rng.random(300) < 0.5, 40, rng.integers(-20, 99, 300)),
        "number": rng.integers(0, 2**40, 300),  # float32 is too coarse
    }
    pandas.DataFrame(table).to_csv(tmp_path / "t.csv", index=False)
    dataset = load_data(tmp_path / "t.csv")
    kinds = {name: name for name in table} | {"hours": "integer", "number": "integer"}
    assert {column.name: column.kind for column in dataset.columns} == kinds
    config = Config.model_validate({"model": {"hidden": [8]}, "train": {"epochs": 1}})
    run = fit_run(config, tmp_path / "run", dataset)
    written = networks(run.model)
    assert set(written) == {"decoder"}  # it differs from PyTorch by rounding alone
    run.evaluate(dataset, n_importance_samples=2)
    monkeypatch.setattr("aevb.explorer.content.networks", lambda _: written)
    facts = {column["name"]: column for column in gather(Subject(run, dataset), "", tmp_path).facts["columns"]}
    p = run.model.decode(torch.zeros(1, run.resolved.layers[0]))
    assert facts["bounded"]["bounds"] == [0, 1]
    assert (facts["hours"]["spikes"], facts["nonnegative"]["spikes"], facts["real"]["spikes"]) == ([40], [0], [])
    assert facts["integer"]["bounds"] == [None, None]
    session = onnxruntime.InferenceSession(written["decoder"])
    spread = session.run(["spread"], {"z": np.zeros((1, run.resolved.layers[0]), np.float32)})[0][0]
    draws = p.sample((20_000,))[:, 0]
    order = [column.name for column in modelled(dataset.columns)]
    for name in ("real", "integer"):
        assert spread[order.index(name)] == pytest.approx(draws[:, order.index(name)].std().item(), rel=0.1)
