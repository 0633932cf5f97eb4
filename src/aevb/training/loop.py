"""The training loop, which is the same for all models: it sees examples and an objective's terms alone.

A run is a function of (configuration, data, seed). Every epoch takes its permutation and its noise from the stream of
(seed, epoch), so that it does not depend on what happened before. The data stay on the device as one tensor and a batch
is one gather. An epoch consists of full batches; the examples that are left over differ from epoch to epoch. Nothing is
read back from the device before the end of an epoch or a checkpoint. With moving averages (`aevb.training.ema`), the
averages are validated, kept and shown to callbacks, and training continues with the weights.

The learning rate is constant, then falls linearly to zero. Where the validation loss stops improving before that,
training returns to the best weights, and the rate falls from there: the cooldown.

The gradients come from a backend (`aevb.training.backends`), of one model or of several stacked models. Optimizers work
elementwise, so they need not distinguish the two.
"""

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import NoReturn

import torch
from torch import Tensor

from aevb.config.schema import TrainConfig
from aevb.data.examples import Examples, ExampleSource
from aevb.errors import NonFinite
from aevb.models.objectives import Stage, Terms, final_from
from aevb.models.shapes import widest_float
from aevb.models.vae import VAE
from aevb.training import environment
from aevb.training.backends.base import GradientBackend, StepFunction, losses
from aevb.training.backends.captured import CapturedBackend
from aevb.training.backends.eager import EagerBackend
from aevb.training.history import Ended, EpochMetrics
from aevb.training.nonfinite import first_non_finite
from aevb.training.optimizer import build_optimizer, decay_weights, fast_step, layer_weights, learning_rates
from aevb.training.policy import batch_size, choose_backend
from aevb.training.state import Best, Cooldown, EpochPosition, LiveState, TrainingState, from_best, is_finite
from aevb.training.validation import sufficient_repeats, validate

AfterStep = Callable[[bool, Callable[[], list[TrainingState] | None]], bool]
"""Function called after a step with whether the epoch is whole, and with a function that copies the states, or returns
None where a number is not finite. It returns whether to stop."""


def last_epoch(stage: Stage, epochs: int) -> int:
    """Return the number of the last epoch of a stage of so many epochs in all, at least one in each of two stages."""
    return epochs if stage.until == 1 else min(max(1, round(stage.until * epochs)), epochs - 1)


