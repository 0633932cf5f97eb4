"""A trained model for other programs: encoder and decoder as ONNX files, checked against PyTorch.

    encoder.onnx    x ``(B, *event)``  →  mean, stddev ``(B, Z)`` of q(z | x)
    decoder.onnx    z ``(B, Z)``       →  mean ``(B, *event)`` of p(x | z)

Both take any number of examples at once. z is that of the lowest stochastic layer, of several layers given the means
above it.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from aevb.errors import BadInput
from aevb.model import VAE
from aevb.randomness import Purpose, seeded
from aevb.runs import Run, write

CHECKED = (1, 3, 16)
"""Examples at once in the check."""


class Exported(NamedTuple):
    """A file, and how far what it computes is from PyTorch.

    Attributes:
        path: of the file.
        difference: the largest, of any number it gives for any batch that was tried.
    """

    path: Path
    difference: float


class _Encoder(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and the deviation of q(z | x)."""
        q = self.model.descend(self.model.ascend(x), lambda q: q.mean)[-1].q
        return q.mean, q.stddev


class _Decoder(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor) -> Tensor:
        """The mean of p(x | z)."""
        return self.model.decode(z).mean


def export(run: Run, folder: Path) -> list[Exported]:
    """Write encoder.onnx and decoder.onnx, and compute with them what PyTorch computes for samples of the model.

    Args:
        run: on the CPU.
        folder: to write into.

    Raises:
        BadInput: an operation of the model has no counterpart, or a file cannot be written.
    """
    model = run.model
    with seeded(0, Purpose.SAMPLES):
        z, x = model.ancestors(max(CHECKED))[-1], model.sample(max(CHECKED), draw=True)
    pieces: list[tuple[str, nn.Module, Tensor, Sequence[str]]] = [
        ("encoder", _Encoder(model), x, ("mean", "stddev")),
        ("decoder", _Decoder(model), z, ("mean",)),
    ]
    return [_written(folder / f"{name}.onnx", piece, given, outputs) for name, piece, given, outputs in pieces]


def _written(path: Path, piece: nn.Module, given: Tensor, outputs: Sequence[str]) -> Exported:
    name = "z" if "decoder" in path.name else "x"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                piece,
                (given[:2],),
                input_names=[name],
                output_names=list(outputs),
                dynamic_shapes=({0: torch.export.Dim("B")},),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # whatever a piece does that ONNX has no word for
        raise BadInput(f"the {path.stem} cannot be exported: {str(error).strip().splitlines()[0]}") from error
    write(path, lambda file: program.save(file))  # type: ignore[union-attr]
    run = _runner(path)
    differences = [_difference(piece, run(name, given[:count]), given[:count]) for count in CHECKED]
    return Exported(path, max(differences))


def _runner(path: Path) -> Any:
    """What computes a file: onnxruntime where it is installed, else the reference of ONNX itself."""
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        session: Any = ReferenceEvaluator(str(path))
    else:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda name, given: session.run(None, {name: given.numpy()})


@torch.no_grad()
def _difference(piece: nn.Module, found: Sequence[np.ndarray[Any, Any]], given: Tensor) -> float:
    made = piece(given)
    expected = made if isinstance(made, tuple) else (made,)
    pairs = zip(found, expected, strict=True)
    return max(float(np.abs(ours - theirs.numpy()).max()) for ours, theirs in pairs)
