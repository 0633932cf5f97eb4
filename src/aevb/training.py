"""The one training loop: it knows examples and the terms of a trace, not what the model is made of.

A run is a function of (configuration, data, seed). Every epoch draws its permutation and its noise from the stream of
(seed, epoch), so that it is the same whatever happened before. The data stay on the device as one tensor and a batch is
one gather; an epoch is as many full batches as there are, and which examples are left over differs each time. Nothing
is read back from the device before the end of an epoch. The learning rate is constant, then falls linearly to zero.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from aevb.config import TrainConfig
from aevb.data.dataset import Examples
from aevb.errors import BadInput
from aevb.model import VAE
from aevb.objectives import Objective, Terms

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": partial(torch.optim.Adam, fused=True),
    "rmsprop": torch.optim.RMSprop,
    "adagrad": partial(torch.optim.Adagrad, fused=True),
    "sgd": partial(torch.optim.SGD, momentum=0.9, fused=True),
}

Step = Callable[[Tensor, float], Tensor]
"""A batch and a learning rate to the means of the terms, ``(4,)``."""


@dataclass(frozen=True)
class Means:
    """Means over examples of an objective's terms, in nats."""

    loss: float
    bound: float
    rate: float
    distortion: float


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
    """The epochs of a run, and how it ended.

    Attributes:
        epochs: in order.
        kept: the epoch whose weights the model was left with; 0 for the initial ones.
        ended: "finished", "early" (the patience ran out) or "interrupted" (Ctrl-C; where the last weights are kept,
            they have the steps made since the last whole epoch).
    """

    epochs: list[Epoch] = field(default_factory=list)
    kept: int = 0
    ended: Literal["finished", "early", "interrupted"] = "finished"


class NonFinite(ArithmeticError):
    """Training met a number that is not finite. The model was given back the weights of the last whole epoch.

    Attributes:
        history: up to that epoch.
    """

    def __init__(self, tensor: str, epoch: int, step: int, history: History) -> None:
        super().__init__(
            f"{tensor} is not finite at step {step} of epoch {epoch}: try a smaller --train.lr or"
            " --train.clip-norm 100, and look for extreme values in the data"
        )
        self.history = history


def fit(
    model: VAE,
    objective: Objective,
    train: Examples,
    valid: Examples | None = None,
    config: TrainConfig | None = None,
    *,
    seed: int = 0,
    on_step: Callable[[], object] | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
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
        on_step, on_epoch: called after each.

    Raises:
        BadInput: patience without a validation part, or batch normalisation of single examples.
        NonFinite: a loss or a weight became infinite or NaN.
    """
    config = config or TrainConfig()
    _require(model, config, valid)
    model.train()
    device = next(model.parameters()).device
    train, valid = train.to(device), valid and valid.to(device)
    optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.lr)
    step = partial(_step, model, objective, optimizer, config.clip_norm)
    epochs, steps = config.plan(len(train))
    history, best = History(), _Best()
    with _interruption() as interrupted:
        for number in range(1, epochs + 1):
            rates = [config.rate(((number - 1) * steps + i) / (epochs * steps)) for i in range(steps)]
            run = partial(_epoch, examples=train, batch_size=config.batch_size, rates=rates, stream=(seed, number))
            before = deepcopy((model.state_dict(), optimizer.state_dict()))
            started = time.perf_counter()
            rows = run(step, until=lambda: (on_step() if on_step else None, interrupted())[1])
            if not (rows.isfinite().all() and _finite(model.parameters())):
                raise _diagnosis(model, optimizer, before, run, step, number, history)
            if interrupted():
                history.ended = "interrupted"
                break
            seconds = time.perf_counter() - started
            means = measure(model, objective, valid, seed=seed) if valid else None
            history.epochs.append(Epoch(number, seconds, Means(*rows.mean(0).tolist()), means))
            history.kept = number
            if on_epoch:
                on_epoch(history.epochs[-1])
            if means and best.stale_for(means, number, model) == config.patience:
                history.ended = "early"
                break
    if config.keep == "best" and best.weights:
        model.load_state_dict(best.weights)
        history.kept = best.number
    model.eval()
    return history


@torch.no_grad()
def measure(model: VAE, objective: Objective, examples: Examples, *, seed: int = 0, batch_size: int = 1000) -> Means:
    """The objective's terms on held-out examples, in evaluation mode and with the same noise at every call."""
    training = model.training
    model.eval()
    with seeded(seed, 0, device=examples.values.device):
        batches = (examples.batch(slice(i, i + batch_size)) for i in range(0, len(examples), batch_size))
        sums = [_row(objective(model.trace(x, objective.samples))) * len(x) for x in batches]
    model.train(training)
    return Means(*(torch.stack(sums).cpu().double().sum(0) / len(examples)).tolist())


@contextmanager
def seeded(*stream: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Make PyTorch's global generator a function of `stream` for a while, then give it back as it was."""
    device = torch.device(device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence(stream).generate_state(1, np.uint64)[0]))
        yield


def _require(model: VAE, config: TrainConfig, valid: Examples | None) -> None:
    if config.patience and valid is None:
        raise BadInput("patience needs validation examples to judge by: give fit(valid=...) or leave patience out")
    if config.batch_size == 1 and any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules()):
        raise BadInput("batch normalisation needs batches of two examples or more: use a larger --train.batch-size")


