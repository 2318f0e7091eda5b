"""`next_functions`, the inputs of a record, are PyTorch's: (None, 0) for those without gradient."""

from __future__ import annotations

from typing import Any

import pytest

import lazygrad as lg

LEAF, NONE = ("AccumulateGrad", 0), (None, 0)
CASES: list[tuple[str, list[Any]]] = [
    ("x + n", [LEAF, NONE]),
    ("n + x", [NONE, LEAF]),
    ("x + x", [LEAF, LEAF]),
    ("x + 1", [LEAF, NONE]),
    ("2 * x", [LEAF, NONE]),
    ("x / 2", [LEAF, NONE]),
    ("1 - x", [LEAF]),
    ("x ** 2", [LEAF]),
    ("n ** x", [NONE, LEAF]),
    ("x @ n", [LEAF, NONE]),
    ("T.dot(n, x)", [NONE, LEAF]),
    ("T.where(x > 0, x, n)", [LEAF, NONE]),
    ("T.cat([x, n, x])", [LEAF, NONE, LEAF]),
    ("T.stack([n, x])", [NONE, LEAF]),
    ("T.maximum(x, n)", [LEAF, NONE]),
    ("T.addcmul(x, n, n)", [LEAF, NONE, NONE]),
    ("T.lerp(n, x, 0.5)", [NONE, LEAF]),
    ("T.atan2(n, x)", [NONE, LEAF]),
    ("x.exp()", [LEAF]),
    ("x.sum()", [LEAF]),
    ("x.gather(0, T.tensor([0]))", [LEAF]),
    ("x.masked_fill(n > 0, 2)", [LEAF]),
    ("n.scatter(0, T.tensor([0]), x)", [NONE, LEAF]),
    ("T.nn.functional.mse_loss(n, x)", [NONE, LEAF]),
    ("T.nn.functional.layer_norm(x, (3,), n, n)", [LEAF, NONE, NONE]),
    ("n.clone().mul_(x)", [NONE, LEAF]),
    ("n.clone().copy_(x)", [NONE, LEAF]),
    ("(x * 1).copy_(n)", [("MulBackward0", 0), NONE]),
    ("(x * 1).copy_(x)", [("MulBackward0", 0), LEAF]),
    ("T.nn.functional.batch_norm(x.view(1, 3), n, n, n, x)", [("ViewBackward0", 0), NONE, LEAF]),
    ("T.nn.functional.batch_norm(x.view(1, 3), n, n)", [("ViewBackward0", 0), NONE, NONE]),
    ("T.nn.functional.prelu(x, T.ones(1))", [LEAF, NONE]),
    (
        "T.nn.functional.conv1d(n.view(1, 1, 3), x.view(1, 1, 3))",
        [NONE, ("ViewBackward0", 0), NONE],
    ),
    ("T.nn.functional.bilinear(x, n, T.ones(2, 3, 3))", [("TrilinearBackward0", 0)]),
]


def inputs(library: Any, call: str) -> list[Any]:
    x, n = library.ones(3, requires_grad=True), library.ones(3)
    found = eval(call, {"T": library, "x": x, "n": n}).grad_fn.next_functions
    return [(None if fn is None else fn.name().rpartition("::")[2], at) for fn, at in found]


@pytest.mark.parametrize(("call", "wanted"), CASES)
def test_next_functions(call: str, wanted: list[Any]) -> None:
    assert inputs(lg, call) == wanted


@pytest.mark.torch
@pytest.mark.parametrize(("call", "wanted"), CASES)
def test_they_are_pytorchs(call: str, wanted: list[Any]) -> None:
    assert inputs(pytest.importorskip("torch"), call) == wanted
