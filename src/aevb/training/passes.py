"""Fewer operations for the same numbers: a traced step holds much that Python wanted and arithmetic does not.

    constants     what depends on no input, such as the gradients of means and sums, is found once
    identities    detach(x), (xᵀ)ᵀ, x¹, 1 · x, x given the shape that it has  →  x
    sums          over axes of one entry: the same numbers in another shape

A step of a small model spends its time in calls, of which a third goes (`benchmarks`).
"""

from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.node import map_arg

aten = torch.ops.aten
_SHAPED = (aten.view.default, aten._unsafe_view.default, aten.expand.default, aten.reshape.default)
_FILLED = {aten.ones_like.default: 1.0, aten.zeros_like.default: 0.0}
"""What depends on the shape of an input alone, and their values."""
_GATHERED = (aten.sum.dim_IntList, aten.mean.dim)


def simplify(written: fx.GraphModule) -> None:
    """Rewrite a graph of `make_fx`, in place; one that changes tensors in place stays as it is."""
    if any(_schema(node) and _schema(node).is_mutable for node in written.graph.nodes):
        return
    constants = dict[fx.Node, Tensor]()
    for node in list(written.graph.nodes):
        if node.op != "call_function" or not isinstance(node.meta.get("val"), Tensor):
            continue
        if (same := _same(node, constants)) is not None:
            node.replace_all_uses_with(same)
        elif (value := _constant(node, constants)) is not None:
            constants[node] = value
        elif node.target in _GATHERED and _one_entry(node):
            _squeeze(node)
    _store(written, constants)
    written.graph.eliminate_dead_code()
    written.recompile()


def _schema(node: fx.Node) -> Any:
    return getattr(node.target, "_schema", None)


def _same(node: fx.Node, constants: dict[fx.Node, Tensor]) -> fx.Node | None:
    """The argument that a node equals."""
    x = node.args[0] if node.args else None
    if not isinstance(x, fx.Node):
        return None
    if node.target is aten.detach.default:
        return x
    if node.target is aten.t.default and x.target is aten.t.default:
        return x.args[0]  # type: ignore[return-value]
    if not _alike(node, x):
        return _factor(node, constants)
    power = node.target is aten.pow.Tensor_Scalar and node.args[1] == 1
    return x if power or node.target in _SHAPED or _gathers_nothing(node) else _factor(node, constants)


def _gathers_nothing(node: fx.Node) -> bool:
    return node.target in _GATHERED and _one_entry(node)


def _factor(node: fx.Node, constants: dict[fx.Node, Tensor]) -> fx.Node | None:
    """x of 1 · x."""
    if node.target not in (aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar):
        return None
    one, other = node.args[1], node.args[0]
    if node.target is aten.mul.Tensor and one not in constants and other in constants:
        one, other = other, one
    value = constants.get(one) if isinstance(one, fx.Node) else one
    ones = bool((value == 1).all()) if isinstance(value, Tensor) else value == 1
    return other if ones and isinstance(other, fx.Node) and _alike(node, other) else None


def _alike(node: fx.Node, other: fx.Node) -> bool:
    """Whether two have one shape and type."""
    ours, theirs = node.meta["val"], other.meta.get("val")
    return isinstance(theirs, Tensor) and ours.shape == theirs.shape and ours.dtype == theirs.dtype


def _one_entry(node: fx.Node) -> bool:
    """Whether a node has as many entries as its argument."""
    x = node.args[0]
    return isinstance(x, fx.Node) and x.meta["val"].numel() == node.meta["val"].numel()


def _squeeze(node: fx.Node) -> None:
    """A sum or mean over axes of one entry as a view."""
    x, axes = node.args[0], node.args[1]
    with node.graph.inserting_before(node):
        view = node.graph.call_function(aten.squeeze.dims, (x, axes))
    view.meta = node.meta
    node.replace_all_uses_with(view)


def _constant(node: fx.Node, constants: dict[fx.Node, Tensor]) -> Tensor | None:
    """The value of a node that has one before any input is known."""
    if node.target in _FILLED:
        like = node.meta["val"]
        return torch.full(like.shape, _FILLED[node.target], dtype=like.dtype, device=like.device)
    pure = isinstance(node.target, torch._ops.OpOverload) and torch.Tag.nondeterministic_seeded not in node.target.tags
    inputs = node.all_input_nodes
    if not (pure and inputs and all(one in constants for one in inputs)):
        return None
    with torch.no_grad():
        return node.target(*map_arg(node.args, constants.get), **map_arg(node.kwargs, constants.get))  # type: ignore


def _store(written: fx.GraphModule, constants: dict[fx.Node, Tensor]) -> None:
    """Keep the constants that others use as tensors of the module."""
    for place, (node, value) in enumerate(constants.items()):
        if any(user not in constants for user in node.users):
            name = f"_found_{place}"
            written.register_buffer(name, value)
            with written.graph.inserting_before(node):
                stored = written.graph.get_attr(name)
            stored.meta = node.meta
            node.replace_all_uses_with(stored)
