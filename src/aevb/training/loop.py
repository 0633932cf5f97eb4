"""The one training loop: it knows examples and the terms of a trace, not what the model is made of.

A run is a function of (configuration, data, seed). Every epoch draws its permutation and its noise from the stream of
(seed, epoch), so that it is the same whatever happened before: a run that was cut off goes on from a `State`, of after
an epoch or within one, and on the same CPU ends as it would have without, bit for bit. The data stay on the device as
one tensor and a batch is one gather; an epoch is as many full batches as there are, and which examples are left over
differs each time. Nothing is read back from the device before the end of an epoch or a state is due. The learning rate
is constant, then falls linearly to zero. Where the weights are averaged (`aevb.training.ema`), the averages are what is
measured, kept and looked at, and training goes on with the weights.

Where the gradients of a step come from, of one model or of several that are trained as one, is told in
`aevb.training.backends.steps`; the optimizers work on each number alone and so know nothing of it.
"""

import math
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from aevb.config.schema import TrainConfig
from aevb.data.examples import Examples, ExampleSource
from aevb.errors import BadInput, NonFinite, Notice
from aevb.models.objectives import Objective, Terms
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.training import environment as processes
from aevb.training.backends.steps import (
    CapturedBackend,
    EagerBackend,
    GradientBackend,
    means,
    release,
    trainable_parameters,
)
from aevb.training.capture import CaptureError, constant_in_time, widest
from aevb.training.ema import EMA

OPTIMIZERS: dict[str, partial[Any]] = {
    "adam": partial(torch.optim.Adam, fused=True),
    "rmsprop": partial(torch.optim.RMSprop, alpha=0.9),  # as Tieleman & Hinton 2012; PyTorch's default is 0.99
    "adagrad": partial(torch.optim.Adagrad, fused=True),
    "sgd": partial(torch.optim.SGD, momentum=0.9, fused=True),
}
STEP = "step"
"""What optimizers call their count of steps."""
WRITTEN_FROM = 500
"""Steps from which on it repays itself to write them down (`benchmarks`)."""
COMPILED_FROM = 50_000
"""Steps from which on compilation repays itself, whatever the model (`benchmarks`)."""
PARALLEL_FROM = 30_000_000
"""Operations of a pass forward from which on threads share them (`benchmarks`)."""
STACKED_BELOW = 100_000_000
"""Operations of a pass forward up to which several models are faster as one (`benchmarks`)."""

Ended = Literal["finished", "early", "interrupted"]
AfterStep = Callable[[bool, Callable[[], "list[State] | None"]], bool]


