"""Adding a piece: one new file outside the package, then it is used by its name.

Each plugin below is the content of one file. Its piece is trained, saved, loaded, evaluated, swept and, where possible,
exported and explored. `docs/own-pieces.md` shows the same to a user.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import aevb
from aevb.config.build import build_objective
from aevb.config.schema import ObjectiveConfig
from aevb.errors import BadInput
from aevb.models.distributions import Laplace
from aevb.models.likelihoods import Gaussian, Likelihood
from aevb.models.networks import Network
from aevb.models.objectives import Terms
from aevb.models.registry import register
from aevb.models.vae import Trace
from tests.conftest import some

LIKELIHOOD = '''
from typing import Annotated

import torch
from pydantic import Field

from aevb.models.distributions import Laplace
from aevb.models.likelihoods import Likelihood
from aevb.models.options import PieceOptions
from aevb.models.registry import register


class SharpOptions(PieceOptions):
    kappa: Annotated[float, Field(gt=0)] = Field(1.0, description="Inverse of the scale.")


@register.likelihood("sharp")
class Sharp(Likelihood):
    """A Laplace density with a given scale."""

    Options = SharpOptions
    supports = ("binary", "unit", "counts", "real")

    def __init__(self, event, kappa):
        super().__init__(event)
        self.register_buffer("log_scale", -torch.tensor(kappa).log())

    def initialize(self, x):
        return x.mean(0)

    def forward(self, output):
        return Laplace(output, self.log_scale, len(self.event))
'''
POSTERIOR = '''
import torch

from aevb.models.distributions import Normal
from aevb.models.posteriors import Posterior
from aevb.models.registry import register


@register.posterior("unit-variance")
class UnitVariance(Posterior):
    """A normal with learned mean and variance 1."""

    def __init__(self, features, latent):
        super().__init__(features, latent)
        self.head = torch.nn.Linear(features, latent)

    def forward(self, features):
        loc = self.head(features)
        return Normal(loc, torch.zeros_like(loc))
'''
PRIOR = '''
import torch
from torch import nn
from pydantic import Field

from aevb.models.distributions import Normal
from aevb.models.options import PieceOptions
from aevb.models.priors import Prior
from aevb.models.registry import register


class WideOptions(PieceOptions):
    width: float = Field(2.0, description="Standard deviation of the prior.")


@register.prior("wide")
class Wide(Prior):
    """A normal with a given standard deviation."""

    Options = WideOptions

    def __init__(self, latent, event, width):
        super().__init__(latent, event)
        self.register_buffer("log_scale", torch.full((latent,), width).log())

    def forward(self, encode):
        return Normal(self.origin, self.log_scale)
'''
NETWORK = '''
from torch import nn
from pydantic import Field

from aevb.models.networks import Network, mlp_decoder, mlp_encoder
from aevb.models.options import PieceOptions, Size
from aevb.models.registry import register


class SkipOptions(PieceOptions):
    depth: Size = Field(2, description="Number of blocks.")


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(width, width), nn.ReLU())

    def forward(self, x):
        return x + self.layer(x)


@register.network("skip")
class Skip(Network):
    """Fully connected blocks with skip connections."""

    Options = SkipOptions

    def __init__(self, activation, depth):
        super().__init__(activation)
        self.depth = depth

    def encoder(self, event, context=0):
        first, width = mlp_encoder(event, (8,), self.activation, context)
        return nn.Sequential(first, *(Block(width) for _ in range(self.depth))), width

    def decoder(self, latent, output):
        return nn.Sequential(
            nn.Linear(latent, 8), *(Block(8) for _ in range(self.depth)), mlp_decoder(8, (), output, self.activation)
        )
'''
OBJECTIVE = '''
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from aevb.models.objectives import Terms
from aevb.models.options import PieceOptions
from aevb.models.registry import register


class CapacityOptions(PieceOptions):
    capacity: float = Field(1.0, description="Nats of the rate that are aimed at.")


@register.objective("capacity")
@dataclass(frozen=True)
class Capacity:
    """The distortion, and the distance of the rate from a capacity."""

    Options: ClassVar = CapacityOptions
    n_samples: int = 1
    capacity: float = 1.0

    def __call__(self, trace, done=1.0):
        distortion = -trace.log_likelihood.mean(0)
        loss = distortion + (trace.rate - self.capacity).abs()
        return Terms(loss, -(distortion + trace.rate), trace.rate, distortion)
'''
DATASET = '''
import numpy as np

from aevb.models.registry import register


@register.dataset("rings")
def rings(split_seed=0):
    """Two noisy circles."""
    rng = np.random.default_rng(split_seed)
    labels = rng.integers(0, 2, 200)
    angle = rng.uniform(0, 2 * np.pi, 200)
    points = (1 + labels)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return points.astype(np.float32), labels
'''
PLUGINS = {
    "my_likelihood": (LIKELIHOOD, ["--model.likelihood", "sharp", "--model.kappa", "3"]),
    "my_posterior": (POSTERIOR, ["--model.posterior", "unit-variance"]),
    "my_prior": (PRIOR, ["--model.prior", "wide", "--model.width", "1.5"]),
    "my_network": (NETWORK, ["--model.network", "skip", "--model.depth", "1"]),
    "my_objective": (OBJECTIVE, ["--objective.kind", "capacity", "--objective.capacity", "2"]),
    "my_dataset": (DATASET, []),
}
SCRIPT = """
import contextlib, io, json, sys
from aevb.cli.app import main

