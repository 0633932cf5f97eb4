"""Capture of one training step as a graph of tensor operations.

The gradients of a step are a function of the weights, a batch, standard noise, and the completed fraction of training:

    θ, x, ε, t  →  means of the terms over the batch,  ∂/∂θ (mean loss)

In eager mode Python makes some hundred small calls to compute it, which cost more than the arithmetic of a small model.
Capture makes these calls once, over tensors without values, and records them as a graph with the noise as inputs. The
captured step can then be mapped over several models whose weights, batches and noise are stacked along a first axis
(`torch.vmap`), compiled together with the update of the weights (TorchInductor), and on a GPU turned into a CUDA graph.
It gives the same numbers from the same noise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from aevb.models.batch import Batch
from aevb.models.objectives import Objective
from aevb.models.shapes import widest_float
from aevb.models.vae import VAE
from aevb.training.compilation import compiled_graph
from aevb.training.passes import call_directly, simplify
from aevb.training.updates import Update

NOISE_OPERATIONS = (torch.ops.aten.randn.default, torch.ops.aten.rand.default)
"""The random operations that depend on no other value, so that their results can be inputs of the captured step."""


class CaptureError(Exception):
    """A step cannot be captured: the message says why, in one line."""


@dataclass(frozen=True)
class Noise:
    """A noise input of a captured step.

    Attributes:
        normal: standard normal numbers; uniform ones in [0, 1) otherwise.
        shape: of the tensor.
        dtype, device: of the tensor; PyTorch's defaults where None.
    """

    normal: bool
    shape: tuple[int, ...]
    dtype: torch.dtype | None
    device: torch.device | None

    def draw(self, generator: torch.Generator | None = None) -> Tensor:
        """Sample the tensor from a generator; from PyTorch's global one where None."""
        empty = torch.empty(self.shape, dtype=self.dtype, device=self.device)
        return empty.normal_(generator=generator) if self.normal else empty.uniform_(generator=generator)


