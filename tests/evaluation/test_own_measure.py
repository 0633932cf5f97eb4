"""A measure in a file outside the package is used by its name."""

import json
from pathlib import Path

import pytest

from aevb.cli.app import main
from aevb.evaluation.scores import titles

MEASURE = '''
from aevb.evaluation.latent_means import latent_means
from aevb.models.registry import register


@register.measure("latent-norm", titles={"latent_norm": "norm of the latent means"}, needs=("unconditional",))
def latent_norm(task):
    """Norm of the latent means."""
    return [task.mean_score("latent_norm", latent_means(task.model, task.examples).norm(dim=1), "norm of E q(z|x)")]
'''


def test_a_measure_in_one_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AEVB_PLUGINS", "")  # `--plugin` adds to it
    Path("own_measure.py").write_text(MEASURE)
    for command in (
        "train digits --model.hidden 8 --train.epochs 1 --n-importance-samples 2 --no-report --out run",
        "evaluate run --measure latent-norm --plugin own_measure.py",
    ):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(command.split())
        assert not stop.value.code
    assert titles()["latent_norm"] == "norm of the latent means"
    assert "norm of the latent means" in capsys.readouterr().out
    assert "latent_norm" in {score["name"] for score in json.loads(Path("run/scores.json").read_text())["scores"]}
