"""Exported models compute what PyTorch computes."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.distributions import Distribution, Independent, StudentT

from aevb.cli.app import main
from aevb.config.schema import Config
from aevb.data import Dataset
from aevb.errors import BadInput
from aevb.models.linear import linear_vae
from aevb.runs.export import export, written
from aevb.runs.run_folder import RunFolder
from aevb.workflow.fitting import fit_run
from tests.conftest import some


def trained(dataset: Dataset, folder: Path, **model: Any) -> RunFolder:
    content = {"model": {"hidden": (8,)} | model, "train": {"epochs": 2, "batch_size": 10}}
    return fit_run(Config.model_validate(content), folder, dataset)


@pytest.mark.parametrize(
    ("kind", "shape", "options"),
    [
        pytest.param("real", (2,), {}, marks=pytest.mark.slow),
        pytest.param("unit", (1, 8, 8), {}, marks=pytest.mark.slow),
        pytest.param(
            "unit", (1, 12, 12), {"network": "conv", "channels": (4, 8), "hidden": None}, marks=pytest.mark.slow
        ),
        pytest.param(
            "unit",
            (1, 12, 12),
            {"network": "conv", "channels": (4, 8), "hidden": None, "block": "residual", "norm": "layer"},
            marks=pytest.mark.slow,
        ),
        pytest.param("real", (2,), {"activation": "glu", "norm": "layer"}, marks=pytest.mark.slow),
        pytest.param("counts", (4,), {"latent": (3, 2), "block": "residual", "norm": "batch"}, marks=pytest.mark.slow),
        pytest.param("real", (3,), {"posterior": "full", "prior": "mixture"}, marks=pytest.mark.slow),
        ("columns", (3,), {}),
        pytest.param("real", (3,), {"prior": "vamp"}, marks=pytest.mark.slow),
        pytest.param("binary", (1, 8, 8), {"posterior": "point"}, marks=pytest.mark.slow),
    ],
)
def test_files_compute_what_pytorch_computes(kind: Any, shape: Any, options: dict[str, Any], tmp_path: Path) -> None:
    run = trained(some(kind, shape, 40), tmp_path / "run", **options)
    files = export(run, tmp_path / "onnx")
    assert [file.path.name for file in files] == ["encoder.onnx", "decoder.onnx"]
    for file in files:
        assert file.difference < 1e-4
        onnx.checker.check_model(onnx.load(file.path))


class _Heavy(nn.Module):
    """Distributions of PyTorch, which validate their arguments by default and contain others that do, too."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        heavy = Independent(StudentT(4.0, z, z.exp()), 1)
        return torch.cat([heavy.mean, heavy.stddev], 1)


class _Bent(nn.Module):
    """A network with a branch that depends on values, which ONNX does not have."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z if z.sum() > 0 else -z


def test_distributions_of_pytorch_can_be_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Distribution, "_validate_args", True)  # zuko turns it off
    file = written(tmp_path / "heavy.onnx", _Heavy(), {"z": torch.randn(16, 3)}, ("moments",))
    assert file.difference < 1e-5
    with pytest.raises(ValueError, match="constraint"):  # they are validated elsewhere
        StudentT(4.0, torch.zeros(1), -torch.ones(1))


def test_what_cannot_be_exported_is_one_line_and_no_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = linear_vae(3, 2).eval()
    model.decoder = nn.Sequential(model.decoder, _Bent())
    run: Any = SimpleNamespace(model=model, data=SimpleNamespace(condition_columns=()))
    with pytest.raises(BadInput, match=r"^the decoder cannot be exported: Could not guard on data-dependent"):
        export(run, tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_gaps_in_tables_are_gaps_to_the_encoder(tmp_path: Path) -> None:
    import onnxruntime

    dataset = some("columns", (3,), 40)
    run = trained(dataset, tmp_path / "run")
    encoder = export(run, tmp_path / "onnx")[0]
    x = dataset.train.all().x
    assert x.isnan().any()
    session = onnxruntime.InferenceSession(str(encoder.path), providers=["CPUExecutionProvider"])
    mean, _ = session.run(None, {"x": x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(mean, run.model.encode(x).mean.numpy(), atol=1e-5)


@pytest.mark.parametrize("as_json", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_command(tmp_path: Path, stripes: Dataset, capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    trained(stripes, tmp_path / "run")
    with pytest.raises(SystemExit) as caught:
        main(["export", str(tmp_path / "run"), *["--json"] * as_json])
    assert not caught.value.code
    out = capsys.readouterr().out
    written = re.findall(r"^wrote (\S+\.onnx)", out, re.MULTILINE)
    files = [file["file"] for file in json.loads(out)] if as_json else written
    assert [Path(file).name for file in files] == ["encoder.onnx", "decoder.onnx"]
    assert (tmp_path / "run" / "onnx" / "decoder.onnx").is_file()
