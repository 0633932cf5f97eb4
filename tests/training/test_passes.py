"""Graphs with fewer operations for the same numbers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from aevb.training.passes import call_directly, simplify


def written(function: Callable[..., Tensor], *inputs: Tensor) -> fx.GraphModule:
    return make_fx(function, tracing_mode="fake")(*inputs)


def calls(graph: fx.GraphModule) -> list[str]:
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]


X = torch.randn(3, 4)


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: x.detach().exp(), 1),
        (lambda x: x.t().t().exp(), 1),
        (lambda x: x.view(3, 4).expand(3, 4).exp(), 1),
        (lambda x: (x**1.0).exp(), 1),
        (lambda x: (1.0 * x / 1).exp(), 1),
        (lambda x: torch.ones_like(x) * x.exp(), 1),
        (lambda x: x + torch.zeros_like(x).exp().sum(0).neg(), 1),
        (lambda x: x.unsqueeze(0).sum(0).exp(), 3),  # a view instead of a sum
        (lambda x: x.unsqueeze(0).mean(0, keepdim=True).exp(), 2),
        (lambda x: torch.stack([x.view(12)]).squeeze(0).view(3, 4).exp(), 1),
        (lambda x: torch.cat([x, x.new_zeros(3, 0)], 1).exp(), 1),
        (lambda x: torch.cat([x, x.new_zeros(3, 0), x], 1)[:, 0:8].exp(), 2),
        (lambda x: x.split([4, 0], 1)[0].exp(), 1),
        (lambda x: x.exp() * x.exp(), 2),
        (lambda x: x * torch.tensor([2.0]).log(), 1),
    ],
)
def test_redundant_operations_are_removed(function: Callable[[Tensor], Tensor], left: int) -> None:
    graph = written(function, X)
    simplify(graph)
    assert len(calls(graph)) == left, graph.code
    assert "aten.sum.dim_IntList" not in calls(graph)
    assert torch.equal(graph(X), function(X))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.t().exp(),
        lambda x: (2.0 * x).exp(),
        lambda x: torch.ones(1, 3, 4) * x,  # another shape
        lambda x: 1 * x.double(),
        lambda x: x.sum(0),
        lambda x: torch.ones_like(x) / x,  # 1 is above the line
        lambda x: torch.ones_like(x) + torch.rand_like(x),
        lambda x: torch.rand_like(x) - torch.rand_like(x),
        lambda x: x[1:] - x[:2],
        lambda x: torch.cat([x.new_zeros(3, 0), x.new_zeros(0)], 1),
        lambda x: x.unsqueeze(0).expand(2, 3, 4) * torch.stack([x, 2 * x]),
    ],
)
def test_necessary_operations_stay(function: Callable[[Tensor], Tensor]) -> None:
    graph = written(function, X)
    simplify(graph)
    for _ in range(2):
        torch.manual_seed(0)
        ours = graph(X)
        torch.manual_seed(0)
        assert torch.equal(ours, function(X))


def test_equal_outputs_have_memory_of_their_own() -> None:
    """The gradients of two weights may be changed in place."""
    graph = make_fx(lambda x: (x.exp(), x.exp()), tracing_mode="fake")(X)
    simplify(graph)
    first, second = graph(X)
    first.mul_(2)
    assert torch.equal(second, X.exp())


def test_a_change_of_what_nothing_else_uses_returns_a_new_tensor() -> None:
    """As in the gradient of clamp."""

    def inside(x: Tensor) -> Tensor:
        return torch.where((x > -1).logical_and_(x < 1), x.detach(), 0)

    graph = written(inside, X)
    assert "aten.logical_and_.default" in calls(graph)
    simplify(graph)
    assert "aten.logical_and.default" in calls(graph)
    assert "aten.detach.default" not in calls(graph)
    assert torch.equal(graph(X), inside(X))


def test_a_change_of_what_is_used_again_stays() -> None:
    def inside(x: Tensor) -> Tensor:
        positive = x > 0
        view = positive.view(-1)
        return torch.where(positive.logical_and_(x < 1), x, 0).view(-1) + view.detach()

    graph = written(inside, X)
    before = calls(graph)
    simplify(graph)
    assert calls(graph) == before
    assert torch.equal(graph(X), inside(X))


def test_a_graph_that_changes_tensors_in_place_is_unchanged() -> None:
    def counts(x: Tensor) -> Tensor:
        start = torch.zeros_like(x)
        start.add_(x)
        return start.detach()

    graph = written(counts, X)
    before = calls(graph)
    simplify(graph)
    assert calls(graph) == before
    for _ in range(2):
        assert torch.equal(graph(X), X)


def test_operators_are_called_by_functions_that_call_no_other() -> None:
    def function(x: Tensor) -> Tensor:
        y = (2 * x).t().sum([0], keepdim=True).view(-1)
        return torch.where(y > 0, y[1:2].sigmoid(), y) + y.to(torch.float64)

    graph = written(function, X)
    assert all(name.startswith("aten.") for name in calls(graph))
    call_directly(graph)
    assert sorted(name for name in calls(graph) if name.startswith("aten.")) == [
        "aten._to_copy.default",
        "aten.slice.Tensor",
    ]
    assert torch.equal(graph(X), function(X))
