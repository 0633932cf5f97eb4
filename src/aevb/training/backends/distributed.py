"""Gradients of one model from several processes, which `torchrun` starts on one machine or many.

Each process holds the whole model, or with FSDP a shard of its weights between steps, and takes its share of every
batch of B examples. Of the N processes, r has b_r of them; the gradient is that of the mean over the batch,

    ∇ = 1/N Σ_r ∇_r,    ∇_r = ∇ N/B Σ_i ℓ_i over the b_r examples i of its share

because PyTorch's DDP and FSDP2 average over processes. All processes go through the same order and sample the same
noise, for the whole batch, from the stream of (seed, epoch), and each keeps its share. The numbers are therefore those
of one process up to the rounding of sums, for every N. Only where a step cannot be captured, as with batch
normalization or dropout, does each process sample noise of its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from aevb.data.examples import ExampleSource
from aevb.errors import BadInput, option
from aevb.models.batch import Batch
from aevb.models.objectives import Objective
from aevb.models.vae import VAE
from aevb.rng import RNGStream, generator, seeded
from aevb.training.backends.base import Gradients, losses, split_rows, trainable_parameters
from aevb.training.capture import NOISE_OPERATIONS, CaptureError, Noise, capture_step
from aevb.training.environment import naming_lost_processes, world_size
from aevb.training.precision import in_bfloat16

Strategy = Literal["ddp", "fsdp"]


class DistributedBackend:
    """The gradients of one model, from all processes of a job.

    Args:
        model: in training mode, the same in all processes.
        objective: minimized.
        examples: to learn from.
        seed: of the order of the examples and of the noise.
        batch_size: B.
        strategy: "fsdp" shards the weights, too.
        bf16: whether the networks run in bfloat16 (`aevb.training.precision`).

    Raises:
        BadInput: a batch has fewer examples than there are processes.
    """

    def __init__(
        self,
        model: VAE,
        objective: Objective,
        examples: ExampleSource,
        seed: int,
        batch_size: int,
        strategy: Strategy,
        *,
        bf16: bool = False,
    ) -> None:
        count = world_size()
        if batch_size < count:
            raise BadInput(
                f"batches of {batch_size} cannot be shared by {count} processes: use a larger"
                f" {option('train.batch-size')}"
            )
        self.models: Sequence[VAE] = [model]
        self._examples = examples
        self._share = split_rows(slice(0, batch_size), count)[dist.get_rank()]
        self._noise = _SharedNoise(model, objective, examples, seed, batch_size, self._share)
        self._trained = model if strategy == "ddp" else deepcopy(model)
        step = _Step(in_bfloat16(self._trained) if bf16 else self._trained, objective, count / batch_size)
        # FSDP shards no scalars: each process has them.
        self._scalars = [weight for weight in step.parameters() if strategy == "fsdp" and not weight.dim()]
        self._mesh = init_device_mesh(model.device.type, (count,)) if strategy == "fsdp" else None
        self._step = _wrapped(step, self._mesh, self._scalars, examples)
        self._seed = seed
        self.weights = trainable_parameters(self._trained)

    @contextmanager
    def epoch(self, number: int, rng_states: Sequence[Tensor] = ()) -> Iterator[Gradients]:
        stream = generator(self._seed, RNGStream.EPOCH, number, device=self._examples.device)
        shuffled = self._examples.shuffled(stream)
        for state in rng_states:
            stream.set_state(state)
        self._generator = stream

        def gradients(rows: slice, done: float) -> Tensor:
            share = slice(rows.start + self._share.start, rows.start + self._share.stop)
            resampled = self._examples.resampled
            batch = shuffled.batch(rows, stream)[self._share] if resampled else shuffled.batch(share)
            with naming_lost_processes(), self._noise.of_step(number, share, stream):
                terms = self._step(done, *batch.tensors)
                losses(terms).backward()
                scalar_gradients = [weight.grad for weight in self._scalars if weight.grad is not None]
                sums: list[Tensor] = [terms.detach(), *scalar_gradients]
                for tensor in sums:
                    dist.all_reduce(tensor)
                    tensor.div_(world_size())
            return sums[0].unsqueeze(0)

        yield gradients

    def rng_states(self) -> list[Tensor]:
        return [self._generator.get_state()]

    def clip_gradients(self, max_norm: float) -> None:
        gradients = [weight.grad for weight in self.weights.values() if weight.grad is not None]
        groups = [[grad for grad in gradients if isinstance(grad, DTensor) is sharded] for sharded in (True, False)]
        with naming_lost_processes():
            norms = [_full(nn.utils.get_total_norm(group)) for group in groups if group]
        factor = (max_norm / (torch.stack(norms).norm() + 1e-6)).clamp(max=1.0)  # as PyTorch computes it
        for gradient in gradients:
            (gradient.to_local() if isinstance(gradient, DTensor) else gradient).mul_(factor)

    def split_models(self, tensor: Tensor) -> list[Tensor]:
        with naming_lost_processes():
            return [_full(tensor).clone()]

    def join_models(self, tensors: Sequence[Tensor]) -> Tensor:
        (tensor,) = tensors
        if self._mesh is None or not tensor.dim():
            return tensor.clone()
        return distribute_tensor(tensor, self._mesh, [Shard(0)])

    def gather_weights(self) -> None:
        if self._trained is not self.models[0]:
            with naming_lost_processes():
                weights = get_model_state_dict(self._trained, options=StateDictOptions(full_state_dict=True))
            self.models[0].load_state_dict(weights)

    def scatter_weights(self) -> None:
        if self._trained is not self.models[0]:
            weights = self.models[0].state_dict()
            set_model_state_dict(self._trained, weights, options=StateDictOptions(full_state_dict=True))


class _SharedNoise:
    """The noise of a step, the same in all processes, each of which takes its share.

    Args:
        model, objective, examples, seed, batch_size: as in `DistributedBackend`.
        share: the rows of a batch that this process takes.
    """

    def __init__(
        self, model: VAE, objective: Objective, examples: ExampleSource, seed: int, batch_size: int, share: slice
    ) -> None:
        self._seed, self._device, self._share = seed, examples.device, share
        self._width = share.stop - share.start
        self._inputs = self._planned(model, objective, examples, batch_size)

    def of_step(self, number: int, rows: slice, stream: torch.Generator) -> AbstractContextManager[object]:
        """Return the context in which the step samples its noise.

        Args:
            number: of the epoch.
            rows: of this process, in the order of the epoch.
            stream: shared by the processes.
        """
        if self._inputs is None:
            return seeded(self._seed, RNGStream.EPOCH, number, rows.start, device=self._device)
        shares = [noise.draw(stream).narrow(axis, self._share.start, self._width) for noise, axis in self._inputs]
        return _Replay(shares) if shares else nullcontext()

    def _planned(
        self, model: VAE, objective: Objective, examples: ExampleSource, batch_size: int
    ) -> list[tuple[Noise, int]] | None:
        """Return the noise of a batch and the axis along which to split it; None where a step cannot be captured."""
        fewer = min(self._width, batch_size - 1)  # a single process takes the whole batch
        try:
            whole, part = (
                capture_step(model, objective, _example_batch(examples, size)).noise for size in (batch_size, fewer)
            )
        except CaptureError:
            return None
        planned = []
        for noise, smaller in zip(whole, part, strict=True):
            sizes = list(zip(noise.shape, smaller.shape, strict=True))
            axes = [axis for axis, (size, other) in enumerate(sizes) if size != other]
            if len(axes) != 1 or sizes[axes[0]] != (batch_size, fewer):
                return None
            planned.append((noise, axes[0]))
        return planned


class _Step(nn.Module):
    """A step's forward pass as the module that DDP or FSDP wraps."""

    def __init__(self, model: VAE, objective: Objective, weight: float) -> None:
        super().__init__()
        self.model, self.objective, self.weight = model, objective, weight

    def forward(self, done: float, *tensors: Tensor) -> Tensor:
        """Return the weighted sums of the terms over a batch, ``(4,)``."""
        terms = self.objective(self.model.trace(Batch(*tensors), self.objective.n_samples), done)
        return torch.stack(terms).sum(1) * self.weight


