"""One step's gradients as a graph of tensor operations.

What a step asks of a model and an objective is a function of weights, a batch, standard draws, and the share of
training that is done:

    θ, x, ε, t  →  means of the terms over the batch,  ∂/∂θ (mean loss)

Python makes some hundred small calls to find it, which cost more than the arithmetic of a small model. Here they are
made once, over tensors without values, and written down with the draws as inputs. The graph can then be mapped over
several models whose weights, batches and draws lie one behind the other along a first axis (`torch.vmap`), compiled
(TorchInductor), and on a GPU captured (a CUDA graph), and gives the same numbers from the same draws.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from aevb.models.batch import Batch
from aevb.models.objectives import Objective
from aevb.models.vae import VAE
from aevb.training.passes import simplify

DRAWS = (torch.ops.aten.randn.default, torch.ops.aten.rand.default)
"""The draws that depend on nothing, and can be made before the graph runs."""


class CaptureError(Exception):
    """A step cannot be written down: its message says why, in one line."""


@dataclass(frozen=True)
class Draw:
    """Random numbers that a step wants."""

    operation: Callable[..., Tensor]
    shape: tuple[int, ...]
    options: dict[str, Any]

    def __call__(self, generator: torch.Generator | None = None) -> Tensor:
        """Made by a generator, or by PyTorch's global one."""
        drawn = torch.empty(self.shape, **self.options)
        return drawn.normal_(generator=generator) if self.operation is DRAWS[0] else drawn.uniform_(generator=generator)


@dataclass(frozen=True)
class Graph:
    """A step's gradients.

    Attributes:
        run: weights, buffers, batch, draws, share done, as so many tensors, to the means of the terms ``(4,)`` and a
            gradient for each weight that wants one; of several models each has a first axis more, apart from the share.
        draws: what one model wants, in the order in which Python would make them.
        count: how many models; None: one, without a first axis.
    """

    run: Callable[..., Sequence[Tensor]]
    draws: tuple[Draw, ...]
    count: int | None = None

    def stacked(self, inputs: Sequence[Tensor], count: int) -> "Graph":
        """The same for several models.

        Args:
            inputs: of `run` for one model.
            count: how many.

        Raises:
            CaptureError: an operation cannot be mapped.
        """
        *own, share = inputs
        together = [torch.stack([tensor] * count) for tensor in own]
        mapped = torch.vmap(self.run, in_dims=(*(0 for _ in own), None))
        written = _written(mapped, [*together, share])
        simplify(written)
        return replace(self, run=written, count=count)

    def compiled(self) -> "Graph":
        """The same, compiled when it is first run."""
        return replace(self, run=torch.compile(self.run, fullgraph=True, dynamic=False))

    @torch.no_grad()
    def captured(self, state: Sequence[Tensor], others: Sequence[Tensor]) -> "Graph":
        """The same as one launch, a CUDA graph, which reads weights and buffers where they lie now.

        Args:
            state: the first inputs of `run`, which are to be changed in place alone.
            others: the inputs behind them, as examples.
        """
        places = [tensor.clone() for tensor in others]
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            self.run(*state, *places)  # libraries are loaded and set up by a first run
        torch.cuda.current_stream().wait_stream(aside)
        launch = torch.cuda.CUDAGraph()
        with torch.cuda.graph(launch):
            row, *gradients = self.run(*state, *places)

        def run(*inputs: Tensor) -> Sequence[Tensor]:
            for place, tensor in zip(places, inputs[len(state) :], strict=True):
                place.copy_(tensor)
            launch.replay()
            return [row.clone(), *gradients]  # the next launch writes over the row, when the gradients are used

        return replace(self, run=run)