@dataclass(frozen=True)
class CapturedStep:
    """The gradients of a step, as a function of tensors.

    Attributes:
        run: function of the parameters, the buffers, the batch, the noise and the completed fraction of training. It
            returns the means of the terms ``(4,)`` and a gradient for each trainable parameter. For several models each
            input and output has an additional first axis, apart from the fraction.
        noise: inputs of one model, in the order in which eager mode samples them.
        count: number of stacked models; None for one model without a first axis.
    """

    run: Callable[..., Sequence[Tensor]]
    noise: tuple[Noise, ...]
    count: int | None = None

    def stacked(self, inputs: Sequence[Tensor], count: int) -> "CapturedStep":
        """Return the step of several models.

        Args:
            inputs: of `run` for one model.
            count: number of models.

        Raises:
            CaptureError: an operation cannot be mapped.
        """
        *per_model, progress = inputs
        stacks = [torch.stack([tensor] * count) for tensor in per_model]
        mapped = torch.vmap(self.run, in_dims=(*(0 for _ in per_model), None))
        graph = _traced(mapped, [*stacks, progress])
        simplify(graph)
        return replace(self, run=graph, count=count)

    def with_update(self, update: Update, places: Sequence[int], inputs: Sequence[Tensor]) -> "CapturedStep":
        """Return the step followed by an update of its weights, as one function of tensors.

        Its inputs are what `Update.scales` returns, the numbers of steps, the state slot by slot, and those of `run`.
        It changes the weights, the state and the numbers in place, and returns the means of the terms.

        Args:
            update: of the weights.
            places: of the trainable parameters among the inputs of `run`.
            inputs: of `run`.
        """
        n, slots = len(places), len(update.slots)

        def updated(scales: Tensor, steps: Tensor, *tensors: Tensor) -> list[Tensor]:
            state, given = [tensors[n * slot : n * (slot + 1)] for slot in range(slots)], tensors[n * slots :]
            means, *gradients = self.run(*given)
            update(scales, steps, [given[place] for place in places], gradients, state)
            return [means]

        with torch.no_grad():
            return replace(self, run=_traced(updated, [*self.update_inputs(update, places, inputs), *inputs]))

    def update_inputs(self, update: Update, places: Sequence[int], inputs: Sequence[Tensor]) -> list[Tensor]:
        """Return examples of the inputs that `with_update` adds."""
        state = [torch.zeros_like(inputs[place]) for _ in update.slots for place in places]
        return [update.scales([1.0] * (self.count or 1), 1), torch.zeros(len(places)), *state]

    def called_directly(self) -> "CapturedStep":
        """Return the step, whose operations are called in the fastest way without a compiler."""
        assert isinstance(self.run, fx.GraphModule)
        call_directly(self.run)
        return self

    def compiled(self, inputs: Sequence[Tensor]) -> "CapturedStep":
        """Return the step, compiled for tensors of the shapes and types of these inputs."""
        assert isinstance(self.run, fx.GraphModule)
        return replace(self, run=compiled_graph(self.run, inputs))

    @torch.no_grad()
    def as_cuda_graph(self, state: Sequence[Tensor], inputs: Sequence[Tensor]) -> "CapturedStep":
        """Return the step as one launch of a CUDA graph, which reads parameters and buffers from their present memory.

        Args:
            state: the first inputs of `run`, which must be changed in place only.
            inputs: the other inputs of `run`, as examples.
        """
        buffers = [tensor.clone() for tensor in inputs]
        side_stream = torch.cuda.Stream()
        side_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side_stream):
            self.run(*state, *buffers)  # the first run loads and sets up libraries
        torch.cuda.current_stream().wait_stream(side_stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            means, *gradients = self.run(*state, *buffers)

        def run(*tensors: Tensor) -> Sequence[Tensor]:
            for buffer, tensor in zip(buffers, tensors[len(state) :], strict=True):
                buffer.copy_(tensor)
            graph.replay()
            return [means.clone(), *gradients]  # the next launch overwrites the means; the gradients are used by then

        return replace(self, run=run)


def capture_step(model: VAE, objective: Objective, batch: Batch) -> CapturedStep:
    """Capture the gradients of a step.

    Args:
        model: in training mode.
        objective: minimized.
        batch: an example; every batch must have its shapes.

    Raises:
        CaptureError: the step changes buffers, as batch normalization does; samples random numbers whose distribution
            depends on other values; or reads the value of a tensor.
    """
    names = [name for name, _ in (*model.named_parameters(), *model.named_buffers())]
    trainable = [weight.requires_grad for weight in model.parameters()]
    count = len(trainable)
    step = _Step(model, objective)

    def gradients(*inputs: Tensor) -> list[Tensor]:
        state, rest = inputs[: len(names)], inputs[len(names) :]
        weights = [weight.detach().requires_grad_(one) for weight, one in zip(state[:count], trainable, strict=True)]
        named = {f"model.{name}": tensor for name, tensor in zip(names, (*weights, *state[count:]), strict=True)}
        means = functional_call(step, named, rest)
        differentiated = [weight for weight in weights if weight.requires_grad]
        return [means.detach(), *torch.autograd.grad(means[0], differentiated, materialize_grads=True)]

    graph = _traced(gradients, [*parameters_and_buffers(model), *batch.tensors, progress_tensor(0.5, batch.x.device)])
    noise = _lift_noise(graph)
    _require_pure(graph)
    simplify(graph)
    return CapturedStep(graph, noise)


def is_repeatable(model: nn.Module, objective: Objective) -> bool:
    """Return whether a step certainly runs the same operations each time.

    That holds where there are no hooks, and all modules are of this library, PyTorch, or zuko, which has the layers of
    flows. Other Python code may count its calls or read the clock, and a captured step would repeat what it did once.
    """
    pieces = [objective, *model.modules()]
    familiar = all(type(piece).__module__.startswith(("aevb.", "torch.nn.", "zuko.")) for piece in pieces)
    return familiar and not any(
        hooks for piece in model.modules() for name, hooks in vars(piece).items() if name.endswith("_hooks")
    )


def parameters_and_buffers(model: nn.Module) -> list[Tensor]:
    """Return the parameters, then the buffers: the first inputs of a captured step."""
    return [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]


def progress_tensor(done: float, device: torch.device) -> Tensor:
    """Return the completed fraction of training as the last input of a captured step."""
    # Filled on the device: a copy from the host would wait for the device.
    return torch.full((), done, dtype=widest_float(device), device=device)


class _Step(nn.Module):
    """A step's forward pass as a module, so that `functional_call` can replace its weights."""

    def __init__(self, model: VAE, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the means of the terms, ``(4,)``, from a batch, its condition if any, and the fraction completed."""
        *tensors, done = inputs
        trace = self.model.trace(Batch(*tensors), self.objective.n_samples)
        return torch.stack(self.objective(trace, done)).mean(1)


def _traced(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> fx.GraphModule:
    """Trace a function of tensors into a graph.

    Raises:
        CaptureError: the function reads the value of a tensor, or has an operation that cannot be mapped or
            differentiated.
    """
    try:
        graph = make_fx(function, tracing_mode="fake", _allow_non_fake_inputs=True)(*inputs)
    except Exception as error:  # whatever a user's module does that is impossible without values
        raise CaptureError(str(error).strip().splitlines()[0] if str(error).strip() else repr(error)) from error
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def _lift_noise(module: fx.GraphModule) -> tuple[Noise, ...]:
    """Turn the noise operations into inputs, before the last one."""
    graph, lifted = module.graph, list[Noise]()
    *_, progress = (node for node in graph.nodes if node.op == "placeholder")
    for node in list(graph.nodes):
        if node.target in NOISE_OPERATIONS:
            normal = node.target is NOISE_OPERATIONS[0]
            lifted.append(Noise(normal, tuple(node.args[0]), node.kwargs.get("dtype"), node.kwargs.get("device")))
            with graph.inserting_before(progress):
                placeholder = graph.placeholder(f"noise_{len(lifted)}")
            placeholder.meta = node.meta
            node.replace_all_uses_with(placeholder)
            graph.erase_node(node)
    graph.set_codegen(fx.graph.CodeGen())
    module.recompile()
    return tuple(lifted)


def _require_pure(module: fx.GraphModule) -> None:
    """Check that a graph neither samples random numbers nor changes its inputs."""
    inputs = {node for node in module.graph.nodes if node.op in ("placeholder", "get_attr")}
    for node in module.graph.nodes:
        if not isinstance(node.target, OpOverload):
            continue
        if torch.Tag.nondeterministic_seeded in node.target.tags:
            raise CaptureError(f"it samples random numbers by {node.target}, which depend on other values")
        if inputs.intersection(node.all_input_nodes):
            if node.target._schema.is_mutable or "batch_norm" in str(node.target):
                raise CaptureError(f"it changes its buffers, by {node.target}")
            if node.target.is_view:
                inputs.add(node)
