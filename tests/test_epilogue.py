"""Epilogues: what is done to a matrix product in its blocks, against the same done afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
import lazygrad.nn.functional as F
from lazygrad import debug
from lazygrad.debug import Look
from lazygrad.ir.schedule import MatmulStep
from lazygrad.ir.structure import structure

Function = Callable[..., Any]

# one row, one tile, several blocks of rows, of columns and of depth, and what is left over in each
SIZES = [(1, 3, 8), (4, 256, 24), (7, 300, 33), (50, 20, 200), (130, 520, 215), (96, 64, 9)]
ENDS: dict[str, Function] = {
    "bias": lambda p, b, r: p + b,
    "bias, gelu": lambda p, b, r: F.gelu(p + b),
    "rows": lambda p, b, r: p * r[:, :1] - b,
    "residual": lambda p, b, r: F.relu(p + b) + r,
    "mask": lambda p, b, r: lg.where(r > 0, p, 0.0),
    "number": lambda p, b, r: p * 0.5,
    "to another dtype": lambda p, b, r: (p + b).double(),
    "a comparison": lambda p, b, r: p > b,
    "twice": lambda p, b, r: p * lg.tanh(p),
}


def leaves(m: int, k: int, n: int, dtype: Any = lg.float32) -> list[Any]:
    rng = np.random.default_rng(m * n)
    shapes = ((m, k), (k, n), (n,), (m, n))
    return [lg.tensor(rng.normal(size=s).astype("f")).to(dtype).realize() for s in shapes]


def product_step(*outputs: Any) -> MatmulStep:
    look = Look(structure(debug.nodes_of(outputs)))
    (found,) = (s for s in look.schedule.steps if isinstance(s, MatmulStep))
    return found


def bits(value: Any) -> bytes:
    if value.dtype in (lg.bfloat16, lg.float16):
        value = value.float()  # exact
    found: bytes = value.contiguous().view(lg.uint8).numpy().tobytes()
    return found


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", ENDS)
def test_in_blocks_is_afterwards(name: str, size: tuple[int, int, int]) -> None:
    x, w, b, r = leaves(*size)
    together = ENDS[name](x @ w, b, r)
    assert product_step(together).epilogue is not None
    product = (x @ w).realize()
    assert bits(together) == bits(ENDS[name](product, b, r))


@pytest.mark.parametrize("dtype", [lg.float64, lg.bfloat16, lg.float16, lg.int32], ids=str)
def test_in_blocks_in_other_dtypes(dtype: Any) -> None:
    x, w, b, r = leaves(130, 300, 215, dtype)
    together = (x @ w + b) * r
    assert product_step(together).epilogue is not None
    product = (x @ w).realize()
    assert bits(together) == bits((product + b) * r)


@pytest.mark.parametrize("size", [(5, 40, 30, 50), (3, 64, 256, 384)], ids=str)
def test_in_blocks_of_a_batch(size: tuple[int, ...]) -> None:
    batch, m, k, n = size
    rng = np.random.default_rng(0)
    x, w, b = (
        lg.tensor(rng.normal(size=s).astype("f")) for s in ((batch, m, k), (batch, k, n), (n,))
    )
    for other in (w, w[0], w.transpose(1, 2).contiguous().transpose(1, 2)):
        together = F.gelu(x @ other + b).view(batch, m, 2, n // 2)
        assert product_step(together).epilogue is not None
        product = (x @ other).realize()
        assert bits(together) == bits(F.gelu(product + b))


def test_a_product_that_others_read_is_stored() -> None:
    x, w, b, _ = leaves(130, 300, 215)
    product = x @ w
    ended = F.relu(product + b)
    step = product_step(product, ended)
    assert step.epilogue is not None and step.kept
    lg.realize(product, ended)
    assert bits(ended) == bits(F.relu(product + b))
    np.testing.assert_allclose(product.numpy(), x.numpy() @ w.numpy(), rtol=1e-4, atol=1e-4)


def test_factors_are_not_written_over_before_the_last_block() -> None:
    """The epilogue is the last to read h, but every block of the product reads all of it."""
    x, w, b, _ = leaves(200, 300, 200)
    square = lg.tensor(np.random.default_rng(1).normal(size=(200, 200)).astype("f"))

    def made() -> tuple[Any, Any]:
        h = x @ w
        return h, (h @ square + b) * h

    _, together = made()
    h, _ = made()
    h = h.realize()
    product = (h @ square).realize()
    assert bits(together) == bits((product + b) * h)


def test_no_traffic_for_a_product_that_nobody_else_reads() -> None:
    m, k, n = 64, 32, 48
    x, w, b, _ = leaves(m, k, n)
    summary = Look(structure(debug.nodes_of([F.gelu(x @ w + b)]))).summary()
    assert len(summary["kernels"]) == 1
    assert summary["bytes"] == 4 * (m * k + k * n + n + m * n)
    assert summary["memory"]["arena"] == 0  # the product lies where the result will be


REFUSED: dict[str, tuple[Function, str]] = {
    "reduced": (lambda p, b, r: (p + b).sum(1), "its kernel reduces"),
    "short": (lambda p, b, r: p[:, :1] + 1, "elements, the product"),
    "turned": (lambda p, b, r: p.t() + r.t().contiguous(), "in another order"),
    "beside": (lambda p, b, r: p + r.t()[:, :1].t().expand(40, 40) + r.t(), "in another order"),
    "drawn": (lambda p, b, r: p + lg.randn(40, 40), "draws random numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_done_in_blocks_and_why(name: str) -> None:
    function, reason = REFUSED[name]
    x, w, b, r = leaves(40, 16, 40)
    result = function(x @ w, b, r)
    assert product_step(result).epilogue is None
    assert reason in debug.explain(result)


def test_a_value_made_from_the_product_between_them() -> None:
    """The reader needs a sum of the product as well: it can only come after all blocks."""
    x, w, _, _ = leaves(40, 16, 40)
    product = x @ w
    result = product * lg.softmax(product, 1).sum(0)
    assert product_step(result).epilogue is None
    again = (x @ w).realize()
    assert bits(result) == bits(again * lg.softmax(again, 1).sum(0))


def test_the_same_bits_on_any_number_of_threads() -> None:
    x, w, b, r = leaves(300, 520, 400)
    before = lg.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            lg.set_num_threads(threads)
            found.append(bits(F.gelu(x @ w + b) * r))
    finally:
        lg.set_num_threads(before)
    assert len(set(found)) == 1


def test_the_source_names_the_lines() -> None:
    x, w, b, _ = leaves(8, 8, 8)
    (source,) = (
        s["text"]
        for s in Look(structure(debug.nodes_of([F.relu(x @ w + b)]))).sources()
        if "epilogue over" in s["text"]
    )
    assert "// add at test_epilogue.py" in source


def test_a_product_has_one_epilogue() -> None:
    x, w, b, r = leaves(40, 16, 40)
    product = x @ w
    outputs = [F.relu(product + b), (product * r).sum(1)]
    step = product_step(*outputs)
    assert step.epilogue is not None and step.kept
    lg.realize(*outputs)
    again = (x @ w).realize()
    assert bits(outputs[0]) == bits(F.relu(again + b))
    assert bits(outputs[1]) == bits((again * r).sum(1))


def test_sums_of_products_have_the_last_one_in_blocks() -> None:
    x, w, b, _ = leaves(40, 16, 40)
    y, v, _, _ = leaves(40, 24, 40)
    result = lg.tanh(x @ w + y @ v + b)
    steps = Look(structure(debug.nodes_of([result]))).schedule.steps
    kernels = [s.epilogue is not None for s in steps if isinstance(s, MatmulStep)]
    assert len(steps) == 2 and sorted(kernels) == [False, True]
    first, second = (x @ w).realize(), (y @ v).realize()
    assert bits(result) == bits(lg.tanh(first + second + b))


def test_random_ends() -> None:
    """Any chain of the ends above, and blocks of products of products."""
    rng = np.random.default_rng(3)
    names = list(ENDS)[:6]
    for number in range(12):
        m, k, n = (int(v) for v in rng.integers(1, 80, 3))
        x, w, b, r = leaves(m, k, max(n, 8))
        chosen = [names[int(i)] for i in rng.integers(0, len(names), 2)]
        square = lg.tensor(rng.normal(size=(max(n, 8),) * 2).astype("f"))
        together = ENDS[chosen[1]](ENDS[chosen[0]](x @ w, b, r) @ square, b, r)
        first = ENDS[chosen[0]]((x @ w).realize(), b, r).realize()
        apart = ENDS[chosen[1]]((first @ square).realize(), b, r)
        assert bits(together) == bits(apart), (number, chosen)
