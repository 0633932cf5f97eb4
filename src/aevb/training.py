"""The one training loop: it knows examples and the terms of a trace, not what the model is made of.

A run is a function of (configuration, data, seed). Every epoch draws its permutation and its noise from the stream of
(seed, epoch), so that it is the same whatever happened before: a run that was cut off goes on from the `State` of its
last whole epoch, and on the same CPU ends as it would have without, bit for bit. The data stay on the device as one
tensor and a batch is one gather; an epoch is as many full batches as there are, and which examples are left over
differs each time. Nothing is read back from the device before the end of an epoch. The learning rate is constant, then
falls linearly to zero.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from aevb.config import TrainConfig
from aevb.data.dataset import Examples
from aevb.errors import BadInput, NonFinite
from aevb.model import VAE
from aevb.objectives import Objective, Terms
from aevb.randomness import Purpose, seeded

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": partial(torch.optim.Adam, fused=True),
    "rmsprop": partial(torch.optim.RMSprop, alpha=0.9),  # as Tieleman & Hinton 2012; PyTorch's default is 0.99
    "adagrad": partial(torch.optim.Adagrad, fused=True),
    "sgd": partial(torch.optim.SGD, momentum=0.9, fused=True),
}

Ended = Literal["finished", "early", "interrupted"]


@dataclass(frozen=True)
class Means:
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
    train: Means
    valid: Means | None


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
class State:
    """What training goes on from after a whole epoch, beside the configuration, the data and the seed.

    Its tensors are its own: training does not change them.

    Attributes:
        number: of the epoch; 0 before the first.
        weights: of the model, with its buffers, by name.
        optimizer: the tensors of each parameter, by name; parameters by their place in the optimizer.
        best: which may be these very weights.
    """

    number: int
    weights: dict[str, Tensor]
    optimizer: dict[int, dict[str, Tensor]]
    best: Best


def fit(
    model: VAE,
    objective: Objective,
    train: Examples,
    valid: Examples | None = None,
    config: TrainConfig | None = None,
    *,
    seed: int = 0,
    start: State | None = None,
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
        seed: of the order of batches and of the noise.
        start: what to go on from, with the same configuration, data and seed; the model as it is where None.
        on_step, on_epoch: called after each.
        on_state: called after each epoch, after `on_epoch`; what it is given may be kept.

    Raises:
        BadInput: patience without a validation part, or batch normalisation of single examples.
        NonFinite: a loss or a weight became infinite or NaN.
    """
    config = config or TrainConfig()
    _require(model, config, train, valid)
    device = model.device
    train, valid = train.to(device), valid and valid.to(device)
    loop, epochs = _Loop(model.train(), objective, train, config, seed), list[Epoch]()
    state = loop.begin(start)
    with _interruption() as interrupted:

        def stop() -> bool:
            if on_step:
                on_step()
            return interrupted()

        while not (ended := loop.ended(state)):
            started = time.perf_counter()
            means = loop.epoch(state, stop)
            if interrupted():
                ended = "interrupted"
                break
            seconds = time.perf_counter() - started
            held_out = measure(model, objective, valid, seed=seed) if valid else None
            if held_out and not math.isfinite(held_out.merit):
                raise NonFinite("the loss on the validation part", state.number + 1, loop.steps)
            state = loop.state(state.number + 1, held_out, state.best)
            epochs.append(Epoch(state.number, seconds, means, held_out))
            if on_epoch:
                on_epoch(epochs[-1])
            if on_state:
                on_state(state)
    best = config.keep == "best" and state.best.number > 0
    if best:
        model.load_state_dict(state.best.weights)
    model.eval()
    return History(epochs, state.best.number if best else state.number, ended)


