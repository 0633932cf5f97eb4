"""Search for the first tensor that is not finite."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from functools import partial

from torch import Tensor, nn

from aevb.models.vae import VAE
from aevb.training.backends.base import losses
from aevb.training.state import is_finite


def first_non_finite(model: VAE, steps: Generator[Tensor]) -> tuple[str, int]:
    """Repeat the steps of an epoch in eager mode until a tensor is not finite.

    Args:
        model: trained by the steps.
        steps: yields the means of the terms after each step.

    Returns:
        The name of the tensor, and the number of steps made.
    """
    names: list[str] = []
    count = 0
    with _noting_outputs(model, names), closing(steps):
        for means in steps:
            count += 1
            weights = list(model.named_parameters())
            gradients = [(f"the gradient of {name}", p.grad) for name, p in weights if p.grad is not None]
            tensors = [("the loss", losses(means)), *gradients, *((f"the weight {name}", p) for name, p in weights)]
            names.extend(name for name, tensor in tensors if not is_finite(tensor))
            if names:
                break
    return (names or ["a number"])[0], count


@contextmanager
def _noting_outputs(model: VAE, names: list[str]) -> Iterator[None]:
    """Append the name of each output of a module that is not finite, within a block."""

    def note(name: str, _module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and not is_finite(output):
            names.append(f"the output of {name}")

    hooks = [module.register_forward_hook(partial(note, name)) for name, module in model.named_modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
