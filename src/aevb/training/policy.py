"""Choices that affect speed and not numbers: the backend, the number of threads, and stacking.

The thresholds come from measurements (`python -m benchmarks --only choices`).
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode

from aevb.config.schema import TrainConfig
from aevb.data.examples import ExampleSource
from aevb.errors import BadInput, Notice, option
from aevb.models.objectives import Objective
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.threads import quota, sleep_when_waiting
from aevb.training import environment
from aevb.training.backends.base import GradientBackend, trainable_parameters
from aevb.training.backends.captured import CapturedBackend
from aevb.training.backends.eager import EagerBackend
from aevb.training.capture import CaptureError, is_repeatable
from aevb.training.optimizer import layer_weights
from aevb.training.updates import build_update

CAPTURE_FROM_STEPS = 500
"""Number of steps from which the time to capture a step is repaid."""
COMPILE_FROM_STEPS = 50_000
"""Number of steps from which the time to compile a captured step is repaid; for the smallest models in the second
process, which loads the library."""
THREADS_FROM_OPERATIONS = 30_000_000
"""Floating-point operations of a forward pass from which several threads are faster than one."""
STACK_BELOW_OPERATIONS = 100_000_000
"""Floating-point operations of a forward pass below which stacked models are faster than one after another."""


def choose_backend(
    models: Sequence[VAE], seeds: Sequence[int], objective: Objective, examples: ExampleSource, config: TrainConfig
) -> GradientBackend:
    """Return the fastest backend for a training.

    A step is captured for several models, where the number of steps repays it, and where compilation is on. Where it
    cannot be compiled it is captured alone, and where it cannot be captured one model is trained in eager mode.

    Raises:
        BadInput: options exclude each other.
        CaptureError: the step of several models cannot be stacked.
    """
    if environment.world_size() > 1:
        return _distributed_backend(models, seeds, objective, examples, config)
    eager = EagerBackend(
        models[0], objective, examples, seeds[0], config.micro_batches, bf16=config.precision == "bf16"
    )
    if config.micro_batches > 1:
        _warn_of_micro_batches(models, config)
        return eager
    epochs, steps = config.plan(len(examples))
    worthwhile = epochs * steps >= CAPTURE_FROM_STEPS and is_repeatable(models[0], objective)
    if len(models) == 1 and not (worthwhile or config.compile == "on"):
        return eager
    compiled = config.compile == "on" or (config.compile == "auto" and epochs * steps >= COMPILE_FROM_STEPS)
    captured = partial(_captured_backend, models, seeds, objective, examples, config)
    if compiled:
        try:
            return captured(compiled=True)
        except CaptureError as reason:
            if config.compile == "on":
                _warn_not_compiled(reason)
    try:
        return captured(compiled=False)
    except CaptureError:
        if len(models) > 1:
            raise
        return eager


def batch_size(config: TrainConfig, examples: ExampleSource) -> int:
    """Return the number of examples of a step."""
    return min(config.batch_size, len(examples))


def _captured_backend(
    models: Sequence[VAE],
    seeds: Sequence[int],
    objective: Objective,
    examples: ExampleSource,
    config: TrainConfig,
    *,
    compiled: bool,
) -> CapturedBackend:
    decay, in_layers = config.decay(len(examples), examples.shape), layer_weights(models[0])
    return CapturedBackend(
        models,
        objective,
        examples,
        seeds,
        batch_size(config, examples),
        compiled=compiled,
        update=build_update(trainable_parameters(models[0]), config, decay, in_layers),
        bf16=config.precision == "bf16",
    )


def _distributed_backend(
    models: Sequence[VAE], seeds: Sequence[int], objective: Objective, examples: ExampleSource, config: TrainConfig
) -> GradientBackend:
    from aevb.training.backends.distributed import DistributedBackend  # which takes a second to import

    if len(models) > 1:
        raise CaptureError("several processes train one model at a time")
    if config.ema and config.strategy == "fsdp":
        ddp = option("train.strategy", "ddp")
        raise BadInput(f"{option('train.ema')} needs whole weights, which fsdp shards: use {ddp}")
    if config.micro_batches > 1:
        name = option("train.micro-batches")
        raise BadInput(f"{name} has no effect with several processes: start more processes instead")
    return DistributedBackend(
        models[0],
        objective,
        examples,
        seeds[0],
        batch_size(config, examples),
        config.strategy,
        bf16=config.precision == "bf16",
    )


def _warn_of_micro_batches(models: Sequence[VAE], config: TrainConfig) -> None:
    """Refuse or warn where micro-batches exclude capture, which saves time in calls and not memory."""
    if len(models) > 1:
        raise CaptureError("micro-batches are for one model at a time")
    if config.compile == "on":
        _warn_not_compiled("batches are split into micro-batches")


def _warn_not_compiled(reason: object) -> None:
    warnings.warn(f"training is not compiled: {reason}", Notice, stacklevel=2)


@contextmanager
def suitable_threads(
    models: Sequence[VAE], objective: Objective, examples: ExampleSource, config: TrainConfig
) -> Iterator[None]:
    """Use one PyTorch thread for small steps, in which several would wait for each other; restore the number after.

    A container gets no more threads than processors.
    """
    sleep_when_waiting()
    threads, size = torch.get_num_threads(), config.batch_size // config.micro_batches
    small = count_operations(models[0], objective, examples, size) * len(models) < THREADS_FROM_OPERATIONS
    torch.set_num_threads(1 if small else math.ceil(min(threads, quota())))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def without_denormals() -> Iterator[None]:
    """Compute with zero instead of numbers below 1.2e-38 in magnitude, which CPUs process slowly.

    The moments of weights without a gradient, such as those of pixels that are always black, decay to such numbers.
    """
    before = (torch.tensor(1.2e-38) / 2).item() == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def worth_stacking(model: VAE, objective: Objective, examples: ExampleSource, config: TrainConfig) -> bool:
    """Return whether several such models are expected to train faster as one stacked model."""
    separate = (config.patience is not None and config.keep == "last") or config.micro_batches > 1
    operations = count_operations(model, objective, examples, config.batch_size)
    return not separate and operations < STACK_BELOW_OPERATIONS


def count_operations(model: VAE, objective: Objective, examples: ExampleSource, size: int) -> int:
    """Return the floating-point operations of the matrix products and convolutions of a forward pass.

    Args:
        model: left in the mode that it had.
        objective: says how many latents are sampled.
        examples: to learn from.
        size: number of examples in the pass.
    """
    training = model.training
    # With gradients on: the counter fails at a view of a weight, such as a flattened pseudo-input, where they are off.
    with FlopCounterMode(display=False) as counter, seeded(0, RNGStream.EPOCH, device=model.device):
        model.eval().trace(examples.subsample(size).all(), objective.n_samples)
    model.train(training)
    return int(counter.get_total_flops())