def _step(
    model: VAE, objective: Objective, optimizer: torch.optim.Optimizer, clip: float | None, x: Tensor, rate: float
) -> Tensor:
    optimizer.param_groups[0]["lr"] = rate
    optimizer.zero_grad()
    terms = objective(model.trace(x, objective.samples))
    terms.loss.mean().backward()
    if clip:
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return _row(terms)


def _row(terms: Terms) -> Tensor:
    """The means over a batch, ``(4,)``, left on the device."""
    return torch.stack(terms).detach().mean(1)


def _epoch(
    step: Step,
    until: Callable[[], bool],
    examples: Examples,
    batch_size: int,
    rates: list[float],
    stream: tuple[int, int],
) -> Tensor:
    """One pass over the full batches of a fresh permutation: a row of means for each step, ``(steps, 4)``."""
    size, device, rows = min(batch_size, len(examples)), examples.values.device, []
    with seeded(*stream, device=device):
        order = torch.randperm(len(examples), device=device)
        for rate, index in zip(rates, order.split(size), strict=False):
            rows.append(step(examples.batch(index), rate))
            if until():
                break
    return torch.stack(rows).cpu().double()


def _finite(tensors: Any) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


class _Best:
    """The weights with the best validation bound so far."""

    def __init__(self) -> None:
        self.bound, self.number = float("-inf"), 0
        self.weights: dict[str, Tensor] = {}

    def stale_for(self, means: Means, number: int, model: VAE) -> int:
        """Take the weights if they are the best yet; how many epochs ago the best ones were."""
        if means.bound > self.bound:
            self.bound, self.number, self.weights = means.bound, number, deepcopy(model.state_dict())
        return number - self.number


@contextmanager
def _interruption() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a flag, where this is possible: in the main thread."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag.is_set
        return
    previous = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        flag.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, note)
    try:
        yield flag.is_set
    finally:
        signal.signal(signal.SIGINT, previous)


def _diagnosis(
    model: VAE,
    optimizer: torch.optim.Optimizer,
    before: tuple[dict[str, Any], dict[str, Any]],
    run: Callable[..., Tensor],
    step: Step,
    number: int,
    history: History,
) -> NonFinite:
    """Replay the epoch, which is the same again, until the first tensor that is not finite; leave the model as it was
    before."""

    def restore() -> None:
        model.load_state_dict(before[0])
        optimizer.load_state_dict(before[1])

    found: list[str] = []
    steps = 0

    def watched(x: Tensor, rate: float) -> Tensor:
        nonlocal steps
        steps += 1
        row = step(x, rate)
        grads = ((f"the gradient of {n}", p.grad) for n, p in model.named_parameters() if p.grad is not None)
        weights = ((f"the weight {n}", p) for n, p in model.named_parameters())
        found.extend(n for n, t in [("the loss", row), *grads, *weights] if not _finite([t]))
        return row

    def hook(name: str, _module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and not _finite([output]):
            found.append(f"the output of {name}")

    restore()
    hooks = [m.register_forward_hook(partial(hook, n)) for n, m in model.named_modules()]
    run(watched, until=lambda: bool(found))
    for handle in hooks:
        handle.remove()
    restore()
    model.eval()
    return NonFinite(found[0] if found else "a number", number, steps, history)
