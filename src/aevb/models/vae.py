"""The variational autoencoder, assembled from its pieces.

    x ── inputs ── encoder ──▶ posterior q(z|x) ──▶ z ── decoder ──▶ likelihood p(x|z)        prior p(z)

The inputs standardize x, so that the networks do not depend on its units (`aevb.models.networks.inputs`).

A hierarchical model has several stochastic layers (`aevb.models.hierarchy`): posterior and prior are then those of the
top layer, and the decoder receives the lowest layer, or with skip connections all layers.

A conditional model describes x given c, p(x|c) = ∫ p(x|z, c) p(z) dz. An embedding turns the condition c into the
context, which encoder and decoder receive as well.

Kingma & Welling, Auto-Encoding Variational Bayes, 2013; conditional: Sohn, Lee & Yan, Learning structured output
representation using deep conditional generative models, 2015, with a prior that does not depend on c.

Legend: B examples, S samples of z per example, Z latent dimensions, of a layer or of all that the decoder receives, F
features, G numbers of a condition, C numbers of its context; *event is the shape of one example, *inputs that of the
encoder's input.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise, repeat
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from aevb.errors import BadInput
from aevb.models.batch import Batch, as_batch, require_tensor
from aevb.models.distributions import closed_form_kl, kl_by_dimension
from aevb.models.hierarchy import LatentLayer
from aevb.models.likelihoods import Likelihood
from aevb.models.networks import Embedding, Standardize, initialize_output
from aevb.models.priors import Prior
from aevb.models.shapes import broadcast_shape

DECODED_AT_ONCE = 100
"""Number of samples that are decoded at once."""


@dataclass(frozen=True)
class LayerTrace:
    """The trace of one stochastic layer: a sample z from q, and the prior p.

    Attributes:
        q: q(z | x), over ``(B, Z)``; below the top layer, given the samples of the layer above, over ``(S, B, Z)``.
        p: p(z), over ``(Z,)``; below the top layer over ``(S, B, Z)``.
        z: the samples, ``(S, B, Z)``.
    """

    q: Distribution
    p: Distribution
    z: Tensor

    @property
    def rate_by_dimension(self) -> Tensor | None:
        """The terms of KL(q || p) in nats, ``(B, Z)``, averaged over the samples above; None if KL does not split."""
        terms = kl_by_dimension(self.q, self.p)
        return terms.mean(0) if terms is not None and terms.dim() > 2 else terms


@dataclass(frozen=True)
class Trace:
    """The result of one pass through the model: everything that an objective or an estimator needs.

    Attributes:
        x: the examples, ``(B, *event)``.
        layers: the stochastic layers, from the top down.
        z: the samples that the decoder received, ``(S, B, Z)``.
        log_likelihood: log p(x | z) in nats, ``(S, B)``.
    """

    x: Tensor
    layers: tuple[LayerTrace, ...]
    z: Tensor
    log_likelihood: Tensor

    @cached_property
    def log_prior(self) -> Tensor:
        """log p(z) in nats, ``(S, B)``."""
        return torch.stack([layer.p.log_prob(layer.z) for layer in self.layers]).sum(0)

    @cached_property
    def log_posterior(self) -> Tensor:
        """log q(z | x) in nats, ``(S, B)``."""
        return torch.stack([layer.q.log_prob(layer.z) for layer in self.layers]).sum(0)

    @cached_property
    def log_weight(self) -> Tensor:
        """log p(x, z) - log q(z | x) in nats, ``(S, B)``: the logarithm of an importance weight."""
        return self.log_likelihood + self.log_prior - self.log_posterior

    @cached_property
    def divergence(self) -> Tensor | None:
        """KL(q(z|x) || p(z)) in nats, ``(B,)``, or ``(S, B)`` for several layers; None without a closed form."""
        terms = [closed_form_kl(layer.q, layer.p) for layer in self.layers]
        closed = [term for term in terms if term is not None]
        return torch.stack(torch.broadcast_tensors(*closed)).sum(0) if len(closed) == len(terms) else None

    @cached_property
    def rate(self) -> Tensor:
        """KL(q(z|x) || p(z)) in nats, ``(B,)``: in closed form where one exists, else estimated from the samples."""
        rate = self.divergence if self.divergence is not None else self.log_posterior - self.log_prior
        return rate.mean(0) if rate.dim() > 1 else rate


class VAE(nn.Module):
    """A variational autoencoder.

    Methods that take a batch also accept a plain tensor ``(B, *event)`` if the model is unconditional.

    Args:
        encoder: maps ``(B, *inputs)`` to ``(B, F)``; of a conditional model, also takes the context ``(B, C)``.
        posterior: maps ``(B, F)`` to q(z | x), a distribution over ``(B, Z)``.
        prior: maps `encode_inputs` to p(z), a distribution over ``(Z,)``.
        decoder: maps ``(N, Z)``, of a conditional model ``(N, Z + C)``, to ``(N, *output)``.
        likelihood: maps ``(..., *output)`` to p(x | z), a distribution over ``(..., *event)``.
        lower_layers: the stochastic layers below the top, from the lowest up.
        condition: the embedding of conditions, which maps ``(B, G)`` to the context ``(B, C)``; None for an
            unconditional model.
        inputs: maps ``(B, *event)`` to ``(B, *inputs)``; None where the encoder receives x itself.
        skip: whether the decoder receives all stochastic layers instead of the lowest.
    """

    def __init__(
        self,
        encoder: nn.Module,
        posterior: nn.Module,
        prior: Prior,
        decoder: nn.Module,
        likelihood: Likelihood,
        lower_layers: Sequence[LatentLayer] = (),
        condition: Embedding | None = None,
        inputs: Standardize | None = None,
        *,
        skip: bool = False,
    ) -> None:
        super().__init__()
        self.skip = skip
        self.inputs = inputs
        self.encoder = encoder
        self.posterior = posterior
        self.prior = prior
        self.decoder = decoder
        self.likelihood = likelihood
        self.lower_layers = cast(Sequence[LatentLayer], nn.ModuleList(lower_layers))
        self.condition = condition

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the parameters."""
        return next(self.parameters()).dtype

    @property
    def event_dtype(self) -> torch.dtype:
        """The floating-point type of examples: float32, or float64 where that is too coarse."""
        return torch.float64 if self.inputs is not None and self.inputs.wide else torch.float32

    @property
    def posterior_has_density(self) -> bool:
        """Whether q(z | x) has a density in every layer; the point posterior of an autoencoder has none."""
        posteriors = (self.posterior, *(layer.posterior for layer in self.lower_layers))
        return all(getattr(posterior, "has_density", True) for posterior in posteriors)

    def context(self, condition: Tensor | None) -> Tensor | None:
        """Return what encoder and decoder receive of conditions ``(B, G)``: ``(B, C)``; None for unconditional models.

        Raises:
            BadInput: a conditional model gets no condition, or an unconditional model gets one.
        """
        if self.condition is None:
            if condition is not None:
                raise BadInput("this model is unconditional: do not pass condition=...")
            return None
        if condition is None:
            raise BadInput("this model is conditional: pass condition=...")
        return torch.as_tensor(self.condition(condition.to(self.device)))

    def initialize(self, batch: Batch | Tensor, *, output: bool = True) -> None:
        """Initialize the model from data (Burda, Grosse & Salakhutdinov 2016).

        Standardize the inputs of the encoder and, if `output`, set the bias of the decoder's last layer so that p(x|z)
        starts near the mean of the data.

        Args:
            batch: examples ``(B, *event)``.
            output: whether the decoder is initialized as well.
        """
        batch = as_batch(batch)
        if self.inputs is not None:
            self.inputs.initialize(batch.x)
        if self.condition is not None and batch.condition is not None:
            self.condition.initialize(batch.condition)
        mean = self.likelihood.initialize(batch.x)
        if output:
            initialize_output(self.decoder, mean)
        self.prior.initialize(self._inputs(batch.x))

    def prior_distribution(self) -> Distribution:
        """Return p(z) of the top layer, a distribution over ``(Z,)``."""
        p: Distribution = self.prior(self.encode_inputs)
        return p

    def bottom_up(self, batch: Batch | Tensor) -> list[Tensor]:
        """Return the features h_1, …, h_L from which the posteriors are computed, each ``(B, F)``.

        Raises:
            BadInput: x is no tensor of floating-point numbers, or has another shape than the model.
        """
        batch = as_batch(batch)
        require_tensor("x", batch.x, None, self.likelihood.event)
        return self._bottom_up(self._inputs(batch.x), self.context(batch.condition))

    def _inputs(self, x: Tensor) -> Tensor:
        """Return the inputs of the encoder for x ``(B, *event)``, in the type of the weights: ``(B, *inputs)``."""
        return (x if self.inputs is None else self.inputs(x)).to(self.dtype)

    def _bottom_up(self, inputs: Tensor, context: Tensor | None) -> list[Tensor]:
        with_context = () if context is None else (context.expand(inputs.shape[0], -1),)
        features = [self.encoder(inputs, *with_context)]
        for layer in self.lower_layers:
            features.append(layer.up(features[-1]))
        return features

    def top_down(self, features: Sequence[Tensor], choose: Callable[[Distribution], Tensor]) -> tuple[LayerTrace, ...]:
        """Return the stochastic layers from the top down, each at the points that `choose` takes from its q.

        Args:
            features: the result of `bottom_up`.
            choose: maps q(z | x) over ``(B, Z)`` to z, ``(..., B, Z)``; below the top layer, q is over ``(..., B, Z)``.
        """
        *below, top = features
        q = self.posterior(top)
        layers = [LayerTrace(q, self.prior_distribution(), choose(q))]
        for layer, h in zip(reversed(self.lower_layers), reversed(below), strict=True):
            q, p = layer(h, layers[-1].z)
            layers.append(LayerTrace(q, p, choose(q)))
        return tuple(layers)

    def encode(self, batch: Batch | Tensor) -> Distribution:
        """Return q(z | x) of the top layer, a distribution over ``(B, Z)``."""
        q: Distribution = self.posterior(self.bottom_up(batch)[-1])
        return q

    def encode_inputs(self, inputs: Tensor) -> Distribution:
        """Return q(z | x) of the top layer for inputs of the encoder ``(B, *inputs)``, over ``(B, Z)``."""
        q: Distribution = self.posterior(self._bottom_up(inputs, None)[-1])
        return q

    def latent_means(self, batch: Batch | Tensor) -> list[Tensor]:
        """Return the mean of q(z | x) of each layer from the top down, each ``(B, Z)`` and given the mean above it."""
        return [layer.z for layer in self.top_down(self.bottom_up(batch), lambda q: q.mean)]

    def decoder_input(self, layers: Sequence[Tensor]) -> Tensor:
        """Return what the decoder receives of the layers from the top down, each ``(..., Z)``: ``(..., Z)``."""
        return torch.cat(tuple(layers), dim=-1) if self.skip else layers[-1]

    def decoder_output(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the decoder's output, ``(..., *output)``.

        Args:
            z: what the decoder receives, ``(..., Z)``; see `decoder_input`.
            condition: ``(B, G)``, where B is the last batch dimension of z or 1; None for unconditional models.

        Raises:
            BadInput: z is no tensor, or has another type than the model.
        """
        require_tensor("z", z, self.dtype)
        return self._decoder_output(z, self.context(condition))

    def _decoder_output(self, z: Tensor, context: Tensor | None) -> Tensor:
        if context is not None:
            shape = broadcast_shape(z.shape[:-1], context.shape[:-1])
            z = torch.cat([z.expand(*shape, -1), context.expand(*shape, -1)], -1)
        output = self.decoder(z.reshape(-1, z.shape[-1]))
        return torch.as_tensor(output.view(*z.shape[:-1], *output.shape[1:]))

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Distribution:
        """Return p(x | z), a distribution over ``(..., *event)``; arguments as in `decoder_output`."""
        p: Distribution = self.likelihood(self.decoder_output(z, condition))
        return p

    def trace(self, batch: Batch | Tensor, n_samples: int = 1) -> Trace:
        """Return the trace of a batch: encode, sample z, decode.

        Args:
            batch: examples ``(B, *event)``.
            n_samples: S, samples of z per example.
        """
        batch, shapes = as_batch(batch), chain([(n_samples,)], repeat(()))
        context = self.context(batch.condition)
        layers = self.top_down(self._bottom_up(self._inputs(batch.x), context), lambda q: q.rsample(next(shapes)))
        return self._trace(batch.x, layers, context)

    def trace_latents(self, batch: Batch | Tensor, layers: tuple[LayerTrace, ...]) -> Trace:
        """Return the trace of a batch whose latents are already sampled, as `top_down` returns them."""
        batch = as_batch(batch)
        return self._trace(batch.x, layers, self.context(batch.condition))

    def _trace(self, x: Tensor, layers: tuple[LayerTrace, ...], context: Tensor | None) -> Trace:
        z = self.decoder_input([layer.z for layer in layers])
        p: Distribution = self.likelihood(self._decoder_output(z, context))
        return Trace(x, layers, z, p.log_prob(x))

    def log_joint(self, batch: Batch | Tensor, z: Tensor | Sequence[Tensor]) -> Tensor:
        """Return log p(x, z) in nats, ``(..., B)``.

        Args:
            batch: examples ``(B, *event)``.
            z: ``(..., B, Z)``; of a hierarchical model one tensor per layer, from the top down.

        Raises:
            BadInput: z has another number of layers than the model.
        """
        batch, layers = as_batch(batch), [z] if isinstance(z, Tensor) else z
        if len(layers) != 1 + len(self.lower_layers):
            raise BadInput(
                f"number of layers of z: got {len(layers)}, expected {1 + len(self.lower_layers)}; pass one tensor for"
                " each layer, from the top down"
            )
        total = self.decode(self.decoder_input(layers), batch.condition).log_prob(batch.x)
        total = total + self.prior_distribution().log_prob(layers[0])
        for layer, (above, below) in zip(reversed(self.lower_layers), pairwise(layers), strict=True):
            total = total + layer.prior(above).log_prob(below)
        return torch.as_tensor(total)

    @torch.no_grad()
    def reconstruct(self, batch: Batch | Tensor) -> Tensor:
        """Return the mean of p(x | z) at the latent means of each example, ``(B, *event)``."""
        batch = as_batch(batch)
        return self.decode(self.decoder_input(self.latent_means(batch)), batch.condition).mean

    @torch.no_grad()
    def sample_prior(self, n_samples: int) -> list[Tensor]:
        """Return samples from the prior of every layer, from the top down, each ``(n_samples, Z)``."""
        z = [self.prior_distribution().sample((n_samples,))]
        for layer in reversed(self.lower_layers):
            z.append(layer.prior(z[-1]).sample())
        return z

    @torch.no_grad()
    def sample(self, n_samples: int, condition: Tensor | None = None, *, draw: bool = False) -> Tensor:
        """Return samples ``(n_samples, *event)``: z from the prior, then the mean of p(x | z) or a sample from it.

        Args:
            n_samples: the number of samples.
            condition: ``(n_samples, G)``, or ``(1, G)`` for one condition of all; None for unconditional models.
            draw: whether to sample from p(x | z) instead of returning its mean.

        Raises:
            BadInput: the number of conditions is neither 1 nor `n_samples`.
        """
        if condition is not None and len(condition) not in (1, n_samples):
            raise BadInput(f"number of conditions: got {len(condition)}, expected 1 or {n_samples}; pass one for each")
        batch = Batch(self.decoder_input(self.sample_prior(n_samples)), condition)
        chunks = (batch[start : start + DECODED_AT_ONCE] for start in range(0, max(1, n_samples), DECODED_AT_ONCE))
        decoded = (self.decode(chunk.x, chunk.condition) for chunk in chunks)
        return torch.cat([p.sample() if draw else p.mean for p in decoded])

    @torch.no_grad()
    def interpolate(self, start: Tensor, end: Tensor, steps: int, condition: Tensor | None = None) -> Tensor:
        """Return decoded points on the line between the latent means of two sets of examples, ``(steps, B, *event)``.

        Args:
            start: examples at the first point, ``(B, *event)``.
            end: examples at the last point, ``(B, *event)``.
            steps: the number of points, both ends included.
            condition: ``(B, G)`` or ``(1, G)``; None for unconditional models.
        """
        first, last = (self.decoder_input(self.latent_means(Batch(x, condition))) for x in (start, end))
        t = torch.linspace(0, 1, steps, device=first.device, dtype=first.dtype).view(-1, 1, 1)
        return self.decode(torch.lerp(first, last, t), condition).mean