class TrainingLoop:
    """A stage of the training of one model, or of several stacked models.

    Args:
        models: in training mode.
        seeds: one for each model.
        stage: the objective, and the share of training up to which it is minimized.
        examples: to learn from.
        config: of the training.
        first: number of the last epoch before the stage.
    """

    def __init__(
        self,
        models: Sequence[VAE],
        seeds: Sequence[int],
        stage: Stage,
        examples: ExampleSource,
        config: TrainConfig,
        first: int = 0,
    ) -> None:
        self.models, self.seeds, self.examples, self.config = models, seeds, examples, config
        self.objective, self.is_final = stage.objective, stage.until == 1
        self.epochs, self.steps = config.plan(len(examples))
        self.first, self.last = first, last_epoch(stage, self.epochs)
        final = math.floor(final_from(stage.objective) * self.epochs) if self.is_final else self.last
        self.warmup = min(final, self.epochs - 1)
        """Number of epochs in which the loss still changes its form, so that no weights are chosen."""
        self.batch_size = batch_size(config, examples)
        self.weight_decay = config.decay(len(examples), examples.shape)
        self.backend = choose_backend(models, seeds, stage.objective, examples, config)
        self.optimizer = build_optimizer(self.backend.weights, config, layer_weights(models[0]))
        self.live = LiveState(models, self.backend, self.optimizer, config.ema)

    def begin(self, states: Sequence[TrainingState | None]) -> list[TrainingState]:
        """Restore states, or start before the first epoch where they are None; return the states."""
        resumed = [state for state in states if state]
        if not resumed:
            return self.live.copy(0, [None] * len(states), [Best()] * len(states))
        self.live.restore(resumed)
        return resumed

    def ended(self, states: Sequence[TrainingState]) -> Ended | None:
        """Return how the stage has ended in these states; None where it has not."""
        if all(map(self.stopped, states)):
            return "early"
        return "finished" if states[0].number >= self.last else None

    def stopped(self, state: TrainingState) -> bool:
        """Return whether the training of a model has ended because its validation loss stopped improving."""
        if state.cooldown:
            return state.number >= state.cooldown.end
        return not self.config.cools and self._has_stalled(state)

    def _has_stalled(self, state: TrainingState) -> bool:
        """Return whether the validation loss of a model has not improved for too long."""
        best = state.best.number
        wait = self.config.wait(best - self.first, self.steps)
        return best > 0 and wait is not None and state.number - best >= wait

    def validate(self, states: Sequence[TrainingState], valid: Examples | None) -> list[EpochMetrics | None]:
        """Return the metrics of each model on validation examples.

        Raises:
            NonFinite: the loss is not finite; the models keep their weights.
        """
        if not valid:
            return [None] * len(self.models)
        metrics: list[EpochMetrics | None] = []
        repeats = sufficient_repeats(len(self.examples), len(valid))
        with self.live.averaged():
            for model, seed, state in zip(self.models, self.seeds, states, strict=True):
                measure = partial(validate, model, self.objective, valid, seed=seed, repeats=repeats)
                result = environment.run_on_first(measure)
                metrics.append(result)
                if not (math.isfinite(result.merit) and math.isfinite(result.loss)):
                    raise NonFinite("the loss on the validation part", state.number + 1, self.steps)
        return metrics

    def after_epoch(
        self, states: Sequence[TrainingState], validated: Sequence[EpochMetrics | None]
    ) -> list[TrainingState]:
        """Return the states after an epoch, and restore the best weights of each model whose cooldown begins.

        The best weights of a model stay as they are during warm-up, and once it has stopped.

        Args:
            states: before the epoch.
            validated: metrics of each model.
        """
        number = states[0].number + 1
        eligible = [
            metrics if number > self.warmup and not self.stopped(state) else None
            for metrics, state in zip(validated, states, strict=True)
        ]
        copies = self.live.copy(number, eligible, [state.best for state in states])
        cooldowns = [state.cooldown or self._cooldown(copy) for state, copy in zip(states, copies, strict=True)]
        after = []
        for before, copy, cooldown in zip(states, copies, cooldowns, strict=True):
            begins = cooldown is not None and before.cooldown is None
            after.append(replace(from_best(copy) if begins else copy, cooldown=cooldown))
        if cooldowns != [state.cooldown for state in states]:
            self.live.restore(after)
        return after

    def _cooldown(self, state: TrainingState) -> Cooldown | None:
        """Return the cooldown that begins in this state; None if none does."""
        if not self.config.cools or state.number >= self.epochs or not self._has_stalled(state):
            return None
        length = max(1, round(self.config.lr_decay * state.best.number))
        return Cooldown(state.number, min(state.number + length, self.epochs))

    def _rate(self, state: TrainingState, epochs: float) -> float:
        """Return the learning rate of a model after so many epochs; zero once it has stopped."""
        steps = self.epochs * self.steps
        if not (cooldown := state.cooldown):
            return self.config.rate(epochs / self.epochs, steps)
        left = (cooldown.end - epochs) / (cooldown.end - cooldown.start)
        return self.config.rate(cooldown.start / self.epochs, steps) * max(0.0, left)

    def run_epoch(self, before: Sequence[TrainingState], after_step: AfterStep) -> list[EpochMetrics]:
        """Run the rest of an epoch; undo it where a number is not finite.

        Args:
            before: where it begins.
            after_step: called after each step.

        Returns:
            The means over the epoch; empty where it was stopped before it was whole.

        Raises:
            NonFinite: the models have the weights that they had before.
        """
        totals, step = self._totals(before), before[0].step
        with closing(self._run_steps(self.backend, before)) as rows:
            for row in rows:
                totals += row
                step += 1
                if after_step(step == self.steps, partial(self._copy_within, before, step, totals)):
                    break
        sums = totals.cpu().double()
        if not (is_finite(losses(sums)) and self.live.is_finite()):
            self._undo(before)
        if step < self.steps:
            return []
        return [EpochMetrics(*row) for row in (sums / step).tolist()]

    def _totals(self, before: Sequence[TrainingState]) -> Tensor:
        """Return the sums of the terms' means so far, ``(M, 4)``."""
        # A sum is finite where every term is, and small tensors that outlive a step would fragment the heap.
        device = self.models[0].device
        sums = [state.position.totals if state.position else torch.zeros(len(Terms._fields)) for state in before]
        return torch.stack(sums).to(device, widest_float(device))

    def _copy_within(self, before: Sequence[TrainingState], step: int, totals: Tensor) -> list[TrainingState] | None:
        """Return copies of the states within an epoch; None where a number is not finite."""
        if not (is_finite(losses(totals)) and self.live.is_finite()):
            return None
        states = self.live.copy(before[0].number, [None] * len(before), [state.best for state in before])
        positions = zip(totals.cpu().double(), self.backend.rng_states(), strict=True)
        return [
            replace(state, position=EpochPosition(step, sums.clone(), rng_state), cooldown=earlier.cooldown)
            for state, earlier, (sums, rng_state) in zip(states, before, positions, strict=True)
        ]

    def _undo(self, before: Sequence[TrainingState]) -> NoReturn:
        """Restore the states before an epoch, and say what was not finite in it.

        Raises:
            NonFinite: always.
        """
        self.live.restore(before)
        tensor, step = "a loss", self.steps
        if len(before) == 1:
            parts, bf16 = self.config.micro_batches, self.config.precision == "bf16"
            eager = EagerBackend(self.models[0], self.objective, self.examples, self.seeds[0], parts, bf16=bf16)
            tensor, count = first_non_finite(self.models[0], self._run_steps(eager, before))
            step = before[0].step + count
        self.live.restore(before)
        for model in self.models:
            model.eval()
        raise NonFinite(tensor, before[0].number + 1, step)

    def _run_steps(self, backend: GradientBackend, before: Sequence[TrainingState]) -> Generator[Tensor]:
        """Make the steps of the rest of an epoch; yield the means of the terms of each, ``(M, 4)``."""
        number = before[0].number + 1
        rng_states = [state.position.rng_state for state in before if state.position]
        with self._updates(backend, number, rng_states) as update:
            for step in range(before[0].step, self.steps):
                epochs = number - 1 + step / self.steps
                rows = slice(step * self.batch_size, (step + 1) * self.batch_size)
                means = update(rows, epochs / self.epochs, [self._rate(state, epochs) for state in before])
                if self.live.averages:
                    self.live.averages.update((number - 1) * self.steps + step + 1)
                yield means

    @contextmanager
    def _updates(self, backend: GradientBackend, number: int, rng_states: Sequence[Tensor]) -> Generator[StepFunction]:
        """Enter an epoch; yield the function that makes a step."""
        if isinstance(backend, CapturedBackend) and backend.update:
            with backend.updates(self.optimizer, number, rng_states) as update:
                yield update
            return
        apply = fast_step(self.optimizer)
        with backend.epoch(number, rng_states) as gradients:

            def step(rows: slice, done: float, rates: Sequence[float]) -> Tensor:
                for weight in self.backend.weights.values():
                    weight.grad = None
                means = gradients(rows, done)
                if self.config.clip_grad_norm:
                    self.backend.clip_gradients(self.config.clip_grad_norm)
                with learning_rates(self.optimizer, rates):
                    if self.weight_decay:
                        decay_weights(self.optimizer, self.weight_decay)
                    apply()
                return means

            yield step
