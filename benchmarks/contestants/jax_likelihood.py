"""log p(x) in JAX on given weights and images, all of them in one compiled program, for `benchmarks.likelihood`.

Arguments: a .npz file with the weights and images, how many images, K, and the device. Prints the seconds and the mean
as JSON. A user has to write this by hand.
"""

import json
import sys
import time
from collections.abc import Mapping

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jax.scipy.special import logsumexp

Weights = Mapping[str, jax.Array]


def main() -> None:
    given, count, samples, device = np.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    jax.config.update("jax_default_device", jax.devices(device)[0])
    weights = {name: jnp.asarray(given[name]) for name in given.files if name != "images"}
    images = jnp.asarray(given["images"][:count]).reshape(count, -1)

    def mean(images: jax.Array, key: jax.Array) -> jax.Array:
        keys = jax.random.split(key, len(images))
        return lax.map(lambda each: log_px(weights, *each, samples), (images, keys)).mean()

    compiled = jax.jit(mean).lower(images, jax.random.key(0)).compile()
    start = time.perf_counter()
    value = float(compiled(images, jax.random.key(0)))
    print(json.dumps({"seconds": time.perf_counter() - start, "mean": value}))


def log_px(weights: Weights, x: jax.Array, key: jax.Array, samples: int) -> jax.Array:
    """Return log 1/K Σ p(x, z) / q(z|x) of an image with a Bernoulli likelihood."""
    mean, log_variance = jnp.split(layer(weights, "head", jnp.tanh(layer(weights, "hidden", x))), 2)
    noise = jax.random.normal(key, (samples, len(mean)))
    z = mean + jnp.exp(log_variance / 2) * noise
    logits = layer(weights, "out", jnp.tanh(layer(weights, "up", z)))
    log_likelihood = jnp.sum(x * logits - jax.nn.softplus(logits), axis=1)
    log_ratio = 0.5 * jnp.sum(noise**2 - z**2 + log_variance, axis=1)  # log p(z) - log q(z|x)
    return logsumexp(log_likelihood + log_ratio) - jnp.log(samples)


def layer(weights: Weights, name: str, x: jax.Array) -> jax.Array:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


main()
