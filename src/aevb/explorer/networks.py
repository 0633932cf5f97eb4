"""The networks of a model as ONNX files, each compared with PyTorch when it is written.

encoder     x ``(B, *event)``                       →  mean, stddev ``(B, Z)`` of q(z | x); for full covariances
                                                       also the covariance ``(B, Z, Z)``
decoder     z ``(B, Z)``                            →  mean ``(B, *event)`` of p(x | z), for images also
                                                       the decoder's `output`; for other rows stddev ``(B, D)``;
                                                       for tables `chances`, the probabilities of values, and
                                                       `spread` of numbers ``(B, ·)``: the standard deviation,
                                                       that of the logarithm of positive ones, r of counts
likelihood  output, x                               →  log p(x | z) in nats ``(B,)``; for images only
"""

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from aevb.errors import BadInput
from aevb.models.distributions import (
    Bernoulli,
    Categorical,
    FullNormal,
    Hurdle,
    IndependentColumns,
    LogNormal,
    NegativeBinomial,
    Normal,
    Spiked,
    TruncatedLogistic,
)
from aevb.models.distributions.logistic import STDDEV as LOGISTIC_STDDEV
from aevb.models.likelihoods.table import Columns
from aevb.models.vae import VAE
from aevb.runs.export import Encoder, Piece, samples, written


class _FullEncoder(Piece):
    """Map x to mean, standard deviation and covariance of q(z | x)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q = self.model.top_down(self.model.bottom_up(x), lambda q: q.mean)[-1].q
        assert isinstance(q, FullNormal)
        return q.mean, q.stddev, q.scale_tril @ q.scale_tril.mT


class _ImageDecoder(Piece):
    """Map z to the mean of p(x | z) and the decoder's output."""

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model.decoder_output(z)
        return self.model.likelihood(output).mean, output


class _RowDecoder(Piece):
    """Map z to mean and standard deviation of p(x | z)."""

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        p = self.model.decode(z)
        return p.mean, p.stddev


class _TableDecoder(Piece):
    """Map z to the mean of p(x | z), spreads, and probabilities.

    The probabilities are those of the second of two values, of listed ones, of zero and of spikes.
    """

    def __init__(self, model: VAE) -> None:
        super().__init__(model)
        likelihood: nn.Module = model.likelihood
        assert isinstance(likelihood, Columns)
        self.spikes = (~likelihood.spikes.isnan()).flatten().nonzero()[:, 0].tolist()

    def named(self, z: Tensor) -> dict[str, Tensor]:
        """Return the outputs by name."""
        p = self.model.decode(z)
        assert isinstance(p, IndependentColumns)
        spreads = [spread.expand(z.shape[0], -1) for part in p.elementary if (spread := _spread(part)) is not None]
        binary = [part.mean for part in p.families if isinstance(part, Bernoulli)]
        others = [part.log_probabilities.exp().flatten(1) for part in p.families if isinstance(part, Categorical)]
        zeros = [part.zero.sigmoid() for part in p.elementary if isinstance(part, Hurdle)]
        spikes = [part.weights.flatten(1)[:, self.spikes] for part in p.families if isinstance(part, Spiked)]
        parts = {"mean": [p.mean], "spread": spreads, "chances": [*binary, *others, *zeros, *spikes]}
        return {name: torch.cat(part, 1) for name, part in parts.items() if part}

    def forward(self, z: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.named(z).values())


def _spread(part: Distribution) -> Tensor | None:
    """Return the spread of numbers, ``(B, ·)``; None for other columns."""
    if isinstance(part, Normal):
        return part.stddev
    if isinstance(part, TruncatedLogistic):
        return LOGISTIC_STDDEV * part.log_scale.exp()
    if isinstance(part, LogNormal | Hurdle):
        return (part.positive if isinstance(part, Hurdle) else part).log.stddev
    return part.log_total.exp().unsqueeze(0) if isinstance(part, NegativeBinomial) else None


class _Likelihood(nn.Module):
    """Map the decoder's output and x to log p(x | z)."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.likelihood = model.likelihood

    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        return torch.as_tensor(self.likelihood(output).log_prob(x))


def networks(model: VAE) -> dict[str, bytes]:
    """Return the files by name, without the encoder or the likelihood if ONNX does not support one of its operations.

    Args:
        model: a model on the CPU.

    Raises:
        BadInput: the decoder cannot be exported.
    """
    x, z = samples(model)
    with torch.no_grad():
        output, p, q = model.decoder_output(z), model.decode(z), model.encode(x)
    full = isinstance(q, FullNormal) and not model.lower_layers
    decoder: Piece
    outputs: tuple[str, ...]
    if isinstance(p, IndependentColumns):
        table = _TableDecoder(model)
        decoder, outputs = table, tuple(table.named(z))
    elif x.dim() == 4:
        decoder, outputs = _ImageDecoder(model), ("mean", "output")
    else:
        decoder, outputs = _RowDecoder(model), ("mean", "stddev")
    encoder = _FullEncoder(model) if full else Encoder(model)
    moments = ("mean", "stddev", "covariance")[: 3 if full else 2]
    files = {"decoder": _file(decoder, {"z": z}, outputs)}
    if x.dim() == 4:
        files |= _where_possible("encoder", encoder, {"x": x}, moments)
        files |= _where_possible("likelihood", _Likelihood(model), {"output": output, "x": x}, ("log_likelihood",))
    return files


def _where_possible(
    name: str, piece: nn.Module, inputs: dict[str, Tensor], outputs: tuple[str, ...]
) -> dict[str, bytes]:
    try:
        return {name: _file(piece, inputs, outputs)}
    except BadInput:
        return {}


def _file(piece: nn.Module, inputs: dict[str, Tensor], outputs: tuple[str, ...]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{type(piece).__name__.strip('_').lower()}.onnx"
        return written(path, piece, inputs, outputs).path.read_bytes()
