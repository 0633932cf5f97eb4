"""Graph passes that remove operations without changing the numbers.

    in place      operations that change a tensor nothing else uses, as in the gradient of clamp, return a new one
    constants     values that depend on no input, such as the gradients of means and sums, are computed once
    identities    detach(x), (xᵀ)ᵀ, x¹, 1 · x, x reshaped to its own shape, and the whole of x as its only part  →  x
    repetitions   the same operation of the same arguments is done once
    nothing       tensors without entries are not concatenated
    reductions    over axes of one entry: a view with the same numbers

A step of a small model spends its time in calls, and the passes remove a third of them (`benchmarks`). The other calls
are made by the functions of PyTorch, in two thirds of the time that the same operators of `torch.ops` take.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from operator import attrgetter, getitem

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch.fx.node import Argument, map_arg
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
_VIEWS = (aten.detach.default, aten.alias.default)
_IN_ORDER = (
    *(aten.view.default, aten._unsafe_view.default, aten.reshape.default),
    *(aten.squeeze.dim, aten.squeeze.dims, aten.unsqueeze.default, aten.stack.default),
)
"""Operations whose result has the entries of the argument in the same order, if there is one argument."""
_WHOLE = (aten.cat.default, aten.expand.default, aten.slice.Tensor)
"""Operations whose result is the argument if it has the same shape."""
_FILLS = {aten.ones_like.default: 1.0, aten.zeros_like.default: 0.0}
"""Operations that depend on the shape of an input alone, and their values."""
_REDUCTIONS = (aten.sum.dim_IntList, aten.mean.dim)
_SCALINGS = (aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar)


def simplify(module: fx.GraphModule) -> None:
    """Rewrite a graph of `make_fx` in place; a graph that changes tensors with other uses is left unchanged."""
    in_place = [node for node in module.graph.nodes if _is_mutable(node.target)]
    if not all(map(_changes_unused, in_place)):
        return
    for node in in_place:
        if operation := _returning_new(node.target):
            node.target = operation
    constants, computed = dict[fx.Node, Tensor](), dict[str, fx.Node]()
    for node in list(module.graph.nodes):
        if node.op == "get_attr":
            constants[node] = attrgetter(str(node.target))(module)
        if node.op != "call_function" or not isinstance(node.meta.get("val"), Tensor):
            continue
        _drop_empty_parts(node)
        if (equal := _equal_argument(node, constants)) is not None:
            node.replace_all_uses_with(equal)
        elif (value := _constant(node, constants)) is not None:
            constants[node] = value
        elif (earlier := computed.setdefault(_call(node), node)) is not node and _is_interchangeable(node):
            node.replace_all_uses_with(earlier)
        elif _reduces_nothing(node):
            _squeeze(node)
    _store(module, constants)
    module.graph.eliminate_dead_code()
    module.recompile()


def _call(node: fx.Node) -> str:
    """Return the operation and the arguments of a node as a text."""
    return f"{node.target} {node.args} {node.kwargs}"


def _is_interchangeable(node: fx.Node) -> bool:
    """Return whether another node with the same numbers can replace a node: outputs have memory of their own."""
    return not _is_random(node.target) and all(user.op != "output" for user in node.users)


def _is_random(operation: object) -> bool:
    return isinstance(operation, OpOverload) and torch.Tag.nondeterministic_seeded in operation.tags


def _drop_empty_parts(node: fx.Node) -> None:
    """Remove the parts of a concatenation that have no entries, if any has."""
    if node.target is aten.cat.default:
        parts, *others = node.args
        assert isinstance(parts, Sequence)
        if full := [part for part in parts if isinstance(part, fx.Node) and part.meta["val"].numel()]:
            node.args = (full, *others)


def _is_mutable(operation: object) -> bool:
    return isinstance(operation, OpOverload) and operation._schema.is_mutable


def _changes_unused(node: fx.Node) -> bool:
    """Return whether a node changes a truth value that was computed for it alone; its type is that of the result."""
    x = node.args[0]
    return (
        isinstance(x, fx.Node)
        and x.op == "call_function"
        and len(x.users) == 1
        and isinstance(x.target, OpOverload)
        and not x.target.is_view
        and x.meta["val"].dtype == torch.bool
        and _returning_new(node.target) is not None
    )


def _returning_new(operation: object) -> OpOverload | None:
    """Return the operation that returns what another one writes, as aten.logical_and for aten.logical_and_."""
    assert isinstance(operation, OpOverload)
    name = operation._schema.name.partition("::")[2].removesuffix("_")
    packet = getattr(aten, name, None)
    return getattr(packet, operation._overloadname, None)


def _equal_argument(node: fx.Node, constants: dict[fx.Node, Tensor]) -> fx.Node | None:
    """Return the argument, or the argument of arguments, that a node equals."""
    if node.target in _IN_ORDER:
        return _reshaped_back(node)
    x = _only_argument(node)
    if x is None:
        return None
    if node.target in _VIEWS:
        return x
    if node.target is aten.t.default and x.target is aten.t.default and isinstance(x.args[0], fx.Node):
        return x.args[0]
    if node.target is getitem and x.target is aten.split_with_sizes.default:
        whole = x.args[0]
        return whole if isinstance(whole, fx.Node) and _same_type(node, whole) else None
    if not _same_type(node, x):
        return _scaled_by_one(node, constants)
    first_power = node.target is aten.pow.Tensor_Scalar and node.args[1] == 1
    unchanged = first_power or node.target in _WHOLE or _reduces_nothing(node)
    return x if unchanged else _scaled_by_one(node, constants)


def _only_argument(node: fx.Node) -> fx.Node | None:
    """Return the first argument of a node, or the only node in a list of tensors."""
    x = node.args[0] if node.args else None
    if isinstance(x, Sequence) and len(x) == 1:
        (x,) = x
    return x if isinstance(x, fx.Node) else None


def _reshaped_back(node: fx.Node) -> fx.Node | None:
    """Return the first of the reshaped tensors that has the shape of the last one."""
    x, found = _only_argument(node), None
    while x is not None:
        if _same_type(node, x):
            found = x
        x = _only_argument(x) if x.target in _IN_ORDER else None
    return found


def _reduces_nothing(node: fx.Node) -> bool:
    """Return whether a node is a reduction with as many entries as its argument."""
    x = node.args[0] if node.args else None
    return (
        node.target in _REDUCTIONS
        and isinstance(x, fx.Node)
        and bool(x.meta["val"].numel() == node.meta["val"].numel())
    )


def _scaled_by_one(node: fx.Node, constants: dict[fx.Node, Tensor]) -> fx.Node | None:
    """Return x where the node is 1 · x or x / 1."""
    if node.target not in _SCALINGS:
        return None
    other, factor = node.args[0], node.args[1]
    if node.target is aten.mul.Tensor and factor not in constants and other in constants:
        other, factor = factor, other
    value = constants.get(factor) if isinstance(factor, fx.Node) else factor
    one = bool((value == 1).all()) if isinstance(value, Tensor) else value == 1
    return other if one and isinstance(other, fx.Node) and _same_type(node, other) else None


def _same_type(node: fx.Node, other: fx.Node) -> bool:
    """Return whether two nodes have the same shape and dtype."""
    value, other_value = node.meta["val"], other.meta.get("val")
    return isinstance(other_value, Tensor) and value.shape == other_value.shape and value.dtype == other_value.dtype


def _squeeze(node: fx.Node) -> None:
    """Replace a reduction over axes of one entry by a view."""
    x, axes = node.args[0], node.args[1]
    with node.graph.inserting_before(node):
        view = node.graph.call_function(aten.squeeze.dims, (x, axes))
    view.meta = node.meta
    node.replace_all_uses_with(view)


def _constant(node: fx.Node, constants: dict[fx.Node, Tensor]) -> Tensor | None:
    """Return the value of a node that depends on no input."""
    operation, inputs = node.target, node.all_input_nodes
    if operation in _FILLS:
        like = node.meta["val"]
        return torch.full(like.shape, _FILLS[operation], dtype=like.dtype, device=like.device)
    if not isinstance(operation, OpOverload) or _is_random(operation):
        return None
    if any(node not in constants for node in inputs):
        return None
    with torch.no_grad():
        value: Tensor = operation(*map_arg(node.args, constants.get), **map_arg(node.kwargs, constants.get))
    return value


def _store(module: fx.GraphModule, constants: dict[fx.Node, Tensor]) -> None:
    """Register the constants that other nodes use as buffers."""
    for index, (node, value) in enumerate(constants.items()):
        if node.op != "get_attr" and any(user not in constants for user in node.users):
            name = f"_constant_{index}"
            module.register_buffer(name, value)
            with module.graph.inserting_before(node):
                stored = module.graph.get_attr(name)
            stored.meta = node.meta
            node.replace_all_uses_with(stored)


def call_directly(module: fx.GraphModule) -> None:
    """Replace operators of a graph by the functions of PyTorch that call the same operator, in place."""
    for node in module.graph.nodes:
        if isinstance(node.target, OpOverload):
            node.target = next(filter(partial(_calls_the_same, node), _functions(node.target)), node.target)
    module.recompile()


def _functions(operation: OpOverload) -> list[Callable[..., object]]:
    """Return the functions of PyTorch that have the name of an operator."""
    name = operation._schema.name.partition("::")[2]
    return [getattr(owner, name) for owner in (torch, Tensor) if hasattr(owner, name)]


def _calls_the_same(node: fx.Node, function: Callable[..., object]) -> bool:
    """Return whether a function with the arguments of a node calls the operator of the node and no other."""
    with suppress(Exception), _Recorder() as recorder:  # other arguments, or no tensors to try it on
        function(*map_arg(node.args, _example), **map_arg(node.kwargs, _example))
        return bool(recorder.called == [node.target])
    return False


def _example(node: fx.Node) -> Argument:
    """Return the value of a node that was traced, without numbers."""
    value: Argument = node.meta["val"]
    return value


class _Recorder(TorchDispatchMode):
    """Records the operators of ATen that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.called: list[OpOverload] = []

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: object,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        if func.namespace == "aten":
            self.called.append(func)
        return func(*args, **kwargs or {})
