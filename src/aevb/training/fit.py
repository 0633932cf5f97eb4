"""Training of one model, or of several stacked models: the public functions.

A training is a function of (configuration, data, seed): see `aevb.training.loop`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from aevb.config.schema import TrainConfig
from aevb.data.examples import Examples, ExampleSource
from aevb.errors import BadInput, option
from aevb.memory import keeping_freed_memory
from aevb.models.objectives import Objective, Stage, stages
from aevb.models.vae import VAE
from aevb.training import environment
from aevb.training.footprint import require_memory
from aevb.training.history import Ended, Epoch, History
from aevb.training.interrupt import interruption
from aevb.training.loop import AfterStep, TrainingLoop, last_epoch
from aevb.training.policy import suitable_threads, without_denormals
from aevb.training.state import TrainingState


@dataclass(frozen=True)
class TrainingJob:
    """One of the models that are trained together.

    With moving averages, the model has the averages during the callbacks.

    Attributes:
        model: trained in place.
        seed: of the order of batches and of the noise.
        resume_from: state of a training with the same configuration, data and seed; None to start from the model.
        on_epoch: called after each epoch.
        on_state: called after each epoch, after `on_epoch`; within an epoch where a checkpoint is due; and where
            training is interrupted. The state may be kept.
    """

    model: VAE
    seed: int = 0
    resume_from: TrainingState | None = None
    on_epoch: Callable[[Epoch], object] | None = None
    on_state: Callable[[TrainingState], object] | None = None


def fit(
    model: VAE,
    objective: Objective,
    train: ExampleSource,
    valid: Examples | None = None,
    config: TrainConfig | None = None,
    *,
    seed: int = 0,
    resume_from: TrainingState | None = None,
    checkpoint_due: Callable[[], bool] | None = None,
    on_step: Callable[[], object] | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
    on_state: Callable[[TrainingState], object] | None = None,
) -> History:
    """Train `model` in place, on the device of its parameters.

    The first Ctrl-C ends training after the current step and keeps what was trained; the second interrupts at once.

    Process-wide settings are changed during the call, and restored at its end: the handlers of SIGINT, and of SIGTERM
    where the program handles it (in the main thread only); the number of PyTorch threads, which is set to 1 for small
    models; PyTorch's global random generators, which are seeded; and the size up to which freed memory is kept.

    Args:
        model: any VAE.
        objective: minimized.
        train: examples to learn from.
        valid: examples that choose the weights and the time to stop, as configured.
        config: of the training; the defaults where None.
        seed: of the order of batches and of the noise.
        resume_from: state of a training with the same configuration, data and seed; None to start from `model`.
        checkpoint_due: called after each step but the last of an epoch; returns whether to call `on_state` now.
        on_step: called after each step.
        on_epoch: called after each epoch.
        on_state: as in `TrainingJob`.

    Returns:
        The metrics of each epoch, and how training ended.

    Raises:
        BadInput: there is patience without validation examples, or batch normalization of single examples.
        NonFinite: a loss or a weight became infinite or NaN.
    """
    job = TrainingJob(model, seed, resume_from, on_epoch, on_state)
    return fit_stacked([job], objective, train, valid, config, checkpoint_due=checkpoint_due, on_step=on_step)[0]


@torch.enable_grad()  # also within torch.no_grad()
def fit_stacked(
    jobs: Sequence[TrainingJob],
    objective: Objective,
    train: ExampleSource,
    valid: Examples | None = None,
    config: TrainConfig | None = None,
    *,
    checkpoint_due: Callable[[], bool] | None = None,
    on_step: Callable[[], object] | None = None,
) -> list[History]:
    """Train models that differ in their weights and seeds only, as one stacked model.

    Each model is trained as `fit` would train it, up to the rounding of sums. The function changes and restores the
    same process-wide settings.

    Args:
        jobs: on one device; all at the start, or all at the same position.
        objective, train, valid, config, checkpoint_due, on_step: as in `fit`.

    Returns:
        The history of each job.

    Raises:
        BadInput: as in `fit`, or the last weights are to be kept of models that end at different epochs.
        CaptureError: the models' step cannot be stacked.
        NonFinite: a loss or a weight of one model became infinite or NaN; all models are as after the epoch before.
    """
    config = config or TrainConfig()
    for job in jobs:
        _check(job.model, config, train, valid, len(jobs))
    require_memory([job.model for job in jobs], objective.n_samples, train, config)
    device = jobs[0].model.device
    train, valid = train.to(device), valid and valid.to(device)
    models = [job.model.train() for job in jobs]
    seeds, epochs = [job.seed for job in jobs], [list[Epoch]() for _ in jobs]
    with (
        suitable_threads(models, objective, train, config),
        without_denormals(),
        keeping_freed_memory(),
        interruption() as interrupted,
    ):
        for stage, first in _remaining(objective, jobs[0].resume_from, config.plan(len(train))[0]):
            loop = TrainingLoop(models, seeds, stage, train, config, first)
            after_step = _after_step(loop, jobs, interrupted, checkpoint_due, on_step)
            try:
                states, ended = _run(loop, jobs, valid, interrupted, after_step, epochs)
            finally:
                loop.live.release()
            ends = ["early" if ended == "finished" and loop.stopped(state) else ended for state in states]
            if ended != "finished":
                break
            jobs = [replace(job, resume_from=state) for job, state in zip(jobs, states, strict=True)]
            del loop, after_step  # their memory is free before the next stage
        return [_finish(config, *result) for result in zip(jobs, states, epochs, ends, strict=True)]


def _remaining(objective: Objective, reached: TrainingState | None, epochs: int) -> list[tuple[Stage, int]]:
    """Return the stages of training that are not complete in a state, each with the number of the epoch before it.

    The last stage is always among them.
    """
    parts, number = stages(objective), reached.number if reached else 0
    ends = [last_epoch(stage, epochs) for stage in parts]
    begins = zip(parts, [0, *ends[:-1]], strict=True)
    return [begin for begin, end in zip(begins, ends, strict=True) if number < end or begin[0] is parts[-1]]


def _run(
    loop: TrainingLoop,
    jobs: Sequence[TrainingJob],
    valid: Examples | None,
    interrupted: Callable[[], bool],
    after_step: AfterStep,
    epochs: Sequence[list[Epoch]],
) -> tuple[list[TrainingState], Ended]:
    """Run epochs until the stage ends, and add them to those of each job; return the last states, and how it ended."""
    states = loop.begin([job.resume_from for job in jobs])
    while not (ended := loop.ended(states)):
        started = time.perf_counter()
        trained = loop.run_epoch(states, after_step)
        if not trained:
            return states, "interrupted"
        seconds = (time.perf_counter() - started) / len(jobs)
        validated = loop.validate(states, valid)
        active = [not loop.stopped(state) for state in states]
        states = loop.after_epoch(states, validated)
        with loop.live.averaged():
            results = zip(jobs, epochs, states, trained, validated, strict=True)
            for job, made, state, metrics, valid_metrics in compress(results, active):
                made.append(Epoch(state.number, seconds, metrics, valid_metrics))
                if job.on_epoch:
                    job.on_epoch(made[-1])
                _report([job], [state])
        if environment.any_process(interrupted())[0] and not (loop.is_final and loop.ended(states)):
            return states, "interrupted"
    return states, ended


def _after_step(
    loop: TrainingLoop,
    jobs: Sequence[TrainingJob],
    interrupted: Callable[[], bool],
    checkpoint_due: Callable[[], bool] | None,
    on_step: Callable[[], object] | None,
) -> AfterStep:
    """Return the function that calls the callbacks of a step and says whether to stop."""
    due = checkpoint_due or (lambda: False)

    def after_step(whole: bool, copy_states: Callable[[], list[TrainingState] | None]) -> bool:
        if on_step:
            on_step()
        stop, wanted = environment.any_process(interrupted(), not whole and due())
        if not whole and (stop or wanted) and (states := copy_states()):
            with loop.live.averaged():
                active = [not loop.stopped(state) for state in states]
                _report([*compress(jobs, active)], [*compress(states, active)])
        return stop

    return after_step


def _report(jobs: Sequence[TrainingJob], states: Sequence[TrainingState]) -> None:
    for job, state in zip(jobs, states, strict=True):
        if job.on_state:
            job.on_state(state)


def _finish(config: TrainConfig, job: TrainingJob, state: TrainingState, epochs: list[Epoch], ended: Ended) -> History:
    """Leave the model with the weights to keep, in evaluation mode."""
    best = config.keep == "best" and state.best.number > 0
    if best:
        job.model.load_state_dict(state.best.weights)
    job.model.eval()
    return History(epochs, state.best.number if best else state.number, ended)


def _check(model: VAE, config: TrainConfig, train: ExampleSource, valid: Examples | None, jobs: int) -> None:
    """Check that a model can be trained as configured.

    Raises:
        BadInput: it cannot.
    """
    if config.patience and config.keep == "last" and jobs > 1:
        best = option("train.keep", "best")
        raise BadInput(f"models with patience end at different epochs: train them one after another, or use {best}")
    if config.patience and valid is None:
        raise BadInput("patience needs validation examples: pass fit(valid=...) or leave patience out")
    size = min(config.batch_size, len(train))
    if config.micro_batches > size:
        raise BadInput(
            f"{option('train.micro-batches', config.micro_batches)} is more than the {size} examples of a step: use"
            " fewer"
        )
    if size // config.micro_batches == 1 and any(isinstance(layer, _BatchNorm) for layer in model.modules()):
        larger = "a larger " + option("train.batch-size")
        advice = "a smaller " + option("train.micro-batches") if config.micro_batches > 1 else larger
        raise BadInput(f"batch normalization needs batches of two examples or more: use {advice}")
