"""`next_functions`, the inputs of a record, are PyTorch's: (None, 0) for those without gradient."""

from __future__ import annotations

import re
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


# The graph behind a call: name, or a list of a name and what it is computed from.
WALKS = """
T.einsum("ij,jk->ik", a, b) | T.einsum("ij,jk->ik", a, n)
T.einsum("ij->j", a) | T.einsum("ii", a)
T.einsum("ii->i", a) | T.einsum("ij,ij->ij", a, b)
T.einsum("ij,ij->", a, b) | T.einsum("bij,jk", c, a)
T.einsum("i,j->ij", x, y) | T.einsum("ij,j->i", a, x) | T.einsum("...ij,...jk->...ik", c, a)
T.einsum("ij,kj->ik", a, b) | T.einsum("i,i->", x, y) | T.einsum("ij->ji", a)
F.linear(x, a) | F.linear(x, a, y) | F.linear(a, b) | F.linear(a, b, x) | F.linear(c, a)
F.linear(c, a, x) | F.linear(n, a, x) | F.linear(a, n, x) | F.linear(a, b, n[0]) | F.linear(c, n, x)
F.linear(c.transpose(0, 1), a) | F.linear(c.unsqueeze(0), a, x)
F.rms_norm(a, (3,)) | F.rms_norm(a, (3,), x) | F.rms_norm(a, (3,), n[0]) | F.rms_norm(n, (3,), x)
T.kron(a, b) | T.kron(x, a) | T.kron(a, n) | T.cdist(a, b) | T.cdist(a, n) | T.cdist(a, b, p=1)
F.normalize(a) | F.normalize(x, dim=0) | F.normalize(a, p=1) | F.pairwise_distance(a, b)
F.cosine_similarity(a, b)
a.repeat_interleave(2) | a.repeat_interleave(2, 1) | a.repeat_interleave(T.tensor([1, 2, 1]), 0)
T.matmul(c, a) | T.matmul(c, x) | T.matmul(x, c) | T.matmul(c, c) | T.matmul(c, c.transpose(1, 2))
T.matmul(c[None].transpose(1, 2), c[None]) | a.t().flatten() | a.t().reshape(9)
"""


def operands(library: Any) -> dict[str, Any]:
    def leaf(*shape: int) -> Any:
        return library.ones(shape, requires_grad=True)

    made = {"a": leaf(3, 3), "b": leaf(3, 3), "c": leaf(3, 3, 3), "x": leaf(3), "y": leaf(3)}
    return {**made, "n": library.ones(3, 3), "T": library, "F": library.nn.functional}


def walk(library: Any, call: str) -> Any:
    names = operands(library)
    leaves = {id(t): name for name, t in names.items()}

    def of(fn: Any, number: int) -> Any:
        if fn is None:
            return None
        name = fn.name().rpartition("::")[2]
        if name == "AccumulateGrad":
            return leaves[id(fn.variable)]
        return [name, number, *(of(*end) for end in fn.next_functions)]

    made = eval(call, names)
    return of(made.grad_fn, made.output_nr)


@pytest.mark.torch
@pytest.mark.parametrize("call", [c.strip() for c in re.split(r"[|\n]", WALKS) if c.strip()])
def test_the_graph_is_pytorchs_to_its_leaves(call: str) -> None:
    assert walk(lg, call) == walk(pytest.importorskip("torch"), call)


def test_steps_of_a_record_are_walked_and_not_hooked() -> None:
    x, w, b = (lg.ones(s, requires_grad=True) for s in ((2, 3), (4, 3), (4,)))
    fn = lg.nn.functional.linear(x, w, b).grad_fn
    (bias, _), (left, _), (step, _) = fn.next_functions
    assert fn.next_functions[2][0] is step and step.name() == "TBackward0"
    assert (bias.variable, left.variable, step.next_functions[0][0].variable) == (b, x, w)
    with pytest.raises(RuntimeError, match="a step of one function"):
        step.register_hook(print)


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