class _Replay(TorchDispatchMode):
    """Context in which noise operations return prepared tensors, in their order."""

    def __init__(self, noise: Sequence[Tensor]) -> None:
        super().__init__()
        self.noise = iter(noise)

    def __torch_dispatch__(
        self,
        operation: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        return next(self.noise) if operation in NOISE_OPERATIONS else operation(*args, **kwargs or {})


def _wrapped(
    step: _Step, mesh: DeviceMesh | None, scalars: Sequence[nn.Parameter], examples: ExampleSource
) -> nn.Module:
    if mesh is None:
        return DistributedDataParallel(step, find_unused_parameters=_has_unused_weights(step, examples))
    fully_shard(step, mesh=mesh, ignored_params=set(scalars))
    return step


def _has_unused_weights(step: _Step, examples: ExampleSource) -> bool:
    """Return whether the loss does not depend on some trainable weight."""
    with seeded(0, RNGStream.EPOCH, device=examples.device):
        loss = losses(step.eval()(0.5, *_example_batch(examples, 2).tensors))
    step.train()
    gradients = torch.autograd.grad(loss, list(trainable_parameters(step).values()), allow_unused=True)
    return any(gradient is None for gradient in gradients)


def _example_batch(examples: ExampleSource, size: int) -> Batch:
    stream = generator(0, RNGStream.EPOCH, device=examples.device)
    return examples.subsample(size).batch(slice(None), stream)


def _full(tensor: Tensor) -> Tensor:
    """Return the whole of a tensor that may be sharded."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
