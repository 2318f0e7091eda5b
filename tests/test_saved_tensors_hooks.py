"""`autograd.graph.saved_tensors_hooks`: what records save passes through hooks, as PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import lazygrad as lg


def leaf(T: Any, *values: float) -> Any:
    return T.tensor(list(values), requires_grad=True)


def packing(T: Any, seen: list[Any], factor: float = 1.0) -> Any:
    """Hooks that keep lists, and multiply what they give back."""

    def pack(t: Any) -> Any:
        seen.append([round(value, 4) for value in t.flatten().tolist()])
        return t.tolist()

    return T.autograd.graph.saved_tensors_hooks(pack, lambda kept: T.tensor(kept) * factor)


def saved_by(call: Callable[[Any, Any, Any], Any]) -> Callable[[Any], Any]:
    """What the call's records save, in any order, and the gradients of what hooks give back."""

    def case(T: Any) -> Any:
        x, y = leaf(T, 1.0, 2.0, 0.5), leaf(T, 3.0, -1.0, 0.25)
        seen: list[Any] = []
        with packing(T, seen):
            out = call(T, x, y)
        out.sum().backward()
        grads = [None if t.grad is None else [round(v, 3) for v in t.grad.tolist()] for t in (x, y)]
        return sorted(seen), grads

    return case


CALLS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "nothing": lambda T, x, y: x + y,
    "both": lambda T, x, y: x * y,
    "one": lambda T, x, y: x * y.detach(),
    "result": lambda T, x, y: x.exp(),
    "input": lambda T, x, y: x.sin(),
    "chain": lambda T, x, y: (x * 2).tanh().cos() * y,
    "softmax": lambda T, x, y: x.softmax(0) * y,
    "twice": lambda T, x, y: x * x,
    "quotient": lambda T, x, y: x / y,
    "power": lambda T, x, y: x**3,
    "dot": lambda T, x, y: x.dot(y),
    "sigmoid": lambda T, x, y: T.nn.functional.silu(x).sigmoid(),
    "minimum": lambda T, x, y: T.minimum(x, y),
}


def factors(T: Any) -> Any:
    """What is given back is what the gradient reads: of an input and of a result."""
    x = leaf(T, 1.0, 2.0)
    with packing(T, [], 10.0):
        u, v = x.square(), x.sqrt()
    u.sum().backward()
    first = x.grad.tolist()
    x.grad = None
    v.sum().backward()
    return first, [round(value, 5) for value in x.grad.tolist()]


def innermost(T: Any) -> Any:
    x = leaf(T, 2.0)
    outer: list[Any] = []
    inner: list[Any] = []
    with packing(T, outer):
        a = x.sin()
        with packing(T, inner):
            b = a.cos()
        c = b.exp()
    d = c.square()
    d.backward(T.ones(1))
    return len(outer), len(inner), round(x.grad.item(), 4)


def twice_with_retain(T: Any) -> Any:
    count = [0]

    def unpack(t: Any) -> Any:
        count[0] += 1
        return t

    x = leaf(T, 2.0)
    with T.autograd.graph.saved_tensors_hooks(lambda t: t, unpack):
        y = x.square().sum()
    y.backward(retain_graph=True)
    y.backward()
    return count, x.grad.tolist()


def second_derivative(T: Any) -> Any:
    x = leaf(T, 2.0)
    with T.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = x.sin().sum()
    (g,) = T.autograd.grad(y, x, create_graph=True)
    g.sum().backward()
    return round(x.grad.item(), 4)


def written_after(T: Any) -> Any:
    """Versions do not tell of what hooks keep."""
    x, n = leaf(T, 2.0), T.ones(1)
    with T.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
        y = (x * n).sum()
    n.add_(5)
    y.backward()
    return x.grad.tolist()


