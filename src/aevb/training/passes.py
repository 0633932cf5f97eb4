"""Graph passes that remove operations without changing the numbers.

    in place      operations that change a tensor nothing else uses, as in the gradient of clamp, return a new one
    constants     values that depend on no input, such as the gradients of means and sums, are computed once
    identities    detach(x), (xᵀ)ᵀ, x¹, 1 · x, and x reshaped to its own shape  →  x
    reductions    over axes of one entry: a view with the same numbers

A step of a small model spends its time in calls, and the passes remove a third of them (`benchmarks`).
"""

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch.fx.node import map_arg

aten = torch.ops.aten
_RESHAPES = (aten.view.default, aten._unsafe_view.default, aten.expand.default, aten.reshape.default)
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
    constants = dict[fx.Node, Tensor]()
    for node in list(module.graph.nodes):
        if node.op != "call_function" or not isinstance(node.meta.get("val"), Tensor):
            continue
        if (equal := _equal_argument(node, constants)) is not None:
            node.replace_all_uses_with(equal)
        elif (value := _constant(node, constants)) is not None:
            constants[node] = value
        elif _reduces_nothing(node):
            _squeeze(node)
    _store(module, constants)
    module.graph.eliminate_dead_code()
    module.recompile()


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
    """Return the argument that a node equals."""
    x = node.args[0] if node.args else None
    if not isinstance(x, fx.Node):
        return None
    if node.target is aten.detach.default:
        return x
    if node.target is aten.t.default and x.target is aten.t.default and isinstance(x.args[0], fx.Node):
        return x.args[0]
    if not _same_type(node, x):
        return _scaled_by_one(node, constants)
    first_power = node.target is aten.pow.Tensor_Scalar and node.args[1] == 1
    unchanged = first_power or node.target in _RESHAPES or _reduces_nothing(node)
    return x if unchanged else _scaled_by_one(node, constants)


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
    if not isinstance(operation, OpOverload) or torch.Tag.nondeterministic_seeded in operation.tags:
        return None
    if not inputs or any(node not in constants for node in inputs):
        return None
    with torch.no_grad():
        value: Tensor = operation(*map_arg(node.args, constants.get), **map_arg(node.kwargs, constants.get))
    return value


def _store(module: fx.GraphModule, constants: dict[fx.Node, Tensor]) -> None:
    """Register the constants that other nodes use as buffers."""
    for index, (node, value) in enumerate(constants.items()):
        if any(user not in constants for user in node.users):
            name = f"_constant_{index}"
            module.register_buffer(name, value)
            with module.graph.inserting_before(node):
                stored = module.graph.get_attr(name)
            stored.meta = node.meta
            node.replace_all_uses_with(stored)
