"""Compilation of graphs by TorchInductor.

On a CPU a graph is compiled ahead of time to a library, which the next process that has the same graph loads in
milliseconds. Its calls are made without Python and without the checks that `torch.compile` makes at each call.
"""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch
from torch import Tensor, fx

LIBRARY = "step.so"
CALLED = "step.json"
"""The operators that the library calls by their names, as those of linear algebra; read where the library is."""
OPTIONS = {"memory_planning": True, "size_asserts": False, "alignment_asserts": False}


def compiled_graph(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> Callable[..., Sequence[Tensor]]:
    """Return a compiled function of tensors that have the shapes and types of these inputs.

    It may differ between numbers of threads: each has a library of its own.
    """
    if inputs[0].device.type != "cpu":
        from torch._inductor import compile as compile_graph  # takes a second

        return cast(Callable[..., Sequence[Tensor]], compile_graph(graph, list(inputs)))
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    folder = Path(cache_dir()) / "aevb" / _key(graph, inputs)
    if not folder.is_dir():
        _compile(graph, inputs, folder)
    runner = torch._C._aoti.AOTIModelContainerRunnerCpu(str(folder / LIBRARY), 1)
    return lambda *tensors: runner.run(list(tensors))


def _compile(graph: fx.GraphModule, inputs: Sequence[Tensor], folder: Path) -> None:
    """Write the library and its files into a new folder, which appears once it is complete."""
    from torch._inductor import aot_compile

    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {**OPTIONS, "aot_inductor.output_path": str(Path(place) / LIBRARY)}
        aot_compile(graph, tuple(inputs), options=options)
        for called in Path(place).glob("*.wrapper.json"):
            called.rename(Path(place) / CALLED)
        with suppress(OSError):  # another process was faster
            Path(place).rename(folder)


def _key(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> str:
    """Return a hash of all that the library depends on."""
    processor, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    shapes = [(tensor.shape, tensor.stride(), tensor.dtype) for tensor in inputs]
    parts = [torch.__version__, processor, threads, OPTIONS, shapes, graph.code]
    digest = hashlib.sha256(repr(parts).encode())
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            constant = attrgetter(str(node.target))(graph)
            digest.update(f"{node.target} {constant.dtype} {constant.tolist()}".encode())
    return digest.hexdigest()
