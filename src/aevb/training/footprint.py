"""The memory that training takes, estimated before it begins.

    weights        with gradients, the moments of the optimizer, and the copies of all of them from which training
                   resumes and of which checkpoints are made
    activations    the outputs of all layers for a batch, with their gradients and temporaries

The factors are measured (`python -m benchmarks.footprint`).
"""

from collections.abc import Sequence

import torch

from aevb import memory
from aevb.config.schema import TrainConfig
from aevb.data.examples import ExampleSource
from aevb.errors import option
from aevb.models.shapes import output_sizes
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded

MOMENTS = {"sgd": 0, "adagrad": 1, "rmsprop": 1}
"""Tensors that an optimizer keeps for each weight; two where it is not listed."""
COPIES_OF_WEIGHTS, COPIES_OF_MOMENTS, COPIES_OF_OUTPUTS = 15, 2, 2
"""Bytes of memory for each byte of weights, moments and outputs of layers."""


def require_memory(models: Sequence[VAE], n_samples: int, examples: ExampleSource, config: TrainConfig) -> None:
    """Refuse a training that does not fit into the memory of this machine; on a GPU nothing is checked.

    Args:
        models: M models that are trained at once.
        n_samples: samples of z for each example.
        examples: to learn from; they are in memory already, or stay on disk.
        config: of the training.

    Raises:
        BadInput: the memory is too small.
    """
    if models[0].device.type != "cpu":
        return
    rows = min(config.batch_size, len(examples)) / config.micro_batches
    needed = len(models) * (trained_bytes(models[0], config) + rows * example_bytes(models[0], n_samples, examples))
    advice = f"use a smaller {option('train.batch-size')}, smaller widths, or {option('train.micro-batches')}"
    memory.require(memory.used() + needed, "this training", advice)


def trained_bytes(model: VAE, config: TrainConfig) -> float:
    """Return the bytes of the weights and of all that is kept for each of them."""
    size = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    return float(size * (COPIES_OF_WEIGHTS + COPIES_OF_MOMENTS * MOMENTS.get(config.optimizer, 2)))


def example_bytes(model: VAE, n_samples: int, examples: ExampleSource) -> float:
    """Return the bytes that one example of a batch takes."""
    training, layers = model.training, [module for module in model.modules() if not any(module.children())]
    try:
        with torch.no_grad(), seeded(0, RNGStream.EPOCH), output_sizes(layers) as sizes:
            first = examples.subsample(1).batch(slice(0, 1)).to(model.device, model.dtype)
            model.eval().trace(first, n_samples)
    finally:
        model.train(training)
    return float(COPIES_OF_OUTPUTS * sum(sizes) * model.dtype.itemsize)