def trace(model: VAE, objective: Objective, batch: Batch) -> Graph:
    """Write a step down.

    Args:
        model: in training mode.
        objective: what is minimised.
        batch: an example of a batch; every batch must have its shapes.

    Raises:
        CaptureError: it changes buffers, as batch normalisation does; makes draws that depend on other values; or asks
            for the value of a tensor.
    """
    names = [name for name, _ in (*model.named_parameters(), *model.named_buffers())]
    learns = [weight.requires_grad for weight in model.parameters()]
    count = len(learns)
    step = _Step(model, objective)

    def gradients(*inputs: Tensor) -> list[Tensor]:
        state, rest = inputs[: len(names)], inputs[len(names) :]
        weights = [weight.detach().requires_grad_(one) for weight, one in zip(state[:count], learns, strict=True)]
        named = {f"model.{name}": tensor for name, tensor in zip(names, (*weights, *state[count:]), strict=True)}
        row = functional_call(step, named, rest)
        learnt = [weight for weight in weights if weight.requires_grad]
        return [row.detach(), *torch.autograd.grad(row[0], learnt, materialize_grads=True)]

    written = _written(gradients, [*state_of(model), *batch.tensors, share_done(0.5, batch.x.device)])
    draws = _lifted(written)
    _require_pure(written)
    simplify(written)
    return Graph(written, draws)


def constant_in_time(model: nn.Module, objective: Objective) -> bool:
    """Whether a step does the same each time, as far as can be seen: no hooks, and pieces of this library and PyTorch's
    alone. Python code of others may count or look at the clock, and a graph would keep what it did once."""
    pieces = [objective, *model.modules()]
    known = all(type(piece).__module__.startswith(("aevb.", "torch.nn.")) for piece in pieces)
    return known and not any(
        hooks for piece in model.modules() for name, hooks in vars(piece).items() if name.endswith("_hooks")
    )


def state_of(model: nn.Module) -> list[Tensor]:
    """Weights, then buffers: the first inputs of a graph."""
    return [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]


def share_done(done: float, device: torch.device) -> Tensor:
    """The last input of a graph."""
    # Filled there: a copy from the host would wait for the device.
    return torch.full((), done, dtype=widest(device), device=device)


def widest(device: torch.device) -> torch.dtype:
    """The widest floats of a device."""
    return torch.float32 if device.type == "mps" else torch.float64


class _Step(nn.Module):
    """What a step asks, as a module, whose weights can be given from outside."""

    def __init__(self, model: VAE, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, *inputs: Tensor) -> Tensor:
        """The means of the terms, ``(4,)``, of a batch, its condition if there is one, and the share done."""
        *tensors, done = inputs
        trace = self.model.trace(Batch(*tensors), self.objective.n_samples)
        return torch.stack(self.objective(trace, done)).mean(1)


def _written(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> fx.GraphModule:
    """A function of tensors as a graph of what it does with them.

    Raises:
        CaptureError: it asks for the value of a tensor, or has an operation that cannot be mapped or differentiated.
    """
    try:
        written = make_fx(function, tracing_mode="fake", _allow_non_fake_inputs=True)(*inputs)
    except Exception as error:  # whatever a user's module does that cannot be done without values
        raise CaptureError(str(error).strip().splitlines()[0] if str(error).strip() else repr(error)) from error
    written.graph.eliminate_dead_code()
    written.recompile()
    return written


def _lifted(written: fx.GraphModule) -> tuple[Draw, ...]:
    """Turn the draws into inputs, before the last one."""
    graph, draws = written.graph, list[Draw]()
    *_, share = (node for node in graph.nodes if node.op == "placeholder")
    for node in list(graph.nodes):
        if node.target in DRAWS:
            options = {name: node.kwargs[name] for name in ("dtype", "device") if name in node.kwargs}
            draws.append(Draw(node.target, tuple(node.args[0]), options))
            with graph.inserting_before(share):
                drawn = graph.placeholder(f"draw_{len(draws)}")
            drawn.meta = node.meta
            node.replace_all_uses_with(drawn)
            graph.erase_node(node)
    graph.set_codegen(fx.graph.CodeGen())
    written.recompile()
    return tuple(draws)


def _require_pure(written: fx.GraphModule) -> None:
    """Refuse a graph that draws, or that changes its inputs."""
    inputs = {node for node in written.graph.nodes if node.op in ("placeholder", "get_attr")}
    for node in written.graph.nodes:
        if not isinstance(node.target, torch._ops.OpOverload):
            continue
        if torch.Tag.nondeterministic_seeded in node.target.tags:
            raise CaptureError(f"it draws random numbers by {node.target}, which depend on other values")
        if inputs.intersection(node.all_input_nodes):
            if node.target._schema.is_mutable or "batch_norm" in str(node.target):
                raise CaptureError(f"it changes its buffers, by {node.target}")
            if node.target.is_view:
                inputs.add(node)
