"""The variational autoencoder: five pieces joined.

    x ── encoder ──▶ posterior q(z|x) ──▶ z ── decoder ──▶ likelihood p(x|z)        prior p(z)

With lower_layers it has several stochastic layers (`aevb.models.hierarchy`): posterior and prior are then those of
the top layer, and the decoder sees the lowest.

With a condition it is a model of x given c, p(x|c) = ∫ p(x|z, c) p(z) dz, and encoder and decoder see c, too:
`model.given(c)` is the model of x that this makes.

Kingma & Welling, Auto-Encoding Variational Bayes, 2013; with a condition: Sohn, Lee & Yan, Learning structured output
representation using deep conditional generative models, 2015, with a prior that knows nothing of c.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from aevb.errors import BadInput
from aevb.models.distributions import closed_form_kl, kl_by_dimension
from aevb.models.hierarchy import LatentLayer
from aevb.models.likelihoods import Likelihood
from aevb.models.networks import Standardize, start_at
from aevb.models.priors import Prior

DECODED = 100
"""Samples that are decoded at once."""


@dataclass(frozen=True)
class Layer:
    """One stochastic layer as it was passed: z ~ q, judged by p.

    Attributes:
        q: q(z | x), over ``(B, Z)``; below the top layer, given the draws above it, over ``(S, B, Z)``.
        p: p(z), over ``(Z,)``; below the top layer ``(S, B, Z)``.
        z: the draws, ``(S, B, Z)``.
    """

    q: Distribution
    p: Distribution
    z: Tensor

    @property
    def rate_by_dimension(self) -> Tensor | None:
        """The terms of KL(q || p) in nats, ``(B, Z)``, over the draws above; None where they do not split."""
        terms = kl_by_dimension(self.q, self.p)
        return terms.mean(0) if terms is not None and terms.dim() > 2 else terms


@dataclass(frozen=True)
class Trace:
    """What one pass through the model leaves behind: all that an objective or an estimator needs.

    Attributes:
        x: the examples, ``(B, *event)``.
        layers: the stochastic layers, from the top down.
        log_likelihood: log p(x | z) in nats, ``(S, B)``.
    """

    x: Tensor
    layers: tuple[Layer, ...]
    log_likelihood: Tensor

    @property
    def z(self) -> Tensor:
        """The draws that the decoder saw, ``(S, B, Z)``."""
        return self.layers[-1].z

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
        """KL(q(z|x) || p(z)) in nats, ``(B,)`` (``(S, B)`` of several layers); None without a closed form."""
        parts = [closed_form_kl(layer.q, layer.p) for layer in self.layers]
        known = [part for part in parts if part is not None]
        return torch.stack(torch.broadcast_tensors(*known)).sum(0) if len(known) == len(parts) else None

    @cached_property
    def rate(self) -> Tensor:
        """KL(q(z|x) || p(z)) in nats, ``(B,)``: in closed form where there is one, else estimated from the draws."""
        rate = self.divergence if self.divergence is not None else self.log_posterior - self.log_prior
        return rate.mean(0) if rate.dim() > 1 else rate


class VAE(nn.Module):
    """A variational autoencoder.

    Args:
        encoder: ``(B, *event)`` to ``(B, F)``; with a condition, it and ``(B, C)``.
        posterior: ``(B, F)`` to q(z | x), a distribution over ``(B, Z)``.
        prior: the model's `encode` to p(z), a distribution over ``(Z,)``.
        decoder: ``(N, Z)``, with a condition ``(N, Z + C)``, to ``(N, *output)``.
        likelihood: ``(..., *output)`` to p(x | z), a distribution over ``(..., *event)``.
        lower_layers: the stochastic layers below the top, from the lowest up.
        condition: what is given of each example, ``(B, G)``, to what the networks see of it, ``(B, C)``.

    Attributes:
        known: what the networks see of what is given now, ``(B, C)``, or ``(1, C)`` for any number of examples.
    """

    known: Tensor | None

    def __init__(
        self,
        encoder: nn.Module,
        posterior: nn.Module,
        prior: Prior,
        decoder: nn.Module,
        likelihood: Likelihood,
        lower_layers: Sequence[LatentLayer] = (),
        condition: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.posterior = posterior
        self.prior = prior
        self.decoder = decoder
        self.likelihood = likelihood
        self.lower_layers: Sequence[LatentLayer] = nn.ModuleList(lower_layers)  # type: ignore[assignment]
        self.condition, self.known = condition, None

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of the parameters."""
        return next(self.parameters()).dtype

    def given(self, values: Tensor | None = None) -> "VAE":
        """The model of x under a condition; without one, the model as it is. It shares all weights with this one.

        Args:
            values: of each example that it will see, ``(B, G)``, or ``(1, G)`` for any number of them.

        Raises:
            BadInput: the model has no condition, or wants one that was not given before.
        """
        if (values is None) != (self.condition is None) and (values is not None or self.known is None):
            raise BadInput("the model has no condition" if self.condition is None else "the model wants a condition")
        if values is None or self.condition is None:
            return self
        return self._knowing(self.condition(values.to(self.device, self.dtype)))

    def only(self, where: Tensor | slice) -> "VAE":
        """The same model for some of the examples whose condition is given."""
        return self if self.known is None or len(self.known) == 1 else self._knowing(self.known[where])

    def _knowing(self, known: Tensor) -> "VAE":
        model = copy(self)
        model.known = known
        return model

    def initialize(self, x: Tensor, given: Tensor | None = None, *, output: bool = True) -> None:
        """Begin at the data, given examples ``(B, *event)``: the encoder in their units and, where `output` says so,
        p(x|z) close to their mean, by the last layer of the decoder (Burda, Grosse & Salakhutdinov 2016).
        """
        _measured(self.encoder, x)
        if self.condition is not None and given is not None:
            _measured(self.condition, given)
        mean = self.likelihood.initialize(x)
        if output:
            start_at(self.decoder, mean)
        self.prior.initialize(x)

    def bottom_up(self, x: Tensor) -> list[Tensor]:
        """What the posteriors are made of: the features h_1, …, h_L of ``(B, *event)``, each ``(B, F)``."""
        features = [self.encoder(x) if self.known is None else self.encoder(x, self.known.expand(x.shape[0], -1))]
        for layer in self.lower_layers:
            features.append(layer.up(features[-1]))
        return features

    def encode(self, x: Tensor) -> Distribution:
        """q(z | x) of the top layer for ``(B, *event)``: a distribution over ``(B, Z)``."""
        return self.posterior(self.bottom_up(x)[-1])  # type: ignore[no-any-return]

    def decode(self, z: Tensor) -> Distribution:
        """p(x | z) for ``(..., Z)`` of the lowest layer: a distribution over ``(..., *event)``."""
        return self.likelihood(self.output(z))  # type: ignore[no-any-return]

    def output(self, z: Tensor) -> Tensor:
        """What the decoder gives for ``(..., Z)`` of the lowest layer, and p(x | z) is made of, ``(..., *output)``."""
        if self.known is not None:
            shape = torch.broadcast_shapes(z.shape[:-1], self.known.shape[:-1])
            z = torch.cat([z.expand(*shape, -1), self.known.expand(*shape, -1)], -1)
        output = self.decoder(z.reshape(-1, z.shape[-1]))
        return torch.as_tensor(output.view(*z.shape[:-1], *output.shape[1:]))

    def trace(self, x: Tensor, samples: int = 1) -> Trace:
        """Encode ``(B, *event)``, draw `samples` times, decode: what every objective needs."""
        shapes = chain([(samples,)], repeat(()))
        return self.passed(x, self.top_down(self.bottom_up(x), lambda q: q.rsample(next(shapes))))

    def top_down(self, features: Sequence[Tensor], choose: Callable[[Distribution], Tensor]) -> tuple[Layer, ...]:
        """The stochastic layers from the top down, through the points that `choose` takes from each q.

        Args:
            features: what `bottom_up` gave.
            choose: q(z | x) over ``(B, Z)`` to z, ``(..., B, Z)``; below the top q is over all of these.
        """
        *below, top = features
        q = self.posterior(top)
        layers = [Layer(q, self.prior(self.encode), choose(q))]
        for layer, height in zip(reversed(self.lower_layers), reversed(below), strict=True):
            q, p = layer(height, layers[-1].z)
            layers.append(Layer(q, p, choose(q)))
        return tuple(layers)

    def passed(self, x: Tensor, layers: tuple[Layer, ...]) -> Trace:
        """The trace of ``(B, *event)`` through layers that were descended."""
        return Trace(x, layers, self.decode(layers[-1].z).log_prob(x))

    def codes(self, x: Tensor) -> list[Tensor]:
        """The mean of q(z | x) for ``(B, *event)`` in each layer from the top down, given means above, ``(B, Z)``."""
        return [layer.z for layer in self.top_down(self.bottom_up(x), lambda q: q.mean)]

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """The mean of p(x | z) at the lowest code of each example, ``(B, *event)``."""
        return self.decode(self.codes(x)[-1]).mean

    @torch.no_grad()
    def sample(self, count: int, *, draw: bool = False) -> Tensor:
        """Ancestral samples ``(count, *event)``: z ~ p(z), then the mean of p(x | z), or a draw from it."""
        points = self.sample_prior(count)[-1]
        parts = (slice(start, start + DECODED) for start in range(0, count, DECODED))
        decoded = (self.only(part).decode(points[part]) for part in parts)
        return torch.cat([p.sample() if draw else p.mean for p in decoded])

    @torch.no_grad()
    def sample_prior(self, count: int) -> list[Tensor]:
        """Draws from the prior of every layer, from the top down, each ``(count, Z)``."""
        z = [self.prior(self.encode).sample((count,))]
        for layer in reversed(self.lower_layers):
            z.append(layer.prior(z[-1]).sample())
        return z

    @torch.no_grad()
    def interpolate(self, start: Tensor, end: Tensor, steps: int) -> Tensor:
        """Decoded points on the line between the codes of two batches, ``(steps, B, *event)``, ends included."""
        t = torch.linspace(0, 1, steps, device=start.device, dtype=start.dtype).view(-1, 1, 1)
        return self.decode(torch.lerp(self.codes(start)[-1], self.codes(end)[-1], t)).mean


def _measured(network: nn.Module, x: Tensor) -> None:
    """Let a network see examples ``(B, *event)`` in units of their own."""
    for layer in network.modules():
        if isinstance(layer, Standardize):
            layer.initialize(x)