def function_of_a_user(T: Any) -> Any:
    class Square(T.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * 2 * x

    x = leaf(T, 1.0, 2.0)
    seen: list[Any] = []
    with packing(T, seen, 10.0):
        y = Square.apply(x)
    y.sum().backward()
    return seen, x.grad.tolist()


def no_tensor(T: Any) -> Any:
    x = leaf(T, 1.0)
    with T.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: 1):
        y = x.square()
    try:
        y.sum().backward()
    except TypeError as error:
        return str(error)
    return None


def a_hook_that_writes(T: Any) -> Any:
    x = leaf(T, 1.0)
    try:
        with T.autograd.graph.saved_tensors_hooks(lambda t: t.add_(1), lambda t: t):
            T.ones(1) * x
    except RuntimeError as error:
        return "is modifying its input in place" in str(error)
    return None


def disabled(T: Any) -> Any:
    graph = T.autograd.graph
    said = []
    with graph.disable_saved_tensors_hooks("not here"):
        for made in (graph.saved_tensors_hooks(abs, abs), graph.save_on_cpu()):
            try:
                with made:
                    pass
            except RuntimeError as error:
                said.append(str(error))
    with graph.saved_tensors_hooks(abs, abs):
        pass
    return said


def on_the_host(T: Any) -> Any:
    x, y = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0)
    with T.autograd.graph.save_on_cpu(pin_memory=False):
        z = (x * y).exp().log()
    z.sum().backward()
    return [round(v, 4) for v in x.grad.tolist()]


def passes_that_were_met(T: Any) -> Any:
    """A pass that was met before has hooks too."""
    found = []
    for factor in (1.0, 1.0, 10.0, 10.0):
        x = leaf(T, 1.0, 2.0)
        with packing(T, [], factor):
            y = x.square().sum()
        y.backward()
        found.append(x.grad.tolist())
    return found


CASES: list[Callable[[Any], Any]] = [
    factors, innermost, twice_with_retain, second_derivative, written_after, function_of_a_user,
    no_tensor, a_hook_that_writes, disabled, on_the_host, passes_that_were_met,
]  # fmt: skip
FOUND: dict[str, Any] = {
    "factors": ([20.0, 40.0], [0.05, 0.03536]),
    "innermost": (2, 1, 2.2437),
    "twice_with_retain": ([2], [8.0]),
    "second_derivative": -0.9093,
    "written_after": [1.0],
    "function_of_a_user": ([[1.0, 2.0]], [20.0, 40.0]),
    "no_tensor": (
        "Output of saved tensor unpack_hook expected to be a Tensor but got result of type int"
    ),
    "a_hook_that_writes": True,
    "disabled": ["not here", "not here"],
    "on_the_host": [3.0, 4.0],
    "passes_that_were_met": [[2.0, 4.0], [2.0, 4.0], [20.0, 40.0], [20.0, 40.0]],
}


@pytest.mark.parametrize("case", CASES)
def test_hooks(case: Callable[[Any], Any]) -> None:
    assert case(lg) == FOUND[case.__name__]


@pytest.mark.torch
@pytest.mark.parametrize("case", CASES)
def test_they_are_pytorchs(case: Callable[[Any], Any]) -> None:
    assert case(pytest.importorskip("torch")) == FOUND[case.__name__]


@pytest.mark.parametrize("name", CALLS)
def test_gradients_are_those_without_hooks(name: str) -> None:
    x, y = leaf(lg, 1.0, 2.0, 0.5), leaf(lg, 3.0, -1.0, 0.25)
    CALLS[name](lg, x, y).sum().backward()
    plain = [None if t.grad is None else [round(v, 3) for v in t.grad.tolist()] for t in (x, y)]
    assert saved_by(CALLS[name])(lg)[1] == plain


@pytest.mark.torch
@pytest.mark.parametrize("name", CALLS)
def test_what_is_packed_is_pytorchs(name: str) -> None:
    case = saved_by(CALLS[name])
    assert case(lg) == case(pytest.importorskip("torch"))