for words in json.load(sys.stdin):
    print("$", *words, flush=True)
    try:
        main(words)
    except SystemExit as stop:
        assert not stop.code, words
"""


def commands(folder: Path, *lines: list[str]) -> str:
    """Run commands one after another in one new process, in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=json.dumps(lines), cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(folder: Path, *words: str) -> str:
    """Return the one line of a command that is refused. The modules of the folder can be imported."""
    command = [sys.executable, "-m", "aevb", *words]
    surroundings = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=surroundings)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.slow
@pytest.mark.parametrize("name", PLUGINS)
def test_one_file_adds_a_piece(name: str, tmp_path: Path) -> None:
    code, options = PLUGINS[name]
    (tmp_path / f"{name}.py").write_text(code)
    data = "rings" if name == "my_dataset" else "digits"
    plugin, few = ["--plugin", f"{name}.py"], ["--n-importance-samples", "2"]
    hidden = [] if name == "my_network" else ["--model.hidden", "8"]
    common = [data, *options, *hidden, "--train.epochs", "3", "--train.lr", "0.01", *few, *plugin]
    out = commands(
        tmp_path,
        ["train", *common, "--out", "run"],
        ["evaluate", "run", *few, *plugin],
        ["sweep", *common, "--over", "model.latent", "1", "2", "--jobs", "1", "--out", "swept"],
        ["export", "run", *plugin],
        ["explore", "run", *plugin],
        ["train", "--help", *plugin],
    )
    folder = tmp_path / "run"
    assert json.loads((folder / "config.json").read_text())["plugins"] == [name]
    losses = [json.loads(line)["train"]["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]
    assert (folder / "explorer.html").exists()
    for option in options:
        assert option in out
    (tmp_path / f"{name}.py").write_text("raise RuntimeError('imported, although nobody asked for it')")
    line = refused(tmp_path, "evaluate", "run")
    assert f"run needs the plugin {name}, which is not loaded" in line
    assert f"--plugin {name}" in line


@pytest.mark.slow
def test_a_configuration_file_may_have_options_of_a_plugin(tmp_path: Path) -> None:
    (tmp_path / "my_likelihood.py").write_text(LIKELIHOOD)
    (tmp_path / "config.json").write_text(json.dumps({"model": {"likelihood": "sharp", "kappa": -1.0}}))
    line = refused(tmp_path, "train", "blobs", "--config", "config.json", "--plugin", "my_likelihood.py")
    assert "--model.kappa: input should be greater than 0" in line


@pytest.mark.slow
def test_a_configuration_file_without_its_plugin(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model": {"likelihood": "sharp", "kappa": -1.0}}))
    assert "no likelihood is named 'sharp'" in refused(tmp_path, "train", "blobs", "--config", "config.json")


@pytest.mark.slow
def test_two_kinds_cannot_own_one_option(tmp_path: Path) -> None:
    (tmp_path / "clash.py").write_text(PRIOR.replace("width", "variance").replace('"wide"', '"clash"'))
    words = ["train", "blobs", "--plugin", "clash.py", "--model.variance", "2"]
    assert "the option 'variance' of the likelihood" in refused(tmp_path, *words)


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten at its end."""
    for registry in register:
        monkeypatch.setattr(registry, "_entries", {name: registry._entry(name) for name in registry})


class Transposed(nn.Module):
    """A linear layer whose weight is the transposed one of another."""

    def __init__(self, other: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = other.weight, nn.Parameter(torch.zeros(other.in_features))

    def forward(self, h: Tensor) -> Tensor:
        return nn.functional.linear(h, self.weight.T, self.bias)


class Tied(Network):
    """Encoder and decoder with the same weights."""

    def encoder(self, event: tuple[int, ...], context: int = 0) -> tuple[nn.Module, int]:
        self.layer = nn.Linear(event[0] + context, 8)
        return nn.Sequential(self.layer, nn.Tanh()), 8

    def decoder(self, latent: int, output: tuple[int, ...]) -> nn.Module:
        return nn.Sequential(nn.Linear(latent, 8), nn.Tanh(), Transposed(self.layer))


class Sharp(Likelihood):
    """A Laplace density whose scale is computed as a number."""

    supports = ("real", "unit")

    def __init__(self, event: tuple[int, ...]) -> None:
        super().__init__(event)
        self.log_scale = torch.tensor([0.2, 0.4]).mean().log().item()

    def initialize(self, x: Tensor) -> Tensor:
        return x.mean(0)

    def forward(self, output: Tensor) -> Laplace:
        return Laplace(output, output.new_tensor(self.log_scale), len(self.event))


class Plain:
    """An objective without defaults."""

    def __init__(self, n_samples: int) -> None:
        self.n_samples = n_samples

    def __call__(self, trace: Trace, done: float) -> Terms:
        distortion = -trace.log_likelihood.mean(0)
        return Terms(distortion + trace.rate, -(distortion + trace.rate), trace.rate, distortion)


@pytest.mark.usefixtures("own")
def test_pieces_as_a_user_may_write_them(tmp_path: Path) -> None:
    """Tied weights, numbers computed in a constructor, kinds of data in any order, and arguments without defaults."""
    register.network("tied")(Tied)
    register.likelihood("sharper")(Sharp)
    register.objective("plain")(Plain)
    pieces: dict[str, Any] = {"network": "tied", "likelihood": "sharper", "objective": "plain"}
    run = aevb.train(some("real", (5,)), **pieces, epochs=2, out=tmp_path / "run", report=False)
    assert run.model.inputs is not None  # data that are not all in [0, 1] are standardized
    again = aevb.load_run(run.folder).model
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    tied = [
        model.get_parameter(name) for model in (run.model, again) for name in ("encoder.0.weight", "decoder.2.weight")
    ]
    assert tied[0] is tied[1]
    assert tied[2] is tied[3]


@pytest.mark.usefixtures("own")
def test_number_of_samples_of_an_own_objective() -> None:
    """That of the option, else that of its own default, else 1; an objective without the argument has no option."""

    class Fixed(Plain):
        def __init__(self) -> None:
            super().__init__(7)

    register.objective("plain")(Plain)
    register.objective("fixed")(Fixed)
    samples = [build_objective(ObjectiveConfig(kind="plain", n_samples=count)).n_samples for count in (None, 3)]
    assert samples == [1, 3]
    assert build_objective(ObjectiveConfig(kind="fixed", then="plain")).n_samples == 7
    with pytest.raises(BadInput, match="n_samples has no meaning for the objective fixed"):
        build_objective(ObjectiveConfig(kind="fixed", n_samples=3))


@pytest.mark.parametrize("supports", [("unit", "real"), ("real", "unit"), ("counts", "binary")])
def test_kinds_of_data_have_no_order(supports: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sharp, "supports", supports)
    assert not Sharp((3,)).bounded
    assert Gaussian((3,), mean_link="sigmoid").bounded
