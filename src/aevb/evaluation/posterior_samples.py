"""Posterior samples that belong to an example: the same in any batch and in any order of the data.

Every estimator works on standard noise ε ~ N(0, I), which the model's own layers map to z (`Normal.from_noise` and its
like). The same formulas then hold for one and for several layers, and for all posteriors:

    z = z(ε),    log w(ε) = log p(x, z) - log q(z | x),    log p(x) = log E_ε w(ε)
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor
from torch.distributions import Distribution

from aevb.data.examples import Examples
from aevb.evaluation.progress import report
from aevb.models.batch import Batch
from aevb.models.distributions import Mixture
from aevb.models.shapes import output_sizes
from aevb.models.vae import VAE, LayerTrace, Trace
from aevb.rng import ExampleStreams, RNGStream, normal

CACHE = 2**22
"""Bytes of the largest tensor in a pass: larger tensors leave the caches of a CPU and are no faster."""


class NoiseTransform(Protocol):
    """A distribution that maps standard noise to its values and back."""

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return z(ε)."""

    def to_noise(self, value: Tensor) -> Tensor:
        """Return ε(z)."""


def latent_sizes(model: VAE, batch: Batch) -> list[int]:
    """Return the number of latent dimensions of each layer, from the top down."""
    return [layer.z.shape[-1] for layer in model.top_down(model.bottom_up(batch), lambda q: q.mean)]


def noise_at(model: VAE, features: Sequence[Tensor], z: Sequence[Tensor]) -> Tensor:
    """Return the ε of latent points, the layers side by side, ``(S, B, Z)``.

    Args:
        model: its posteriors map noise to z and back.
        features: the result of `VAE.bottom_up`.
        z: latent points, each ``(S, B, Z)``, from the top down.
    """
    remaining = iter(z)
    layers = model.top_down(features, lambda _: next(remaining))
    return torch.cat([cast(NoiseTransform, layer.q).to_noise(layer.z) for layer in layers], dim=-1)


def _from_noise(q: Distribution, noise: Tensor) -> Tensor:
    """Return z(ε), or for a distribution without this map a sample from the global generator."""
    if hasattr(q, "from_noise"):
        return torch.as_tensor(q.from_noise(noise))
    return q.rsample(noise.shape[: noise.dim() - 1 - len(q.batch_shape)])


def effective_sample_size(log_weight: Tensor) -> Tensor:
    """Return (Σ w)² / Σ w² for log w, ``(S, B)`` to ``(B,)``."""
    return (2 * log_weight.logsumexp(0) - (2 * log_weight).logsumexp(0)).exp()


class Part(NamedTuple):
    """A few examples on the model's device, encoded once, with their noise.

    Attributes:
        model: in evaluation mode.
        batch: the examples.
        features: the result of `VAE.bottom_up`.
        noise: ε, ``(S, B, Z)``.
        streams: the random number stream of each example, which produced the noise.
        widths: the number of latent dimensions of each layer.
        rows: the number of points that may be decoded at once.
    """

    model: VAE
    batch: Batch
    features: list[Tensor]
    noise: Tensor
    streams: list[torch.Generator]
    widths: list[int]
    rows: int

    def select(self, index: Tensor) -> "Part":
        """Return the examples at `index`."""
        return self._replace(
            batch=self.batch[index],
            features=[features[index] for features in self.features],
            noise=self.noise[:, index],
            streams=[self.streams[position] for position in index.tolist()],
        )

    def layers(self, noise: Tensor) -> tuple[LayerTrace, ...]:
        """Return the stochastic layers at ε ``(S, B, Z)``, in which the layers are side by side."""
        remaining = iter(noise.split(self.widths, dim=-1))
        return self.model.top_down(self.features, lambda q: _from_noise(q, next(remaining)))

    def trace(self, noise: Tensor) -> Trace:
        """Return the trace at ε ``(S, B, Z)``."""
        return self.model.trace_latents(self.batch, self.layers(noise))

    def traces(self) -> Iterator[Trace]:
        """Yield the traces of all samples, as many at once as `rows` allows."""
        return (self.trace(noise) for noise in self.noise.split(max(1, self.rows // len(self.batch))))


def parts(
    model: VAE,
    examples: Examples,
    n_samples: int,
    *,
    seed: int,
    memory: int,
    at_once: int | None = None,
    equal: bool = False,
    stream: RNGStream = RNGStream.EVALUATION,
) -> Iterator[Part]:
    """Yield all examples in order, in parts so small that a pass stays within `memory` bytes.

    A pass keeps about eight tensors of the size of the largest layer output. Examples are encoded in batches whose
    noise and features take an eighth of the memory each.

    Args:
        model: it is put into evaluation mode.
        examples: N examples.
        n_samples: S, samples of noise per example.
        seed: seed of the noise.
        memory: in bytes.
        at_once: how many samples of an example are meant to be decoded at once; None for all.
        equal: whether equal examples get equal noise.
        stream: the purpose of the noise.
    """
    model.eval()
    device, dtype = model.device, model.dtype
    first = examples.batch(slice(1)).to(device, dtype)
    widths, itemsize = latent_sizes(model, first), first.x.element_size()
    largest = itemsize * widest(model, first)
    rows = max(1, min(memory // 8, CACHE) // largest)
    batch_size = max(1, min(1000, memory // 8 // max(largest, itemsize * n_samples * sum(widths))))
    source, part_size = ExampleStreams(seed, stream, equal=equal), max(1, rows // (at_once or n_samples))
    done = 0
    for batch in examples.batches(batch_size):
        streams, batch = source.streams(batch.x), batch.to(device, dtype)
        with torch.no_grad():
            features = model.bottom_up(batch)
        noise = normal(streams, n_samples, sum(widths)).to(device, dtype)
        encoded = Part(model, batch, features, noise, streams, widths, rows)
        for index in torch.arange(len(batch)).split(part_size):
            yield encoded.select(index)
            done += len(index)
            report(done, len(examples))


def widest(model: VAE, batch: Batch) -> int:
    """Return the number of elements of the largest tensor of a pass with one example and one sample.

    Args:
        model: any.
        batch: one example.
    """
    with output_sizes(model.modules()) as sizes:
        model.reconstruct(batch)
    largest = max(batch.x.numel(), *sizes)
    p = model.prior_distribution()
    return max(largest, p.components.mean.numel()) if isinstance(p, Mixture) else largest