@dataclass(frozen=True)
class EpochMetrics:
    """Means over examples of an objective's terms, in nats."""

    loss: float
    bound: float
    rate: float
    distortion: float

    @property
    def merit(self) -> float:
        """What weights are chosen by, higher is better: the bound, or the loss where there is no bound."""
        return self.bound if self.bound > -math.inf else -self.loss


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave.

    Attributes:
        number: from 1.
        seconds: of training, without validation.
        train: means over the epoch, while the weights changed.
        valid: means on the validation part after the epoch; None without one.
    """

    number: int
    seconds: float
    train: EpochMetrics
    valid: EpochMetrics | None


@dataclass
class History:
    """The epochs that one call of `fit` made, and how it ended.

    Attributes:
        epochs: in order; without those before the state that it went on from.
        kept: the epoch whose weights the model was left with.
        ended: "finished", "early" (the patience ran out) or "interrupted" (Ctrl-C; where the last weights are kept, or
            no epoch was whole, they also have the steps made since).
    """

    epochs: list[Epoch] = field(default_factory=list)
    kept: int = 0
    ended: Ended = "finished"


@dataclass(frozen=True)
class Best:
    """The weights with the best merit on validation so far.

    Attributes:
        number: of the epoch that gave them; 0 where none has yet.
        merit: in nats.
        weights: of the model, with its buffers, by name.
    """

    number: int = 0
    merit: float = -math.inf
    weights: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class EpochPosition:
    """A place within an epoch.

    Attributes:
        step: how many steps of it are made.
        totals: the sums of their terms' means, ``(4,)``.
        stream: the state of what draws the order, the noise and the values that are drawn anew, after these steps.
    """

    step: int
    totals: Tensor
    stream: Tensor


@dataclass(frozen=True)
class State:
    """What training goes on from, beside the configuration, the data and the seed.

    Its tensors are its own: training does not change them.

    Attributes:
        number: of the last whole epoch; 0 before the first is whole.
        weights: of the model, with its buffers, by name.
        optimizer: the tensors of each weight that is learnt, by name; weights by their place among them.
        best: which may be these very weights, or averages.
        within: the place in the next epoch; None at its beginning.
        averages: of the weights and buffers, by name, which are what is measured and kept; empty where there are none.
    """

    number: int
    weights: dict[str, Tensor]
    optimizer: dict[int, dict[str, Tensor]]
    best: Best
    within: EpochPosition | None = None
    averages: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingJob:
    """One of the models that are trained together.

    Where the weights are averaged, the model has the averages while `on_epoch` and `on_state` look at it.

    Attributes:
        model: trained in place.
        seed: of the order of batches and of the noise.
        start: what to go on from, with the same configuration, data and seed; the model as it is where None.
        on_epoch: called after each epoch.
        on_state: called after each epoch, after `on_epoch`, within one where a state is due, and where training is
            interrupted; what it is given may be kept.
    """

    model: VAE
    seed: int = 0
    start: State | None = None
    on_epoch: Callable[[Epoch], object] | None = None
    on_state: Callable[[State], object] | None = None


def fit(
    model: VAE,
    objective: Objective,
    train: ExampleSource,
    valid: Examples | None = None,
    config: TrainConfig | None = None,
    *,
    seed: int = 0,
    start: State | None = None,
    due: Callable[[], bool] | None = None,
    on_step: Callable[[], object] | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
    on_state: Callable[[State], object] | None = None,
) -> History:
    """Train `model` in place, on the device of its parameters.

    The first Ctrl-C ends training after the step under way and keeps what was trained; the second interrupts at once.

    Args:
        model: any VAE.
        objective: what to minimise, and how many draws it wants.
        train: examples to learn from.
        valid: examples that choose the weights and the moment to stop, where the configuration asks for it.
        config: how to train; the defaults where None.
        seed, start, on_epoch, on_state: as in `TrainingJob`.
        due: asked after each step but the last of an epoch: whether `on_state` is to be given the state now.
        on_step: called after each step.

    Raises:
        BadInput: patience without a validation part, or batch normalisation of single examples.
        NonFinite: a loss or a weight became infinite or NaN.
    """
    member = TrainingJob(model, seed, start, on_epoch, on_state)
    return fit_stacked([member], objective, train, valid, config, due=due, on_step=on_step)[0]


def fit_stacked(
    members: Sequence[TrainingJob],
    objective: Objective,
    train: ExampleSource,
    valid: Examples | None = None,
    config: TrainConfig | None = None,
    *,
    due: Callable[[], bool] | None = None,
    on_step: Callable[[], object] | None = None,
) -> list[History]:
    """Train models that differ in their weights and seeds alone, as one stacked model, each as `fit` would train it.

    The numbers are those of `fit` but for the rounding of their sums.

    Args:
        members: on one device; all at the start, or all at the same place.
        objective, train, valid, config, due, on_step: as in `fit`.

    Raises:
        BadInput: as in `fit`, or patience, with which the models would end apart.
        CaptureError: the models' step cannot be stacked.
        NonFinite: a loss or a weight of one of several became infinite or NaN; all are as after the epoch before.
    """
    config = config or TrainConfig()
    for member in members:
        _require(member.model, config, train, valid, len(members))
    device = members[0].model.device
    train, valid = train.to(device), valid and valid.to(device)
    with _threads(members, objective, train, config), _interruption() as interrupted:
        loop = _Loop(
            [member.model.train() for member in members], [member.seed for member in members], objective, train, config
        )
        try:
            states, epochs, ended = _fitted(loop, members, valid, interrupted, due or (lambda: False), on_step)
        finally:
            loop.release()
        return [_left(config, *one, ended) for one in zip(members, states, epochs, strict=True)]


def _fitted(
    loop: "_Loop",
    members: Sequence[TrainingJob],
    valid: Examples | None,
    interrupted: Callable[[], bool],
    due: Callable[[], bool],
    on_step: Callable[[], object] | None,
) -> tuple[list[State], list[list[Epoch]], Ended]:
    epochs: list[list[Epoch]] = [[] for _ in members]
    states = loop.begin([member.start for member in members])

    def after_step(whole: bool, here: Callable[[], list[State] | None]) -> bool:
        """Whether to stop."""
        if on_step:
            on_step()
        stop, wanted = processes.agreed(interrupted(), not whole and due())
        if not whole and (stop or wanted) and (found := here()):
            with loop.averaged():
                _hand_over(members, found)
        return stop

    while not (ended := loop.ended(states)):
        started = time.perf_counter()
        trained = loop.epoch(states, after_step)
        if not trained:
            ended = "interrupted"
            break
        seconds = (time.perf_counter() - started) / len(members)
        held_out = loop.held_out(states, valid)
        states = loop.states(states[0].number + 1, held_out, [state.best for state in states])
        with loop.averaged():
            for member, made, state, own, valid_own in zip(members, epochs, states, trained, held_out, strict=True):
                made.append(Epoch(state.number, seconds, own, valid_own))
                if member.on_epoch:
                    member.on_epoch(made[-1])
                _hand_over([member], [state])
        if processes.agreed(interrupted())[0] and not loop.ended(states):
            ended = "interrupted"
            break
    return states, epochs, ended


def _hand_over(members: Sequence[TrainingJob], states: Sequence[State]) -> None:
    for member, state in zip(members, states, strict=True):
        if member.on_state:
            member.on_state(state)


def _left(config: TrainConfig, member: TrainingJob, state: State, epochs: list[Epoch], ended: Ended) -> History:
    """A model with the weights that are kept."""
    best = config.keep == "best" and state.best.number > 0
    if best:
        member.model.load_state_dict(state.best.weights)
    member.model.eval()
    return History(epochs, state.best.number if best else state.number, ended)


@torch.no_grad()
def measure(
    model: VAE, objective: Objective, examples: Examples, *, seed: int = 0, decodings: int = 1000
) -> EpochMetrics:
    """The objective's terms on held-out examples, in evaluation mode and with the same noise at every call.

    Args:
        model, objective, examples: what is measured.
        seed: of the draws.
        decodings: how many points are decoded at once.
    """
    training = model.training
    model.eval()
    with seeded(seed, RNGStream.VALIDATION, device=examples.values.device):
        sums = [
            means(objective(model.trace(part.all(), objective.n_samples))) * len(part)
            for part in examples.chunks(max(1, decodings // objective.n_samples))
        ]
    model.train(training)
    return EpochMetrics(*(torch.stack(sums).cpu().double().sum(0) / len(examples)).tolist())


def _require(model: VAE, config: TrainConfig, train: ExampleSource, valid: Examples | None, together: int) -> None:
    if config.patience and together > 1:
        raise BadInput("models with patience end apart: train them one after another")
    if config.patience and valid is None:
        raise BadInput("patience needs validation examples to judge by: give fit(valid=...) or leave patience out")
    size = min(config.batch_size, len(train))
    if config.micro_batches > size:
        raise BadInput(
            f"--train.micro-batches {config.micro_batches} is more than the {size} examples of a step: use fewer"
        )
    if size // config.micro_batches == 1 and any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules()):
        wanted = "a smaller --train.micro-batches" if config.micro_batches > 1 else "a larger --train.batch-size"
        raise BadInput(f"batch normalisation needs batches of two examples or more: use {wanted}")


class _Loop:
    """The training of models: a step, an epoch of steps, and the undoing of an epoch that went wrong."""

    def __init__(
        self,
        models: Sequence[VAE],
        seeds: Sequence[int],
        objective: Objective,
        examples: ExampleSource,
        config: TrainConfig,
    ) -> None:
        self.models, self.seeds, self.objective, self.examples, self.config = models, seeds, objective, examples, config
        self.epochs, self.steps = config.plan(len(examples))
        self.size, self.bf16 = min(config.batch_size, len(examples)), config.precision == "bf16"
        self.maker = self._maker()
        self.optimizer = _optimizer(self.maker.weights, config)
        self.averages = EMA(self._changing(), config.ema) if config.ema else None

    def _maker(self) -> GradientBackend:
        """What makes the gradients: a graph for several models, where one will repay itself, and where compilation is
        asked for."""
        if processes.count() > 1:
            return self._shared()
        planned, asked = self.epochs * self.steps, self.config.compile
        compiled = asked == "on" or (asked == "auto" and planned >= COMPILED_FROM)
        single = len(self.models) == 1
        if self.config.micro_batches > 1:
            return self._in_parts()
        worthwhile = planned >= WRITTEN_FROM and constant_in_time(self.models[0], self.objective)
        if single and not (worthwhile or asked == "on"):
            return self._single()
        try:
            sizes = self.seeds, self.size
            return CapturedBackend(
                self.models, self.objective, self.examples, *sizes, compiled=compiled, bf16=self.bf16
            )
        except CaptureError as reason:
            if not single:
                raise
            if asked == "on":
                warnings.warn(f"training goes on without compilation: {reason}", Notice, stacklevel=2)
            return self._single()

    def _single(self) -> EagerBackend:
        parts = self.config.micro_batches
        return EagerBackend(self.models[0], self.objective, self.examples, self.seeds[0], parts, bf16=self.bf16)

    def _in_parts(self) -> EagerBackend:
        """Steps whose memory is what matters: a graph would save time in calls, which large ones do not miss."""
        if len(self.models) > 1:
            raise CaptureError("a batch is taken in parts for one model alone")
        if self.config.compile == "on":
            warnings.warn("training goes on without compilation: batches are taken in parts", Notice, stacklevel=2)
        return self._single()

    def _shared(self) -> GradientBackend:
        from aevb.training.backends.distributed import DistributedBackend  # which takes a second to load

        if len(self.models) > 1:
            raise CaptureError("processes share the training of one model")
        if self.config.ema and self.config.strategy == "fsdp":
            raise BadInput("--train.ema is of whole weights, which processes of fsdp do not have: use ddp")
        if self.config.micro_batches > 1:
            raise BadInput("--train.micro-batches has no meaning for several processes: start more of them")
        settings = (self.seeds[0], self.size, self.config.strategy)
        return DistributedBackend(self.models[0], self.objective, self.examples, *settings, bf16=self.bf16)

    def _changing(self) -> list[Tensor]:
        """What is averaged: the weights, and the statistics of batch normalisation, which belong to them; a step of
        several models has none."""
        buffers = self.models[0].buffers() if len(self.models) == 1 else ()
        return [*self.maker.weights.values(), *(buffer for buffer in buffers if buffer.is_floating_point())]

    def averaged(self) -> AbstractContextManager[None]:
        """The models as they are to be looked at: with their averages, where there are some."""
        return self.averages.shown() if self.averages else nullcontext()

    def begin(self, starts: Sequence[State | None]) -> list[State]:
        """Go to states, or stay before the first epoch; the states it is in then."""
        states = [start for start in starts if start]
        if not states:
            return self.states(0, [None] * len(starts), [Best()] * len(starts))
        self._restore(states)
        return states

    def states(self, number: int, held_out: Sequence[EpochMetrics | None], best: Sequence[Best]) -> list[State]:
        """Copies of the states after an epoch, whose weights are the best ones where they are better than those; the
        models have their weights."""
        states, weights = [], self._copies()
        with self.averaged():
            averages = self._copies() if self.averages else [dict[str, Tensor]() for _ in weights]
        parts = zip(weights, averages, self._moments(), held_out, best, strict=True)
        for own, average, moments, measured, before in parts:
            better = measured is not None and measured.merit > before.merit
            now = Best(number, measured.merit, average or own) if measured and better else before
            states.append(State(number, own, moments, now, averages=average))
        return states

    def _copies(self) -> list[dict[str, Tensor]]:
        return [{name: tensor.clone() for name, tensor in model.state_dict().items()} for model in self.models]

    def held_out(self, states: Sequence[State], valid: Examples | None) -> list[EpochMetrics | None]:
        """The terms on validation examples.

        Raises:
            NonFinite: with the models as they are.
        """
        if not valid:
            return [None] * len(self.models)
        found: list[EpochMetrics | None] = []
        with self.averaged():
            for model, seed, state in zip(self.models, self.seeds, states, strict=True):
                measured = processes.by_the_first(partial(measure, model, self.objective, valid, seed=seed))
                found.append(measured)
                if not math.isfinite(measured.merit):
                    raise NonFinite("the loss on the validation part", state.number + 1, self.steps)
        return found

    def ended(self, states: Sequence[State]) -> Ended | None:
        """How training has ended in these states; None where it has not."""
        if self.config.patience and all(s.number - s.best.number >= self.config.patience for s in states):
            return "early"
        return "finished" if states[0].number >= self.epochs else None

    def release(self) -> None:
        """Leave each model tensors of its own, and the averages where there are some."""
        if self.averages:
            self.averages.put()
        if len(self.models) > 1:
            release(self.models)

    def epoch(self, before: Sequence[State], after_step: AfterStep) -> list[EpochMetrics]:
        """What is left of a pass; undone where it meets a number that is not finite.

        Args:
            before: where it begins.
            after_step: given whether the pass is whole, and what makes states of the place where it is, which are None
                where a number is not finite; says whether to stop.

        Returns:
            The means over the pass; none where it was stopped before it was whole.

        Raises:
            NonFinite: with the models as they were before.
        """
        number, total, made = before[0].number + 1, self._totals(before), _made(before)
        with closing(self._pass(self.maker, before)) as rows:
            for row in rows:
                total += row
                made += 1
                if after_step(made == self.steps, partial(self._here, before, made, total)):
                    break
        if made < self.steps:
            return []
        sums = total.cpu().double()
        if not (_finite(_losses(sums)) and self._finite_weights()):
            self._restore(before)
            tensor, step = self._first_non_finite(before[0]) if len(before) == 1 else ("a loss", self.steps)
            self._restore(before)
            for model in self.models:
                model.eval()
            raise NonFinite(tensor, number, step)
        return [EpochMetrics(*row) for row in (sums / made).tolist()]

    def _finite_weights(self) -> bool:
        """Whether the weights are finite, which the models then have."""
        self.maker.gather()
        return all(_finite(weight) for model in self.models for weight in trainable_parameters(model).values())

    def _totals(self, before: Sequence[State]) -> Tensor:
        """The sums of the terms' means so far, ``(M, 4)``."""
        # A sum: it is finite where every term is, and small tensors that outlive a step would scatter the heap.
        device = self.models[0].device
        sums = [state.within.totals if state.within else torch.zeros(len(Terms._fields)) for state in before]
        return torch.stack(sums).to(device, widest(device))

    def _here(self, before: Sequence[State], made: int, total: Tensor) -> list[State] | None:
        """Copies of the states after some steps of a pass; None where a number is not finite."""
        if not (_finite(total) and self._finite_weights()):
            return None
        now = self.states(before[0].number, [None] * len(before), [state.best for state in before])
        places = zip(total.cpu().double(), self.maker.streams(), strict=True)
        return [
            replace(state, within=EpochPosition(made, sums.clone(), stream))
            for state, (sums, stream) in zip(now, places, strict=True)
        ]

    def _pass(self, maker: GradientBackend, before: Sequence[State]) -> Generator[Tensor]:
        """Steps over the full batches of a fresh permutation, or those that are left of them; for each, the means of
        its terms, ``(M, 4)``."""
        number, first = before[0].number + 1, _made(before)
        with maker.epoch(number, [state.within.stream for state in before if state.within]) as gradients:
            for step in range(first, self.steps):
                done = (number - 1 + step / self.steps) / self.epochs
                rows = self._step(partial(gradients, slice(step * self.size, (step + 1) * self.size)), done)
                if self.averages:
                    self.averages.update((number - 1) * self.steps + step + 1)
                yield rows

    def _step(self, gradients: Callable[[float], Tensor], done: float) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate(done) * group["share"]
        self.optimizer.zero_grad()
        rows = gradients(done)
        if self.config.clip_grad_norm:
            self.maker.clip(self.config.clip_grad_norm)
        if self.config.weight_decay:
            self._decay()
        self.optimizer.step()
        return rows

    @torch.no_grad()
    def _decay(self) -> None:
        """Shrink all parameters, apart from the gradient (Loshchilov & Hutter 2019)."""
        for group in self.optimizer.param_groups:
            torch._foreach_mul_(group["params"], 1 - group["lr"] * self.config.weight_decay)

    def _moments(self) -> list[dict[int, dict[str, Tensor]]]:
        """What the optimizer keeps of each weight, as a copy for each model; they have the count of steps in common."""
        found: list[dict[int, dict[str, Tensor]]] = [{} for _ in self.models]
        for place, weight in enumerate(self.maker.weights.values()):
            for name, tensor in self.optimizer.state.get(weight, {}).items():
                parts = [tensor.clone() for _ in found] if name == STEP else self.maker.split(tensor)
                for moments, part in zip(found, parts, strict=True):
                    moments.setdefault(place, {})[name] = part
        return found

    def _restore(self, states: Sequence[State]) -> None:
        if self.averages:
            self._load([state.averages or state.weights for state in states])
            self.averages.start()
        self._load([state.weights for state in states])
        self.maker.scatter()
        weights, groups = list(self.maker.weights.values()), self.optimizer.state_dict()["param_groups"]
        in_groups = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        numbers = {id(weight): number for number, weight in enumerate(in_groups)}
        kept = {
            numbers[id(weights[place])]: {
                name: tensor.clone()
                if name == STEP
                else self.maker.joined([state.optimizer[place][name] for state in states])
                for name, tensor in sorted(moments.items())
            }
            for place, moments in sorted(states[0].optimizer.items())  # in one order in all processes
        }
        self.optimizer.load_state_dict({"state": kept, "param_groups": groups})

    def _load(self, weights: Sequence[dict[str, Tensor]]) -> None:
        for model, own in zip(self.models, weights, strict=True):
            model.load_state_dict(own)

    def _first_non_finite(self, before: State) -> tuple[str, int]:
        """Make the epoch again, which is the same again, and watch: the first tensor's name and its step."""
        found: list[str] = []
        made, model = _made([before]), self.models[0]

        def watch(name: str, _module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and not _finite(output):
                found.append(f"the output of {name}")

        hooks = [module.register_forward_hook(partial(watch, name)) for name, module in model.named_modules()]
        with closing(self._pass(self._single(), [before])) as rows:
            for row in rows:
                made += 1
                named = list(model.named_parameters())
                gradients = [(f"the gradient of {name}", p.grad) for name, p in named if p.grad is not None]
                tensors = [("the loss", _losses(row)), *gradients, *((f"the weight {name}", p) for name, p in named)]
                found.extend(name for name, tensor in tensors if not _finite(tensor))
                if found:
                    break
        for hook in hooks:
            hook.remove()
        return (found or ["a number"])[0], made


def _made(states: Sequence[State]) -> int:
    """Steps of the next epoch."""
    return states[0].within.step if states[0].within else 0


def _optimizer(weights: Mapping[str, Tensor], config: TrainConfig) -> torch.optim.Optimizer:
    """The optimizer, whose groups have each their share of the learning rate, and weights of one type."""
    if config.eps and config.optimizer == "sgd":
        raise BadInput("--train.eps has no meaning for sgd: leave it out")
    kinds: dict[tuple[float, type], list[Tensor]] = {}
    for name, weight in weights.items():
        share = config.bias_lr_factor if name.endswith("bias") else 1.0
        kinds.setdefault((share, type(weight)), []).append(weight)
    groups = [{"params": group, "share": share} for (share, _), group in kinds.items()]
    options: dict[str, Any] = {"eps": config.eps} if config.eps else {}
    chosen = OPTIMIZERS[config.optimizer]
    if "fused" in chosen.keywords and not {type(weight) for weight in weights.values()} <= {Tensor, nn.Parameter}:
        options["fused"] = False  # PyTorch has no such kernel for weights of which processes have shares
    made: torch.optim.Optimizer = chosen(groups, lr=config.lr, **options)
    return made


@contextmanager
def _threads(
    members: Sequence[TrainingJob], objective: Objective, examples: ExampleSource, config: TrainConfig
) -> Iterator[None]:
    """One thread for steps so small that several would wait for each other; as many as there are for the rest."""
    before, size = torch.get_num_threads(), config.batch_size // config.micro_batches
    if operations(members[0].model, objective, examples, size) * len(members) < PARALLEL_FROM:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def worth_stacking(model: VAE, objective: Objective, examples: ExampleSource, config: TrainConfig) -> bool:
    """Whether several such models are trained faster as one, as far as can be said beforehand."""
    apart = config.patience is not None or config.micro_batches > 1
    return not apart and operations(model, objective, examples, config.batch_size) < STACKED_BELOW


def operations(model: VAE, objective: Objective, examples: ExampleSource, size: int) -> int:
    """Floating-point operations of the matrix products and convolutions of a batch's pass forward."""
    training = model.training
    # With gradients on: the counter fails at a view of a weight, such as a flattened pseudo-input, where they are off.
    with FlopCounterMode(display=False) as counter, seeded(0, RNGStream.EPOCH, device=model.device):
        some = examples.subsample(size)
        model.eval().trace(some.all(), objective.n_samples)
    model.train(training)
    return int(counter.get_total_flops())


def _losses(rows: Tensor) -> Tensor:
    return rows[..., Terms._fields.index("loss")]


def _finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())


@contextmanager
def _interruption() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a flag, and the first SIGTERM where the program handles it; in the main thread."""
    flag = threading.Event()
    handled = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    previous = {each: before for each, before in handled.items() if callable(before)}
    if threading.current_thread() is not threading.main_thread():
        previous = {}

    def restore() -> None:
        for each, before in previous.items():
            signal.signal(each, before)

    def note(*_: object) -> None:
        flag.set()
        if processes.count() == 1:  # those of a job are told more than once
            restore()

    for each in previous:
        signal.signal(each, note)
    try:
        yield flag.is_set
    finally:
        restore()
