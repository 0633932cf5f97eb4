"""Compilation of graphs by TorchInductor.

On a CPU a graph is compiled ahead of time to a library, which the next process that has the same graph loads in
milliseconds. Its calls are made without Python and without the checks that `torch.compile` makes at each call.
"""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, fx

OPTIONS = {"memory_planning": True, "size_asserts": False, "alignment_asserts": False}


def compiled_graph(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> Callable[..., Sequence[Tensor]]:
    """Return a compiled function of tensors that have the shapes and types of these inputs.

    It may differ between numbers of threads: each has a library of its own.
    """
    if inputs[0].device.type != "cpu":
        from torch._inductor import compile as compile_graph  # takes a second

        return cast(Callable[..., Sequence[Tensor]], compile_graph(graph, list(inputs)))
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    index = Path(cache_dir()) / "aevb" / f"{_key(graph, inputs)}.txt"
    library = index.read_text() if index.is_file() else ""
    if not library or not Path(library).is_file():
        library = _library(graph, inputs)
        index.parent.mkdir(parents=True, exist_ok=True)
        index.write_text(library)
    runner = torch._C._aoti.AOTIModelContainerRunnerCpu(library, 1)
    return lambda *tensors: runner.run(list(tensors))


def _library(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> str:
    """Return the path of a new library."""
    from torch._inductor import aot_compile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(aot_compile(graph, tuple(inputs), options=OPTIONS))


def _key(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> str:
    """Return a hash of all that the library depends on."""
    processor, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    shapes = [(tensor.shape, tensor.stride(), tensor.dtype) for tensor in inputs]
    parts = [torch.__version__, processor, threads, OPTIONS, shapes, graph.code]
    digest = hashlib.sha256(repr(parts).encode())
    for name, constant in sorted(graph.named_buffers()):
        digest.update(f"{name} {constant.dtype} {constant.tolist()}".encode())
    return digest.hexdigest()
