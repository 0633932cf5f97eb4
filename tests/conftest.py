"""What the tests share: small data, small models, and one whose log p(x) is known exactly."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aevb import errors
from aevb.columns import Column, ColumnKind
from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig
from aevb.data import Dataset, Examples, Kind
from aevb.models.posteriors import Diagonal
from aevb.models.vae import VAE


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """The tests' tensors are tiny, and several processes that each take every core slow each other down."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # of the commands that tests start
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """Ctrl-C is Ctrl-C, also where a shell has started the tests in the background and turned it off."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts without plugins; the option --plugin adds to this variable of the process."""
    monkeypatch.setenv("AEVB_PLUGINS", "")


def mostly_slow(choices: Iterable[Any], often: int = 1) -> list[Any]:
    """Parameters of a test, of which only the first `often` belong to the default suite."""
    values = list(choices)
    return [*values[:often], *(pytest.param(value, marks=pytest.mark.slow) for value in values[often:])]


@pytest.fixture(name="in_command")
def _in_command() -> Iterator[None]:
    """Messages name options as on the command line."""
    with errors.in_command():
        yield


@pytest.fixture
def data_dir() -> Path:
    """The folder with MNIST and Fashion-MNIST."""
    folder = Path(os.environ.get("AEVB_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (folder / "mnist").is_dir():
        pytest.skip("needs MNIST: set AEVB_DATA to a folder with mnist/ and fashion-mnist/")
    return folder


def some(kind: Kind, shape: tuple[int, ...], count: int = 30, seed: int = 0) -> Dataset:
    """A little data of a kind, the same examples in each split."""
    if kind == "columns":
        return _some_rows(count, seed)
    rng = np.random.default_rng(seed)
    values = {
        "binary": lambda: rng.integers(0, 2, size=(count, *shape)),
        "unit": lambda: rng.uniform(size=(count, *shape)),
        "counts": lambda: rng.poisson(2.0, size=(count, *shape)).clip(0, 6),
        "real": lambda: rng.normal(size=(count, *shape)),
    }[kind]()
    part = Examples(torch.from_numpy(values.astype(np.float32)))
    return Dataset("cells", kind, shape, part, part, part, "none", None)


def _some_rows(count: int, seed: int) -> Dataset:
    """Rows of a table with three columns, a sixth of whose values are missing."""
    rng = np.random.default_rng(seed)
    values = np.stack([rng.normal(size=count), rng.poisson(2.0, count), rng.integers(0, 3, count)], 1).astype(
        np.float32
    )
    values[rng.random(values.shape) < 1 / 6] = np.nan
    kinds: tuple[ColumnKind, ...] = ("real", "count", "categorical")
    columns = tuple(
        Column(name=kind, kind=kind, position=place, values=("a", "b", "c") if kind == "categorical" else ())
        for place, kind in enumerate(kinds)
    )
    part = Examples(torch.from_numpy(values))
    return Dataset("cells", "columns", (3,), part, part, part, "none", None, columns)


class Exact(NamedTuple):
    """A linear Gaussian VAE, x = W z + b + √c ε, whose marginal likelihood is a normal density."""

    model: VAE
    weight: Tensor
    bias: Tensor
    variance: float

    def log_px(self, x: Tensor) -> Tensor:
        """log N(x; b, W Wᵀ + c I), ``(B,)`` in float64."""
        covariance = self.weight @ self.weight.T + self.variance * torch.eye(len(self.bias), dtype=torch.float64)
        density = torch.distributions.MultivariateNormal(self.bias, covariance)
        return torch.as_tensor(density.log_prob(x.double()))

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """x ~ p(x), ``(count, D)`` in float32."""
        rng = np.random.default_rng(seed)
        z, noise = rng.normal(size=(count, self.weight.shape[1])), rng.normal(size=(count, len(self.bias)))
        return torch.as_tensor(z @ self.weight.numpy().T + self.bias.numpy() + self.variance**0.5 * noise).float()


@pytest.fixture
def exact() -> Callable[..., Exact]:
    """Makes a linear Gaussian VAE whose posterior is the true one, or its mean moved by `error`."""

    def make(features: int = 5, latent: int = 2, variance: float = 0.5, error: float = 0.0, seed: int = 0) -> Exact:
        rng = np.random.default_rng(seed)
        # Orthogonal columns: the true posterior is then a diagonal normal.
        basis = np.linalg.qr(rng.normal(size=(features, latent)))[0] * np.linspace(2, 1, latent)
        weight, bias = torch.from_numpy(basis), torch.from_numpy(rng.normal(size=features))
        config = ModelConfig(hidden=(), latent=latent, likelihood="gaussian", variance=variance)
        model = build(resolve(config, some("real", (features,))), (features,))
        spread = torch.diag(1 / (1 + (weight.T @ weight).diagonal() / variance))
        gain = spread @ weight.T / variance
        assert isinstance(model.posterior, Diagonal)
        head, output = model.posterior.head, next(model.decoder.children())
        assert isinstance(output, nn.Linear)
        with torch.no_grad():
            output.weight.copy_(weight)
            output.bias.copy_(bias)
            head.weight.copy_(torch.cat([gain, torch.zeros_like(gain)]))
            head.bias.copy_(torch.cat([error - gain @ bias, spread.diagonal().log()]))
        return Exact(model.eval(), weight, bias, variance)

    return make


@pytest.fixture
def rows() -> Callable[[Tensor], Dataset]:
    """Makes a data set of real rows, all of them in each split."""

    def make(values: Tensor) -> Dataset:
        part = Examples(values)
        return Dataset("rows", "real", part.shape, part, part, part, "none", None)

    return make


@pytest.fixture
def stripes() -> Dataset:
    """Tiny gray images of two classes, 4 x 4."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, size=120)
    bright = np.where(labels[:, None, None, None] == 1, np.eye(4), np.eye(4)[::-1])
    values = torch.from_numpy((200 * bright + rng.integers(0, 50, size=(120, 1, 4, 4))).astype(np.uint8))

    def part(start: int, end: int) -> Examples:
        return Examples(values[start:end], torch.from_numpy(labels[start:end]), 1 / 255)

    classes = ("falling", "rising")
    return Dataset("stripes", "unit", (1, 4, 4), part(0, 80), part(80, 100), part(100, 120), "none", classes)
