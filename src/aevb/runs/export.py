"""Encoder and decoder as ONNX files, compared with PyTorch.

    encoder.onnx    x ``(B, *event)``  →  mean, stddev ``(B, Z)`` of q(z | x)
    decoder.onnx    z ``(B, Z)``       →  mean ``(B, *event)`` of p(x | z)

Both take any number of examples at once; those of a conditional model take a second input, condition ``(B, G)``. z is
what the decoder receives, of several layers given the means of those above.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Distribution

from aevb.columns import Column, modelled
from aevb.errors import BadInput
from aevb.files import write_atomically
from aevb.models.batch import Batch
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.runs.run_folder import RunFolder

Inputs = Mapping[str, Tensor]
Array = NDArray[np.float32]
CHECKED = (1, 3, 16)
"""Batch sizes of the comparison."""


class Exported(NamedTuple):
    """An exported file.

    Attributes:
        path: of the file.
        difference: largest absolute difference of an output from that of PyTorch, over several batch sizes.
    """

    path: Path
    difference: float


class Piece(nn.Module):
    """A function of a model that is exported."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model


class Encoder(Piece):
    """Maps x, and the condition, to the mean and the standard deviation of q(z | x)."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean and the standard deviation of q(z | x)."""
        layers = self.model.top_down(self.model.bottom_up(Batch(x, condition)), lambda q: q.mean)
        means, stddevs = [layer.q.mean for layer in layers], [layer.q.stddev for layer in layers]
        return self.model.decoder_input(means), self.model.decoder_input(stddevs)


class _Decoder(Piece):
    """Maps z, and the condition, to the mean of p(x | z)."""

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the mean of p(x | z)."""
        return self.model.decode(z, condition).mean


def export(run: RunFolder, folder: Path) -> list[Exported]:
    """Write encoder.onnx and decoder.onnx, and compare them with PyTorch on samples of the model.

    Args:
        run: on the CPU.
        folder: to write into.

    Raises:
        BadInput: an operation of the model has no counterpart in ONNX, or a file cannot be written.
    """
    model, condition = run.model, _conditions(run.data.condition_columns)
    x, z = samples(model, condition)
    more = {} if condition is None else {"condition": condition}
    pieces: list[tuple[str, nn.Module, Inputs, tuple[str, ...]]] = [
        ("encoder", Encoder(model), {"x": x} | more, ("mean", "stddev")),
        ("decoder", _Decoder(model), {"z": z} | more, ("mean",)),
    ]
    programs = [_program(*piece) for piece in pieces]  # all of them before the first file is written
    return [
        _checked(program, folder / f"{name}.onnx", piece, inputs)
        for program, (name, piece, inputs, _) in zip(programs, pieces, strict=True)
    ]


def _conditions(columns: Sequence[Column]) -> Tensor | None:
    """Return conditions of as many examples as are checked, ``(N, G)``."""
    several = [torch.arange(max(CHECKED)) % max(2, len(column.values)) for column in modelled(columns)]
    return torch.stack(several, 1).float() if several else None


def samples(model: VAE, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return samples x and z of a model, on which a file is compared with PyTorch."""
    with seeded(0, RNGStream.SAMPLES):
        z, x = model.decoder_input(model.sample_prior(max(CHECKED))), model.sample(max(CHECKED), condition, draw=True)
    return x, z


def written(path: Path, piece: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> Exported:
    """Write a function of a model, and compare it with PyTorch.

    Args:
        path: of the file.
        piece: the function, of tensors with the same batch dimension.
        inputs: examples by name of the input, at least `max(CHECKED)` each.
        outputs: names of the outputs.

    Raises:
        BadInput: an operation has no counterpart in ONNX, or the file cannot be written.
    """
    return _checked(_program(path.stem, piece, inputs, outputs), path, piece, inputs)


def _program(name: str, piece: nn.Module, inputs: Inputs, outputs: Sequence[str]) -> torch.onnx.ONNXProgram:
    """Return a function of a model as a program of ONNX; the arguments are those of `written`."""
    try:
        with _quiet(), _without_validation():
            program = torch.onnx.export(
                piece,
                tuple(tensor[:2] for tensor in inputs.values()),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=({0: torch.export.Dim("B")},) * len(inputs),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # any operation without a counterpart in ONNX
        raise BadInput(f"the {name} cannot be exported: {_reason(error)}") from error
    assert program is not None
    return program


def _reason(error: BaseException) -> str:
    """Return the first line of the error at the bottom of a chain."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _checked(program: torch.onnx.ONNXProgram, path: Path, piece: nn.Module, inputs: Inputs) -> Exported:
    """Write a program, and compare it with PyTorch."""
    write_atomically(path, lambda file: program.save(file))
    run = _runner(path)
    batches = [{name: tensor[:count] for name, tensor in inputs.items()} for count in CHECKED]
    return Exported(path, max(_difference(piece, run(batch), batch) for batch in batches))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which warns of libraries that are not installed and prints the graph when it fails."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.fx", "onnxscript")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def _without_validation() -> Iterator[None]:
    """Let PyTorch's distributions not validate their arguments by default: ONNX has no exceptions."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


def _runner(path: Path) -> Callable[[Inputs], Sequence[Array]]:
    """Return a function that runs a file, by onnxruntime if it is installed, else by the reference of ONNX."""
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        session = ReferenceEvaluator(str(path))
    else:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(inputs: Inputs) -> Sequence[Array]:
        return list(session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()}))

    return run


@torch.no_grad()
def _difference(piece: nn.Module, outputs: Sequence[Array], inputs: Inputs) -> float:
    expected = piece(*inputs.values())
    pairs = zip(outputs, expected if isinstance(expected, tuple) else (expected,), strict=True)
    return max(float(np.abs(actual - tensor.numpy()).max()) for actual, tensor in pairs)
