"""One model trained by several processes, which `torchrun` starts on one machine or many.

Each process has all of the model, or with FSDP a share of its weights between steps, and takes its share of every batch
of B examples. Of the N processes, r has b_r of them; the gradient is that of the mean over the batch,

    ∇ = 1/N Σ_r ∇_r,    ∇_r = ∇ N/B Σ_i ℓ_i over the b_r examples i of its share

where PyTorch's own DDP and FSDP2 take the mean over processes. All go through the same order and draw the same noise,
for the whole batch, from the stream of (seed, epoch), and each keeps its share: the numbers are those of one process
but for the rounding of sums, whatever N is. Only where a step cannot be written down, as with batch normalisation
or dropout, is the noise of each process its own.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from aevb.data.examples import ExampleSource
from aevb.errors import BadInput
from aevb.models.batch import Batch
from aevb.models.objectives import Objective, Terms
from aevb.models.vae import VAE
from aevb.rng import RNGStream, generator, seeded
from aevb.training.backends.steps import Gradients, parted, trainable_parameters
from aevb.training.capture import DRAWS, CaptureError, Draw, trace
from aevb.training.environment import count, together
from aevb.training.precision import in_bfloat16

Strategy = Literal["ddp", "fsdp"]


class DistributedBackend:
    """The steps of one model, shared by the processes of a job.

    Args:
        model: in training mode, the same in all processes.
        objective: what is minimised.
        examples: to learn from.
        seed: of the order and the noise.
        size: B, of a batch.
        strategy: whether weights are shared, too.
        bf16: whether its networks run in bfloat16 (`aevb.training.precision`).

    Raises:
        BadInput: a batch has fewer examples than there are processes.
    """

    def __init__(
        self,
        model: VAE,
        objective: Objective,
        examples: ExampleSource,
        seed: int,
        size: int,
        strategy: Strategy,
        *,
        bf16: bool = False,
    ) -> None:
        if size < count():
            raise BadInput(
                f"batches of {size} cannot be shared by {count()} processes: use a larger --train.batch-size"
            )
        self.models: Sequence[VAE] = [model]
        self.examples, self.seed, self.size = examples, seed, size
        self.share = parted(slice(0, size), count())[dist.get_rank()]
        self.draws = self._planned(objective)
        self.trained = model if strategy == "ddp" else deepcopy(model)
        step = _Step(in_bfloat16(self.trained) if bf16 else self.trained, objective, count() / size)
        # FSDP takes no single numbers: each process has them.
        self.alone = [weight for weight in step.parameters() if strategy == "fsdp" and not weight.dim()]
        self.mesh = init_device_mesh(model.device.type, (count(),)) if strategy == "fsdp" else None
        self.step = self._wrapped(step)
        self.weights = trainable_parameters(self.trained)

    @contextmanager
    def epoch(self, number: int, streams: Sequence[Tensor] = ()) -> Iterator[Gradients]:
        stream = generator(self.seed, RNGStream.EPOCH, number, device=self.examples.device)
        shuffled = self.examples.shuffled(stream)
        for state in streams:
            stream.set_state(state)
        self._stream = stream

        def gradients(rows: slice, done: float) -> Tensor:
            own = slice(rows.start + self.share.start, rows.start + self.share.stop)
            batch = shuffled.batch(rows, stream)[self.share] if self.examples.resampled else shuffled.batch(own)
            with together(), self._noise(number, own, stream):
                row = self.step(*batch.tensors, done)
                row[Terms._fields.index("loss")].backward()
                sums: list[Tensor] = [row.detach(), *(weight.grad for weight in self.alone if weight.grad is not None)]
                for tensor in sums:
                    dist.all_reduce(tensor)
                    tensor.div_(count())
            return sums[0].unsqueeze(0)

        yield gradients

    def streams(self) -> list[Tensor]:
        return [self._stream.get_state()]

    def clip(self, limit: float) -> None:
        found = [weight.grad for weight in self.weights.values() if weight.grad is not None]
        kinds = [[one for one in found if isinstance(one, DTensor) is sharded] for sharded in (True, False)]
        with together():
            norms = [_whole(nn.utils.get_total_norm(gradients)) for gradients in kinds if gradients]
        share = (limit / (torch.stack(norms).norm() + 1e-6)).clamp(max=1.0)  # as PyTorch has it
        for gradient in found:
            (gradient.to_local() if isinstance(gradient, DTensor) else gradient).mul_(share)

    def split(self, tensor: Tensor) -> list[Tensor]:
        with together():
            return [_whole(tensor).clone()]

    def joined(self, tensors: Sequence[Tensor]) -> Tensor:
        (tensor,) = tensors
        if self.mesh is None or not tensor.dim():
            return tensor.clone()
        return distribute_tensor(tensor, self.mesh, [Shard(0)])

    def gather(self) -> None:
        if self.trained is not self.models[0]:
            with together():
                whole = get_model_state_dict(self.trained, options=StateDictOptions(full_state_dict=True))
            self.models[0].load_state_dict(whole)

    def scatter(self) -> None:
        if self.trained is not self.models[0]:
            whole = self.models[0].state_dict()
            set_model_state_dict(self.trained, whole, options=StateDictOptions(full_state_dict=True))

    def _wrapped(self, step: "_Step") -> nn.Module:
        if self.mesh is None:
            return DistributedDataParallel(step, find_unused_parameters=self._has_unused(step))
        fully_shard(step, mesh=self.mesh, ignored_params=set(self.alone))
        return step

    def _has_unused(self, step: "_Step") -> bool:
        """Whether there are weights without a part in the loss."""
        with seeded(0, RNGStream.EPOCH, device=self.examples.device):
            loss = step.eval()(*self._some(2).tensors, 0.5)[Terms._fields.index("loss")]
        step.train()
        found = torch.autograd.grad(loss, list(trainable_parameters(step).values()), allow_unused=True)
        return any(gradient is None for gradient in found)

    def _planned(self, objective: Objective) -> list[tuple[Draw, int]] | None:
        """The draws of a batch and the axis along which each is shared; None where a step cannot be written down."""
        own = self.share.stop - self.share.start
        try:
            whole, part = (trace(self.models[0], objective, self._some(size)).draws for size in (self.size, own))
        except CaptureError:
            return None
        planned = []
        for draw, smaller in zip(whole, part, strict=True):
            axes = [axis for axis, sizes in enumerate(zip(draw.shape, smaller.shape, strict=True)) if len({*sizes}) > 1]
            if len(axes) != 1 or (draw.shape[axes[0]], smaller.shape[axes[0]]) != (self.size, own):
                return None
            planned.append((draw, axes[0]))
        return planned

    def _some(self, size: int) -> Batch:
        stream = generator(0, RNGStream.EPOCH, device=self.examples.device)
        return self.examples.subsample(size).batch(slice(None), stream)

    def _noise(self, number: int, own: slice, stream: torch.Generator) -> AbstractContextManager[object]:
        """What the draws of a step are taken from."""
        if self.draws is None:
            return seeded(self.seed, RNGStream.EPOCH, number, own.start, device=self.examples.device)
        width = self.share.stop - self.share.start
        dealt = [draw(stream).narrow(axis, self.share.start, width) for draw, axis in self.draws]
        return _Dealt(dealt) if dealt else nullcontext()


class _Step(nn.Module):
    """What a step asks, as the module whose weights are shared."""

    def __init__(self, model: VAE, objective: Objective, weight: float) -> None:
        super().__init__()
        self.model, self.objective, self.weight = model, objective, weight

    def forward(self, *inputs: Any) -> Tensor:
        """The terms of a batch, its condition if there is one, and the share done, summed and weighed, ``(4,)``."""
        *tensors, done = inputs
        terms = self.objective(self.model.trace(Batch(*tensors), self.objective.n_samples), done)
        return torch.stack(terms).sum(1) * self.weight


class _Dealt(TorchDispatchMode):
    """Draws that were made before take the place of those that Python asks for, in their order."""

    def __init__(self, draws: Sequence[Tensor]) -> None:
        super().__init__()
        self.draws = iter(draws)

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return next(self.draws) if operation in DRAWS else operation(*args, **kwargs or {})


def _whole(tensor: Tensor) -> Tensor:
    """All of a tensor of which each process may have a part."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
