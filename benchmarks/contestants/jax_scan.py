"""A step in JAX, compiled by XLA with Adam in it, and an epoch as one `lax.scan` over the steps.

A user has to write this by hand: it has no validation, no checkpoints and no check of the loss. It runs the dense
workloads alone: XLA's gradient of a convolution with strides takes fifty times as long as PyTorch's on a CPU.
"""

import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import jax
from jax import lax
from jax import numpy as jnp
from torch import Tensor

from benchmarks.workloads import VARIANCE, Workload

Params = list[dict[str, jax.Array]]
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {"tanh": jnp.tanh, "relu": jax.nn.relu, "elu": jax.nn.elu}


def train(workload: Workload, x: Tensor, epochs: int, device: str) -> float:
    """Return the seconds of the epochs, without compilation."""
    jax.config.update("jax_default_device", jax.devices(device)[0])
    network = Dense(workload)
    params = network.init(jax.random.key(0))
    state = params, *(jax.tree.map(jnp.zeros_like, params) for _ in range(2)), jnp.zeros(())
    images = jnp.asarray(x.flatten(1).numpy())
    epoch = jax.jit(partial(_epoch, network, workload), donate_argnums=0)
    run = epoch.lower(state, images, jax.random.key(0)).compile()
    start = time.perf_counter()
    for number in range(epochs):
        state, loss = run(state, images, jax.random.key(number))
    jax.block_until_ready((state, loss))
    return time.perf_counter() - start


class Dense:
    """The workload's dense networks."""

    def __init__(self, workload: Workload) -> None:
        size = workload.data(1).numel()
        widths = [size, *workload.hidden, 2 * workload.latent], [workload.latent, *reversed(workload.hidden), size]
        self.shapes = [pair for part in widths for pair in pairwise(part)]
        self.count, self.activation = len(workload.hidden) + 1, ACTIVATIONS[workload.activation]

    def init(self, key: jax.Array) -> Params:
        """Return the weights."""
        keys = jax.random.split(key, len(self.shapes))
        return [
            {
                "weight": jax.random.uniform(key, shape, minval=-1, maxval=1) / shape[0] ** 0.5,
                "bias": jnp.zeros(shape[1]),
            }
            for key, shape in zip(keys, self.shapes, strict=True)
        ]

    def encode(self, params: Params, x: jax.Array) -> jax.Array:
        """Return μ and log σ²."""
        return self._run(params[: self.count], x)

    def decode(self, params: Params, z: jax.Array) -> jax.Array:
        """Return the logits of the means."""
        return self._run(params[self.count :], z)

    def _run(self, layers: Params, x: jax.Array) -> jax.Array:
        for layer in layers[:-1]:
            x = self.activation(x @ layer["weight"] + layer["bias"])
        return x @ layers[-1]["weight"] + layers[-1]["bias"]


def _loss(network: Dense, bernoulli: bool, params: Params, x: jax.Array, key: jax.Array) -> jax.Array:
    """Return the negative ELBO, averaged over the batch."""
    mean, log_variance = jnp.split(network.encode(params, x), 2, axis=1)
    z = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape)
    logits = network.decode(params, z)
    if bernoulli:
        distortion = jnp.sum(jax.nn.softplus(logits) - x * logits)
    else:
        distortion = jnp.sum((jax.nn.sigmoid(logits) - x) ** 2) / (2 * VARIANCE)
    rate = -0.5 * jnp.sum(1 + log_variance - mean**2 - jnp.exp(log_variance))
    return (distortion + rate) / len(x)


def _epoch(network: Dense, workload: Workload, state: Any, images: jax.Array, key: jax.Array) -> tuple[Any, jax.Array]:
    """Return the state after an epoch, and the mean loss."""
    order_key, noise_key = jax.random.split(key)
    steps = len(images) // workload.batch
    order = jax.random.permutation(order_key, len(images))[: steps * workload.batch].reshape(steps, -1)
    gradient = jax.value_and_grad(partial(_loss, network, workload.bernoulli))

    def step(state: Any, given: Any) -> tuple[Any, jax.Array]:
        rows, key = given
        params, means, squares, number = state
        loss, found = gradient(params, images[rows], key)
        number += 1
        means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, means, found)
        squares = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, squares, found)
        rate, root = 1e-3 / (1 - 0.9**number), jnp.sqrt(1 - 0.999**number)
        params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + 1e-8), params, means, squares)
        return (params, means, squares, number), loss

    state, losses = lax.scan(step, state, (order, jax.random.split(noise_key, steps)))
    return state, losses.mean()
