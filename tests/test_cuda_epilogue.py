"""What is done to a matrix product on a GPU: in the generated product, after that of cuBLAS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from test_epilogue import ENDS, Function, bits, leaves

import lazygrad as lg
import lazygrad.nn.functional as F
from lazygrad import debug
from lazygrad.codegen.cuda import product
from lazygrad.debug import Look
from lazygrad.ir.schedule import MatmulStep
from lazygrad.ir.structure import structure
from lazygrad.runtime.cuda.device import Backend
from lazygrad.runtime.device import device

if not lg.cuda.is_available():
    pytest.skip("needs a GPU, or `make test-emulated`", allow_module_level=True)

FLOATS = [lg.float32, lg.float64, lg.float16, lg.bfloat16]
# less than a tile, whole tiles, ends within one and within a piece of four; no terms
SIZES = [(1, 3, 8), (7, 30, 33), (64, 64, 64), (65, 17, 130), (128, 16, 128), (70, 0, 12)]


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    found = device("cuda:0")
    assert isinstance(found, Backend)
    return found


@pytest.fixture
def generated(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No library, and large tiles for small products too."""
    monkeypatch.setitem(backend.__dict__, "blas", None)
    monkeypatch.setattr(product, "BUSY", 2)
    yield


def look(*values: Any) -> Look:
    return Look(structure(debug.nodes_of(values)))


def on_gpu(values: list[Any]) -> list[Any]:
    return [value.cuda().realize() for value in values]


def same(got: Any, want: Any) -> None:
    assert got.dtype is want.dtype and got.shape == want.shape
    assert bits(got.cpu()) == bits(want.cpu())


def one_launch(*values: Any) -> MatmulStep:
    """The only step of a program: a product with all that follows it."""
    (step,) = look(*values).schedule.steps
    assert isinstance(step, MatmulStep) and step.epilogue is not None
    return step


@pytest.mark.usefixtures("generated")
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", ENDS)
def test_in_registers_is_afterwards(name: str, size: tuple[int, int, int]) -> None:
    x, w, b, r = on_gpu(leaves(*size))
    together = ENDS[name](x @ w, b, r)
    assert not one_launch(together).stored
    same(together, ENDS[name]((x @ w).realize(), b, r))


@pytest.mark.usefixtures("generated")
@pytest.mark.parametrize("dtype", [*FLOATS[1:], lg.int32, lg.int64, lg.uint8], ids=str)
@pytest.mark.parametrize("size", SIZES[2:4], ids=str)
def test_in_registers_in_other_dtypes(size: tuple[int, int, int], dtype: Any) -> None:
    x, w, b, r = (v.abs().to(dtype).realize() for v in on_gpu(leaves(*size)))
    together = (x @ w + b) * r
    one_launch(together)
    same(together, ((x @ w).realize() + b) * r)


@pytest.mark.usefixtures("generated")
def test_operands_of_any_layout_and_batches() -> None:
    rng = np.random.default_rng(0)

    def made(*shape: int) -> Any:
        return lg.tensor(rng.normal(size=shape).astype("f")).cuda().realize()

    x, w, wide = made(3, 70, 40), made(3, 40, 68), made(3, 70, 136)
    bias, rows = made(68), made(3, 1, 68)
    ends: list[Function] = [
        lambda p: p + bias + wide[:, :, :68],  # a part of each row, and a number for all
        lambda p: p * rows + 1,  # a row for each matrix
        lambda p: p + wide[:1, :, 3:71],  # no multiple of an access of 16 bytes
        lambda p: F.relu(p.view(3, 7, 10, 68) - wide[0, :7, :1, None]),
        lambda p: p * wide[:, :, 5:6],  # a number for each row
    ]
    for other in (w, w[1], w.transpose(1, 2).contiguous().realize().transpose(1, 2)):
        for end in ends:
            together = end(x @ other)
            one_launch(together)
            same(together, end((x @ other).realize()))


@pytest.mark.usefixtures("generated")
def test_a_product_that_others_read_is_stored_as_well() -> None:
    for n in (64, 67):
        x, w, b, _ = on_gpu(leaves(65, 20, n))
        product = x @ w
        ended = F.relu(product + b)
        assert one_launch(product, ended).stored
        lg.realize(product, ended)
        again = (x @ w).realize()
        same(product, again)
        same(ended, F.relu(again + b))


@pytest.mark.usefixtures("generated")
def test_the_same_end_in_two_products_of_a_unit() -> None:
    """One function is in the text of each."""
    x, w, b, _ = on_gpu(leaves(64, 64, 64))
    y = x[:, 1:].contiguous().realize()
    v = w[1:].contiguous().realize()
    first, second = F.relu(x @ w + b), F.relu(y @ v + b)
    lg.realize(first, second)
    same(first, F.relu((x @ w).realize() + b))
    same(second, F.relu((y @ v).realize() + b))


@pytest.mark.usefixtures("generated")
def test_a_product_in_registers_takes_no_memory() -> None:
    m, k, n = 64, 32, 48
    x, w, b, _ = on_gpu(leaves(m, k, n))
    summary = look(F.gelu(x @ w + b)).summary()
    assert len(summary["kernels"]) == 1
    assert summary["bytes"] == 4 * (m * k + k * n + n + m * n)
    assert summary["memory"]["arena"] == 0


@pytest.mark.usefixtures("generated")
def test_gradients_through_what_is_done_in_registers() -> None:
    values = leaves(33, 20, 40)[:3]
    grads = []
    for device_name in ("cpu", "cuda"):
        x, w, b = (v.to(device_name).detach().requires_grad_() for v in values)
        F.gelu(lg.addmm(b, x, w)).sum().backward()
        grads.append([v.grad.cpu().numpy() for v in (x, w, b)])
    for here, there in zip(*grads):
        np.testing.assert_allclose(there, here, rtol=2e-5, atol=2e-5)


@pytest.mark.usefixtures("generated")
def test_explain_and_source_say_what_is_done_where() -> None:
    x, w, b, _ = on_gpu(leaves(64, 32, 48))
    result = F.relu(x @ w + b)
    assert "done to the product in registers" in debug.explain(result)
    texts = "\n".join(source["text"] for source in look(result).sources())
    assert "// add at test_cuda_epilogue.py" in texts