@torch.no_grad()
def measure(model: VAE, objective: Objective, examples: Examples, *, seed: int = 0, decodings: int = 1000) -> Means:
    """The objective's terms on held-out examples, in evaluation mode and with the same noise at every call.

    Args:
        model, objective, examples: what is measured.
        seed: of the draws.
        decodings: how many points are decoded at once.
    """
    training = model.training
    model.eval()
    with seeded(seed, Purpose.VALIDATION, device=examples.values.device):
        batches = examples.batches(max(1, decodings // objective.samples))
        sums = [_row(objective(model.trace(x, objective.samples))) * len(x) for x in batches]
    model.train(training)
    return Means(*(torch.stack(sums).cpu().double().sum(0) / len(examples)).tolist())


def _require(model: VAE, config: TrainConfig, train: Examples, valid: Examples | None) -> None:
    if config.patience and valid is None:
        raise BadInput("patience needs validation examples to judge by: give fit(valid=...) or leave patience out")
    if min(config.batch_size, len(train)) == 1 and any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules()):
        raise BadInput("batch normalisation needs batches of two examples or more: use a larger --train.batch-size")


class _Loop:
    """The training of one model: a step, an epoch of steps, and the undoing of an epoch that went wrong."""

    def __init__(self, model: VAE, objective: Objective, examples: Examples, config: TrainConfig, seed: int) -> None:
        self.model, self.objective, self.examples, self.config, self.seed = model, objective, examples, config, seed
        self.optimizer = _optimizer(model, config)
        self.epochs, self.steps = config.plan(len(examples))

    def begin(self, start: State | None) -> State:
        """Go to a state, or stay before the first epoch; the state it is in then."""
        if start:
            self._restore(start)
        return start or self.state(0, None, Best())

    def state(self, number: int, held_out: Means | None, best: Best) -> State:
        """A copy of the state after an epoch, whose weights are the best ones where they are better than those."""
        weights = deepcopy(self.model.state_dict())
        if held_out and held_out.merit > best.merit:
            best = Best(number, held_out.merit, weights)
        return State(number, weights, deepcopy(self.optimizer.state_dict()["state"]), best)

    def ended(self, state: State) -> Ended | None:
        """How training has ended in this state; None where it has not."""
        if self.config.patience and state.number - state.best.number >= self.config.patience:
            return "early"
        return "finished" if state.number >= self.epochs else None

    def epoch(self, before: State, stop: Callable[[], bool]) -> Means:
        """One pass, ended early where `stop` says so after a step; undone where it meets a number that is not finite.

        Raises:
            NonFinite: with the model as it was before.
        """
        number = before.number + 1
        rows = torch.stack(list(self._pass(number, stop))).cpu().double()
        if not (_finite(_losses(rows)) and all(map(_finite, self.model.parameters()))):
            self._restore(before)
            tensor, step = self._first_non_finite(number)
            self._restore(before)
            self.model.eval()
            raise NonFinite(tensor, number, step)
        return Means(*rows.mean(0).tolist())

    def _pass(self, number: int, stop: Callable[[], bool]) -> Iterator[Tensor]:
        """Steps over the full batches of a fresh permutation; for each, the means of its terms, ``(4,)``."""
        size, device = min(self.config.batch_size, len(self.examples)), self.examples.values.device
        with seeded(self.seed, Purpose.EPOCH, number, device=device):
            order = torch.randperm(len(self.examples), device=device)
            for step in range(self.steps):
                done = (number - 1 + step / self.steps) / self.epochs
                yield self._step(self.examples.batch(order[step * size : (step + 1) * size]), done)
                if stop():
                    break

    def _step(self, x: Tensor, done: float) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate(done) * group["share"]
        self.optimizer.zero_grad()
        terms = self.objective(self.model.trace(x, self.objective.samples), done)
        terms.loss.mean().backward()
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        if self.config.weight_decay:
            self._decay()
        self.optimizer.step()
        return _row(terms)

    @torch.no_grad()
    def _decay(self) -> None:
        """Shrink all parameters, apart from the gradient (Loshchilov & Hutter 2019)."""
        for group in self.optimizer.param_groups:
            torch._foreach_mul_(group["params"], 1 - group["lr"] * self.config.weight_decay)

    def _restore(self, state: State) -> None:
        self.model.load_state_dict(state.weights)
        groups = self.optimizer.state_dict()["param_groups"]
        # PyTorch takes over the tensors themselves, and its steps would change them.
        self.optimizer.load_state_dict(deepcopy({"state": state.optimizer, "param_groups": groups}))

    def _first_non_finite(self, number: int) -> tuple[str, int]:
        """Make the epoch again, which is the same again, and watch: the first tensor's name and its step."""
        found: list[str] = []
        made = 0

        def watch(name: str, _module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and not _finite(output):
                found.append(f"the output of {name}")

        hooks = [module.register_forward_hook(partial(watch, name)) for name, module in self.model.named_modules()]
        for row in self._pass(number, lambda: bool(found)):
            made += 1
            named = list(self.model.named_parameters())
            gradients = [(f"the gradient of {name}", p.grad) for name, p in named if p.grad is not None]
            tensors = [("the loss", _losses(row)), *gradients, *((f"the weight {name}", p) for name, p in named)]
            found.extend(name for name, tensor in tensors if not _finite(tensor))
        for hook in hooks:
            hook.remove()
        return (found or ["a number"])[0], made


def _optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimizer, whose groups have each their share of the learning rate."""
    if config.epsilon and config.optimizer == "sgd":
        raise BadInput("--train.epsilon has no meaning for sgd: leave it out")
    named = list(model.named_parameters())
    biases = [parameter for name, parameter in named if name.endswith("bias")]
    others = [parameter for name, parameter in named if not name.endswith("bias")]
    groups = [{"params": others, "share": 1.0}, {"params": biases, "share": config.bias_lr}]
    options = {"eps": config.epsilon} if config.epsilon else {}
    return OPTIMIZERS[config.optimizer]([group for group in groups if group["params"]], lr=config.lr, **options)


def _row(terms: Terms) -> Tensor:
    """The means over a batch, ``(4,)``, left on the device."""
    return torch.stack(terms).detach().mean(1)


def _losses(rows: Tensor) -> Tensor:
    return rows[..., Terms._fields.index("loss")]


def _finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())


@contextmanager
def _interruption() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a flag, where this is possible: in the main thread."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag.is_set
        return
    previous = signal.getsignal(signal.SIGINT)
    if previous is signal.SIG_IGN:
        yield flag.is_set
        return

    def note(*_: object) -> None:
        flag.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, note)
    try:
        yield flag.is_set
    finally:
        signal.signal(signal.SIGINT, previous)
