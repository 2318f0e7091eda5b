"""`autograd.graph` as PyTorch documents it: edges, hooks on several tensors, versions, nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import lazygrad as lg


def leaf(T: Any, *values: float) -> Any:
    return T.tensor(list(values), requires_grad=True)


def edge_for_a_leaf(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    edge = T.autograd.graph.get_gradient_edge(x)
    (found,) = T.autograd.grad((x * x).sum(), edge)
    return edge.node.name().rpartition("::")[2], edge.output_nr, found.tolist(), x.grad


def edge_inside(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    y = x * 3
    edge = T.autograd.graph.get_gradient_edge(y)
    found = T.autograd.grad((y * y).sum() + x.sum(), [edge, x])
    return edge.node is y.grad_fn, edge.output_nr, [g.tolist() for g in found]


def edge_of_the_second_result(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0, 3.0)
    a, b = x.split([1, 2])
    edge = T.autograd.graph.get_gradient_edge(b)
    (found,) = T.autograd.grad((a.sum() + (b * b).sum()), edge)
    return edge.output_nr, found.tolist()


def edge_that_outlives_its_tensor(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    y = x.exp().log() * 2
    edge = T.autograd.graph.get_gradient_edge(y)
    del y
    T.autograd.backward(edge, T.tensor([1.0, 10.0]))
    return x.grad.tolist()


def edge_as_input_of_backward(T: Any) -> Any:
    x, y = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0)
    T.autograd.backward((x * y).sum(), inputs=[T.autograd.graph.get_gradient_edge(x)])
    return x.grad.tolist(), y.grad


def edge_of_a_scalar_as_output(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    edge = T.autograd.graph.get_gradient_edge((x * x).sum())
    return [g.tolist() for g in T.autograd.grad([edge], [x])]


def edge_of_a_users_function(T: Any) -> Any:
    class Twice(T.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    x = leaf(T, 1.0, 2.0)
    y = Twice.apply(x)
    edge = T.autograd.graph.get_gradient_edge(y)
    (inside,) = T.autograd.grad((y * y).sum(), edge, retain_graph=True)
    (found,) = T.autograd.grad(edge, x, grad_outputs=T.tensor([1.0, 10.0]))
    return inside.tolist(), found.tolist()


def edge_of_what_has_run(T: Any) -> Any:
    x = leaf(T, 1.0, 2.0)
    y = (x * x).sum()
    edge = T.autograd.graph.get_gradient_edge(y)
    y.backward()
    try:
        T.autograd.backward([edge])  # a sum saves nothing, but the product did
    except RuntimeError as error:
        return "second time" in str(error)
    return None


def edge_that_is_not_reached(T: Any) -> Any:
    x, y = leaf(T, 1.0), leaf(T, 1.0)
    edge = T.autograd.graph.get_gradient_edge(y)
    found = T.autograd.grad(x.sum(), [edge], allow_unused=True)
    try:
        T.autograd.grad(x.sum(), [edge], materialize_grads=True)
    except RuntimeError as error:
        return found, str(error)
    return found


def edge_of_no_gradient(T: Any) -> Any:
    try:
        T.autograd.graph.get_gradient_edge(T.ones(2))
    except RuntimeError as error:
        return str(error)
    return None


def all_gradients(T: Any) -> Any:
    a, b = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0)
    c, d = a * b, a * b
    seen: list[Any] = []

    def hook(grads: Any) -> None:
        seen.append([None if g is None else g.tolist() for g in grads])

    handle = T.autograd.graph.register_multi_grad_hook((a, b, c, d), hook)
    c.sum().backward(retain_graph=True)
    c.sum().backward(inputs=(a,), retain_graph=True)
    (c + d).sum().backward(retain_graph=True)
    handle.remove()
    c.sum().backward()
    return seen


def the_first_gradient(T: Any) -> Any:
    a, b = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0)
    c = a * b
    seen: list[Any] = []
    with T.autograd.graph.register_multi_grad_hook(
        (a, c, T.ones(2)), lambda grad: seen.append(grad.tolist()), mode="any"
    ):
        c.sum().backward(retain_graph=True)
        (c * 2).sum().backward(retain_graph=True)
    c.sum().backward()
    return seen


def another_mode(T: Any) -> Any:
    try:
        T.autograd.graph.register_multi_grad_hook((leaf(T, 1.0),), print, mode="some")
    except ValueError as error:
        return str(error)
    return None


def a_tensor_without_gradient(T: Any) -> Any:
    try:
        T.autograd.graph.register_multi_grad_hook((T.ones(1),), print)
    except (RuntimeError, AssertionError):  # an assertion in PyTorch
        return "refused"
    return None


def unseen_writes(T: Any) -> Any:
    x, y = T.ones(2), T.ones(2)
    T.autograd.graph.increment_version(x)
    T.autograd.graph.increment_version([x, y])
    with T.inference_mode():
        T.autograd.graph.increment_version(T.ones(1))
    w = leaf(T, 1.0, 2.0)
    loss = (w * x).sum()
    T.autograd.graph.increment_version(x)
    try:
        loss.backward()
    except RuntimeError as error:
        return x._version, y._version, "modified by an inplace operation" in str(error)
    return None


def hooks_of_what_is_not_wanted(T: Any) -> Any:
    """A record that leads to none of the inputs does not run, nor do hooks of its results."""
    a, b = leaf(T, 1.0), leaf(T, 2.0)
    u, v = a * 2, b * 3
    seen: list[str] = []
    u.register_hook(lambda g: seen.append("u"))
    v.register_hook(lambda g: seen.append("v"))
    T.autograd.grad((u * v).sum(), a)
    return seen


def nodes_are_walked(T: Any) -> Any:
    x = leaf(T, 1.0)
    y = (x * 2).square()
    fn = y.grad_fn
    inner, number = fn.next_functions[0]
    fn.metadata["mine"] = 1
    seen: list[Any] = []
    inner.register_prehook(lambda grads: seen.append(("before", grads[0].tolist())))
    inner.register_hook(lambda ins, outs: seen.append((ins[0].tolist(), outs[0].tolist())))
    y.backward(T.ones(1))
    nodes = fn, inner, inner.next_functions[0][0]
    kinds = [isinstance(n, T.autograd.graph.Node) for n in nodes]
    return inner.name(), number, fn.metadata, kinds, seen


CASES: dict[Callable[[Any], Any], Any] = {
    edge_for_a_leaf: ("AccumulateGrad", 0, [2.0, 4.0], None),
    edge_inside: (True, 0, [[6.0, 12.0], [19.0, 37.0]]),
    edge_of_the_second_result: (1, [4.0, 6.0]),
    edge_that_outlives_its_tensor: [2.0, 20.0],
    edge_as_input_of_backward: ([3.0, 4.0], None),
    edge_of_a_scalar_as_output: [[2.0, 4.0]],
    edge_of_a_users_function: ([4.0, 8.0], [2.0, 20.0]),
    edge_of_what_has_run: True,
    edge_that_is_not_reached: (
        (None,),
        "materialize_grads cannot be used when the given input is a GradientEdge",
    ),
    edge_of_no_gradient: (
        "It is not possible to get the gradient edge for a Tensor that does not require gradients"
    ),
    all_gradients: [
        [[3.0, 4.0], [1.0, 2.0], [1.0, 1.0], None],
        [[3.0, 4.0], None, [1.0, 1.0], None],
        [[6.0, 8.0], [2.0, 4.0], [1.0, 1.0], [1.0, 1.0]],
    ],
    the_first_gradient: [[1.0, 1.0], [2.0, 2.0]],
    another_mode: "Expects mode to be one of ('all', 'any') but got some",
    a_tensor_without_gradient: "refused",
    unseen_writes: (3, 1, True),
    hooks_of_what_is_not_wanted: ["u"],
    nodes_are_walked: (
        "MulBackward0",
        0,
        {"mine": 1},
        [True, True, True],
        [("before", [4.0]), ([8.0], [4.0])],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_edges_and_hooks(case: Callable[[Any], Any]) -> None:
    assert case(lg) == CASES[case]


@pytest.mark.torch
@pytest.mark.parametrize("case", CASES)
def test_they_are_pytorchs(case: Callable[[Any], Any]) -> None:
    assert case(pytest.importorskip("torch")) == CASES[case]
