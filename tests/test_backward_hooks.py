"""Backward hooks of modules: what they see and what they change is what PyTorch's do."""

from __future__ import annotations

from typing import Any

import pytest

import lazygrad as lg


def listed(grads: Any) -> list[Any]:
    return [None if g is None else g.tolist() for g in grads]


def pair(T: Any) -> Any:
    """A module of two inputs and two outputs."""

    class Pair(T.nn.Module):
        def forward(self, x: Any, y: Any) -> Any:
            return x * y, x + 1

    return Pair()


def scene(T: Any, name: str) -> Any:
    """What the hooks of one scene saw, and the gradients then."""
    seen: list[Any] = []

    def see(module: Any, *grads: Any) -> None:
        seen.append([type(module).__name__, *map(listed, grads)])

    x = T.tensor([1.0, 2.0], requires_grad=name != "no_input")
    y = T.tensor([3.0, 5.0], requires_grad=name == "both")
    if name in ("no_input", "layer"):
        module = T.nn.Linear(2, 1, bias=False)
        with T.no_grad():
            module.weight.copy_(T.tensor([[2.0, -1.0]]))
        module.register_full_backward_hook(see)
        module(x).sum().backward()
        return seen, listed([x.grad, module.weight.grad])
    module = pair(T)
    if name == "changed":
        module.register_full_backward_pre_hook(lambda m, g: (g[0] * 2, g[1] * 3))
        module.register_full_backward_hook(lambda m, gi, go: (gi[0] * 10, None))
    if name == "too_many":
        module.register_full_backward_hook(lambda m, gi, go: (None,))
    module.register_full_backward_pre_hook(see)
    module.register_full_backward_hook(see)
    module.register_full_backward_hook(lambda m, gi, go: seen.append("first"), prepend=True)
    handle = module.register_full_backward_hook(lambda m, gi, go: seen.append("removed"))
    handle.remove()
    product, more = module(x, y)
    try:
        (product if name == "one_output" else product + more).sum().backward()
    except RuntimeError as error:
        seen.append(str(error))
    names = [t.grad_fn.name() for t in (product, more)]
    return seen, listed([x.grad, y.grad]), names


BACKWARD = "BackwardHookFunctionBackward"
PRE = ["Pair", [[1.0, 1.0], [1.0, 1.0]]]
SCENES: dict[str, Any] = {
    "both": (
        [PRE, "first", ["Pair", [[4.0, 6.0], [1.0, 2.0]], PRE[1]]],
        [[4.0, 6.0], [1.0, 2.0]],
        [BACKWARD] * 2,
    ),
    "one": (
        [PRE, "first", ["Pair", [[4.0, 6.0], [0.0, 0.0]], PRE[1]]],
        [[4.0, 6.0], None],
        [BACKWARD] * 2,
    ),
    "layer": ([["Linear", [[2.0, -1.0]], [[1.0]]]], [[2.0, -1.0], [[1.0, 2.0]]]),
    "no_input": ([["Linear", [None], [[1.0]]]], [None, [[1.0, 2.0]]]),
    "changed": (
        [
            ["Pair", [[2.0, 2.0], [3.0, 3.0]]],
            "first",
            ["Pair", [[90.0, 130.0], None], [[2.0, 2.0], [3.0, 3.0]]],
        ],
        [[90.0, 130.0], None],
        [BACKWARD] * 2,
    ),
    "too_many": (
        [
            PRE,
            "first",
            "Backward hook returned an invalid number of grad_input, got 1, but expected 2",
        ],
        [None, None],
        [BACKWARD] * 2,
    ),
}


@pytest.mark.filterwarnings("ignore:Full backward hook")
@pytest.mark.parametrize("name", list(SCENES))
def test_hooks_see_and_change_gradients(name: str) -> None:
    assert scene(lg, name) == SCENES[name]


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Full backward hook")
@pytest.mark.parametrize("name", [*SCENES, "one_output"])
def test_they_are_pytorchs(name: str) -> None:
    assert scene(lg, name) == scene(pytest.importorskip("torch"), name)


def test_a_hook_where_no_input_has_a_gradient_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="no inputs require gradients"):
        scene(lg, "no_input")


def test_without_gradients_nothing_is_seen() -> None:
    module = pair(lg)
    module.register_full_backward_hook(lambda *_: pytest.fail("called"))
    x = lg.tensor([1.0], requires_grad=True)
    with lg.no_grad():
        assert module(x, x)[0].grad_fn is None
