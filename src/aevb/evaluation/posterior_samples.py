"""Draws from the posterior that belong to an example: the same in any batch and in any order of the data.

Every estimator works on standard noise ε ~ N(0, I), from which the model's own layers make z (`Normal.at` and its
like), so that one text serves one layer and several, and all posteriors:

    z = z(ε),    log w(ε) = log p(x, z) - log q(z | x),    log p(x) = log E_ε w(ε)
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from aevb.data.examples import Examples
from aevb.models.batch import Batch
from aevb.models.distributions import Mixture
from aevb.models.vae import VAE, LayerTrace, Trace
from aevb.rng import ExampleStreams, RNGStream, normal

CACHE = 2**22
"""Bytes of the largest tensor in a pass: larger ones are no faster on a processor, whose caches they leave."""


def sizes(model: VAE, batch: Batch) -> list[int]:
    """Return the latent dimensions of each layer, from the top down."""
    return [layer.z.shape[-1] for layer in model.top_down(model.bottom_up(batch), lambda q: q.mean)]


def noise_at(model: VAE, features: Sequence[Tensor], z: Sequence[Tensor]) -> Tensor:
    """The ε of latent points, each ``(S, B, Z)`` and from the top down, side by side."""
    given = iter(z)
    layers = model.top_down(features, lambda _: next(given))
    return torch.cat([layer.q.to_noise(layer.z) for layer in layers], dim=-1)  # type: ignore[attr-defined]


def _placed(q: Distribution, noise: Tensor) -> Tensor:
    """z(ε); of a distribution that does not say, a draw from the global generator."""
    if hasattr(q, "from_noise"):
        return torch.as_tensor(q.from_noise(noise))
    return q.rsample(noise.shape[: noise.dim() - 1 - len(q.batch_shape)])


def effective(log_weight: Tensor) -> Tensor:
    """The effective sample size (Σ w)² / Σ w² of log w, ``(S, B)`` to ``(B,)``."""
    return (2 * log_weight.logsumexp(0) - (2 * log_weight).logsumexp(0)).exp()


class Part(NamedTuple):
    """Examples on the model's device, encoded once, with their noise.

    Attributes:
        model: in evaluation mode.
        batch: B examples.
        features: what `bottom_up` gave for them.
        noise: ε, ``(S, B, Z)``.
        streams: where the noise came from, and more can be drawn from.
        widths: the dimensions of each layer.
        rows: points to decode at once, at most.
    """

    model: VAE
    batch: Batch
    features: list[Tensor]
    noise: Tensor
    streams: list[torch.Generator]
    widths: list[int]
    rows: int

    def select(self, where: Tensor) -> "Part":
        """Some of the examples, by their indices."""
        return self._replace(
            batch=self.batch[where],
            features=[part[where] for part in self.features],
            noise=self.noise[:, where],
            streams=[self.streams[place] for place in where.tolist()],
        )

    def layers(self, noise: Tensor) -> tuple[LayerTrace, ...]:
        """The stochastic layers where ε is ``(S, B, Z)``, with the layers' dimensions side by side."""
        each = iter(noise.split(self.widths, dim=-1))
        return self.model.top_down(self.features, lambda q: _placed(q, next(each)))

    def at(self, noise: Tensor) -> Trace:
        """The trace through them."""
        return self.model.trace_latents(self.batch, self.layers(noise))

    def traces(self) -> Iterator[Trace]:
        """The traces of all draws, as many at once as the rows allow."""
        return (self.at(noise) for noise in self.noise.split(max(1, self.rows // len(self.batch))))


def parts(
    model: VAE, examples: Examples, samples: int, *, seed: int, memory: int, together: int | None = None
) -> Iterator[Part]:
    """All examples in order, in parts of so few that a pass keeps within `memory` bytes.

    A pass keeps about eight tensors of the size of the largest that a layer gives; examples are encoded in batches
    whose noise, and features, take an eighth of the memory each.

    Args:
        model: it is put into evaluation mode.
        examples: N of them.
        samples: S, draws of noise for each.
        seed: of the noise.
        memory: bytes.
        together: how many draws of z are meant to pass at once; all where None.
    """
    model.eval()
    device, dtype = model.device, model.dtype
    first = examples.batch(slice(1)).to(device, dtype)
    widths, itemsize = sizes(model, first), first.x.element_size()
    largest = itemsize * widest(model, first)
    rows = max(1, min(memory // 8, CACHE) // largest)
    batch = memory // 8 // max(largest, itemsize * samples * sum(widths))
    streams, few = ExampleStreams(seed, RNGStream.EVALUATION), max(1, rows // (together or samples))
    for some in examples.batches(max(1, min(1000, batch))):
        own, there = streams.of(some.x), some.to(device, dtype)
        with torch.no_grad():
            features = model.bottom_up(there)
        whole = Part(model, there, features, normal(own, samples, sum(widths)).to(there.x), own, widths, rows)
        for where in torch.arange(len(some)).split(few):
            yield whole.select(where)


def widest(model: VAE, batch: Batch) -> int:
    """Elements of the largest tensor that any layer, or a prior of components, gives for one example and one draw."""
    largest = batch.x.numel()

    def note(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal largest
        largest = max(largest, output.numel() if isinstance(output, Tensor) else 0)

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    model.reconstruct(batch)
    for hook in hooks:
        hook.remove()
    p = model.prior_distribution()
    return max(largest, p.components.mean.numel()) if isinstance(p, Mixture) else largest
