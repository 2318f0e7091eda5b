"""Matrix products and what follows them, on the three ways that a GPU has: cuBLASLt with its
epilogues, cuBLAS and a kernel, the generated product."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from test_cuda_epilogue import FLOATS, on_gpu, same
from test_epilogue import leaves

import lazygrad as lg
import lazygrad.nn.functional as F
from lazygrad import debug
from lazygrad.config import config
from lazygrad.ir.structure import structure
from lazygrad.runtime.cuda import blaslt
from lazygrad.runtime.cuda.device import Backend
from lazygrad.runtime.device import device

if not lg.cuda.is_available():
    pytest.skip("needs a GPU, or `make test-emulated`", allow_module_level=True)

Op = Callable[..., Any]
EMULATED = "EMULATOR_RUNNING" in os.environ
emulated = pytest.mark.skipif(not EMULATED, reason="of the emulated library")


class Ways:
    """One device, on which libraries can be left out."""

    def __init__(self, backend: Backend, monkeypatch: pytest.MonkeyPatch):
        self.backend, self.monkeypatch = backend, monkeypatch
        assert backend.blas is not None and backend.blas.lt is not None
        self.blas, self.lt = backend.blas, backend.blas.lt
        self.take("cublaslt")

    def take(self, way: str) -> None:
        """Only what is as far as this: programs and algorithms found so far are forgotten."""
        self.monkeypatch.setattr(sys.modules["lazygrad.realize"], "_programs", {})
        self.monkeypatch.setattr(self.lt, "_known", {})
        self.lt.__dict__.pop("keeps_nan", None)
        self.monkeypatch.setattr(self.blas, "lt", self.lt if way == "cublaslt" else None)
        there = None if way == "generated" else self.blas
        self.monkeypatch.setitem(self.backend.__dict__, "blas", there)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ways]:
    backend = device("cuda:0")
    assert isinstance(backend, Backend)
    if backend.blaslt is None:
        pytest.skip("there is no cuBLASLt here")
    found = Ways(backend, monkeypatch)
    yield found
    found.lt.__dict__.pop("keeps_nan", None)


def names(*values: Any) -> list[str]:
    """What is launched for these."""
    look = debug.Look(structure(debug.nodes_of(values)))
    return [look.name_of(step) for step in look.schedule.steps]


OPS: dict[str, tuple[Op, str]] = {  # and the epilogue that cuBLASLt has for it
    "mm": (lambda x, w, b: x @ w, ""),
    "addmm": (lambda x, w, b: lg.addmm(b, x, w), "bias"),
    "linear": (lambda x, w, b: F.linear(x, w.t().contiguous().realize(), b), "bias"),
    "linear of rows": (lambda x, w, b: F.linear(x.view(5, -1, x.shape[1]), w.t(), b), "bias"),
    "relu": (lambda x, w, b: F.relu(x @ w), "relu"),
    "linear, relu": (lambda x, w, b: F.relu(lg.addmm(b, x, w)), "bias_relu"),
    "linear, gelu": (lambda x, w, b: F.gelu(lg.addmm(b, x, w)), "-"),
    "linear, tanh gelu": (lambda x, w, b: F.gelu(lg.addmm(b, x, w), "tanh"), "-"),
    "a column": (lambda x, w, b: x @ w + b[: x.shape[0], None], "-"),
    "scaled": (lambda x, w, b: lg.addmm(b, x, w, alpha=0.5), "-"),
    "a part of a bias": (lambda x, w, b: x @ w[:, 4:] + b[3:-1], "bias"),
    "batched": (lambda x, w, b: x.view(5, -1, x.shape[1]) @ w.expand(5, *w.shape) + b, "bias"),
    "turned": (lambda x, w, b: x.t().contiguous().realize().t() @ w + b, "bias"),
    "bias before": (lambda x, w, b: b + x @ w, "bias"),
    "another dtype": (lambda x, w, b: (x @ w + b).to(lg.int32), "-"),
}
SIZES = [(10, 7, 24), (65, 33, 70)]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", OPS)
def test_three_ways(name: str, dtype: Any, ways: Ways) -> None:
    """Launches of each, values near each other, and none that depends on what follows a product."""
    op, epilogue = OPS[name]
    size = SIZES[len(name) % 2]
    values = [v.abs().to(dtype).realize() for v in leaves(*size)[:3]]
    values[0] = (values[0] - 0.5).realize()  # so that relu has something to do
    want = op(*values).double().numpy()
    given = on_gpu(values)
    tolerance = {lg.float16: 2e-2, lg.bfloat16: 2e-1}.get(dtype, 1e-4)
    half = dtype in (lg.float16, lg.bfloat16)
    for way in ("cublaslt", "cublas", "generated"):
        ways.take(way)
        result = op(*given)
        launched = names(result)
        if half and name in ("linear", "linear of rows"):  # computed in float32, rounded once
            assert sum("cublas" in one or "matmul" in one for one in launched) == 1
        elif way == "generated":
            assert len(launched) == 1 and launched[0].startswith("lg_matmul")
        elif way == "cublas" or half:
            assert launched[0] == f"cublas_{dtype.name}"
            assert len(launched) == 1 + (epilogue != "")
        elif EMULATED or launched[0].startswith("cublaslt"):  # others may have no algorithm
            end = f"_{epilogue}" if epilogue not in ("", "-") else ""
            assert launched[0] == f"cublaslt_{dtype.name}{end}"
            assert len(launched) == 1 + (epilogue == "-")
        np.testing.assert_allclose(result.double().cpu(), want, rtol=tolerance, atol=tolerance)


PARTS: dict[str, tuple[Op, Op]] = {
    "bias": (lambda x, w: x @ w, lambda p, b: p + b),
    "bias_relu": (lambda x, w: x @ w, lambda p, b: F.relu(p + b)),
    "relu": (lambda x, w: x @ w, lambda p, b: F.relu(p)),
    "batched": (lambda x, w: x.view(5, 13, -1) @ w.expand(5, *w.shape), lambda p, b: F.relu(p + b)),
    "turned": (lambda x, w: w.t() @ x.t(), lambda p, b: F.relu(p + b[:65])),
    "off 16 bytes": (lambda x, w: x[:, 1:] @ w[1:, 3:], lambda p, b: p + b[3:]),
}


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", PARTS)
def test_a_product_has_the_same_bits_whatever_follows(name: str, dtype: Any, ways: Ways) -> None:
    made, end = PARTS[name]
    given = [v.to(dtype).realize() for v in on_gpu(leaves(65, 40, 72)[:3])]
    x, w, b = given
    for way in ("cublaslt", "cublas", "generated"):
        ways.take(way)
        same(end(made(x, w), b), end(made(x, w).realize(), b))


@pytest.mark.parametrize("way", ["cublaslt", "cublas", "generated"])
def test_nan_and_infinity_come_through(way: str, ways: Ways) -> None:
    x = lg.ones(8, 8)
    x[1, 1], x[2, 2], x[3, 3] = float("nan"), float("inf"), -float("inf")
    b, w = -8 * lg.ones(8), lg.ones(8, 8)
    want = F.relu(x @ w + b).numpy()
    ways.take(way)
    got = F.relu(x.cuda() @ w.cuda() + b.cuda()).cpu().numpy()
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("way", ["cublaslt", "cublas", "generated"])
def test_gradients(way: str, ways: Ways) -> None:
    ways.take(way)
    values = leaves(33, 20, 40)[:3]
    found = []
    for where in ("cpu", "cuda"):
        x, w, b = (v.to(where).detach().requires_grad_() for v in values)
        F.relu(lg.addmm(b, x, w)).square().sum().backward()
        found.append([v.grad.cpu().numpy() for v in (x, w, b)])
    for here, there in zip(*found):
        np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("way", ["cublaslt", "cublas", "generated"])
@pytest.mark.parametrize("size", [(0, 4, 9), (4, 0, 9), (4, 9, 0), (0, 0, 0)], ids=str)
def test_empty_sizes(size: tuple[int, int, int], way: str, ways: Ways) -> None:
    ways.take(way)
    m, k, n = size
    result = F.relu(lg.addmm(lg.ones(n).cuda(), lg.ones(m, k).cuda(), lg.ones(k, n).cuda()))
    assert result.cpu().numpy().tolist() == np.ones((m, n)).tolist()


def test_a_product_that_others_read_is_finished_by_a_kernel(ways: Ways) -> None:
    x, w, b, _ = on_gpu(leaves(20, 10, 16))
    product = x @ w
    ended = F.relu(product + b)
    assert names(product, ended)[0] == "cublaslt_float32"
    assert "which something else reads" in debug.explain(product, ended)


def test_tf32_is_used_where_it_is_asked_for(ways: Ways) -> None:
    """Of the compute types 68 is float32, 77 TF32."""
    x, w, b, _ = on_gpu(leaves(20, 10, 16))
    assert blaslt.compute_type("float32") == 68
    ways.monkeypatch.setattr(config, "tf32", True)
    assert blaslt.compute_type("float32") == 77 and blaslt.compute_type("float64") == 70
    same(x @ w + b, (x @ w).realize() + b)
    used = {key[1] for key in ways.lt._known}
    assert 77 in used


def test_a_step_is_replayed_with_other_biases(ways: Ways) -> None:
    """A CUDA graph keeps the bias that it was captured with."""
    x, w, b, _ = on_gpu(leaves(20, 10, 16))

    @lg.jit
    def step(x: Any, b: Any) -> Any:
        return F.relu(x @ w + b)

    for k in range(6):
        other = (b * (1 + k)).realize()
        same(step(x, other), F.relu((x @ w).realize() + other))


def test_an_algorithm_is_searched_once_for_a_shape(ways: Ways) -> None:
    lt = ways.lt
    searched = []
    real = lt._search

    def noted(*args: Any) -> Any:
        searched.append(args[:2])
        return real(*args)

    ways.monkeypatch.setattr(lt, "_search", noted)
    x, w, b, _ = on_gpu(leaves(20, 10, 16))
    for _ in range(3):
        (x @ w + b).realize()
        (x @ w).realize()
        (x @ w * 2 + b).realize()
    assert sorted(searched) == [("float32", ""), ("float32", "bias")]


# -- what the libraries may lack ------------------------------------------------------------------
LACKING: dict[str, tuple[str, str, str]] = {  # what is launched for a bias, for relu; explain
    "a": ("cublas_float32", "cublas_float32", "for which cuBLASLt has no algorithm"),
    "e": ("cublaslt_float32", "cublaslt_float32", "has no epilogue BIAS_RELU"),
    "n": ("cublaslt_float32_bias", "cublaslt_float32", "cuBLASLt's relu loses NaN"),
}


@emulated
@pytest.mark.parametrize("lack", LACKING)
def test_what_cublaslt_cannot_do_is_done_otherwise(lack: str, ways: Ways) -> None:
    bias, relu, reason = LACKING[lack]
    x, w, b, _ = on_gpu(leaves(20, 10, 16))
    ways.monkeypatch.setenv("EMULATOR_LT", lack)
    ways.take("cublaslt")
    assert names(x @ w + b)[0] == bias
    ended = F.relu(x @ w + b)
    assert names(ended)[0] == relu
    assert reason in debug.explain(ended)
    same(ended, F.relu((x @ w).realize() + b))
    np.testing.assert_allclose(
        (x @ w + b).cpu().numpy(), x.cpu().numpy() @ w.cpu().numpy() + b.cpu().numpy(), rtol=1e-4
    )


@emulated
def test_without_cublaslt_explain_says_so(ways: Ways) -> None:
    x, w, b, _ = on_gpu(leaves(20, 10, 16))
    ways.take("cublas")
    assert "there is no cuBLASLt here" in debug.explain(x @ w + b)
    ways.take("generated")
    assert "done to the product in registers" in debug.explain(x @ w + b)
    ways.take("cublaslt")
    half = debug.explain(x.half() @ w.half() + b.half())
    assert "would round float16 once where two ops round twice" in half
    assert "only a bias and relu give the bits" in debug.explain(F.gelu(x @ w + b, "tanh"))
    assert "by its epilogue BIAS" in debug.explain(x @ w + b)


# -- faults in our calls: the emulated library refuses them, or values differ ----------------------
@emulated
def test_a_wrong_leading_dimension_is_refused(ways: Ways, capfd: Any) -> None:
    real = blaslt.layout

    def less(*args: int) -> Any:
        found = real(*args)
        assert found is not None
        return type(found)(found.transposed, found.leading - 1)

    ways.monkeypatch.setattr(blaslt, "layout", less)
    x, w, b, _ = on_gpu(leaves(20, 10, 16))
    launched = names(x @ w + b)  # every search is refused
    assert launched[0] == "cublas_float32"
    assert "leading dimension" in capfd.readouterr().err


@emulated
def test_a_longer_leading_dimension_reads_past_the_end(ways: Ways, capfd: Any) -> None:
    real = blaslt.layout

    def more(*args: int) -> Any:
        found = real(*args)
        assert found is not None
        return type(found)(found.transposed, found.leading + 1000)

    ways.monkeypatch.setattr(blaslt, "layout", more)
    x, w, b, _ = on_gpu(leaves(20, 10, 16))
    with pytest.raises(RuntimeError, match="cublasLtMatmul failed"):
        (x @ w + b).tolist()
    assert "does not lie in one block of memory" in capfd.readouterr().err


@emulated
@pytest.mark.parametrize("off, words", [(2, "the bias"), (1 << 40, "the bias")])
def test_a_wrong_bias_is_refused(off: int, words: str, ways: Ways, capfd: Any) -> None:
    lt = ways.lt
    real = lt.matmul

    def moved(dtype: str, epilogue: str, at: Any, dims: Any, stream: Any) -> None:
        real(dtype, epilogue, at, [*dims[:-1], dims[-1] + off], stream)

    ways.monkeypatch.setattr(lt, "matmul", moved)
    x, w, b, _ = on_gpu(leaves(20, 10, 16))
    with pytest.raises(RuntimeError, match="cublasLtMatmul failed"):
        (x @ w + b).tolist()
    assert words in capfd.readouterr().err


@emulated
def test_a_workspace_that_is_too_small_is_refused(ways: Ways, capfd: Any) -> None:
    real = ways.lt._prepared

    def less(*args: Any) -> Any:
        found = real(*args)
        if found is not None:
            found.workspace = max(0, found.workspace - 1)
        return found

    ways.monkeypatch.setattr(ways.lt, "_prepared", less)
    x, w, b, _ = on_gpu(leaves(20, 10, 16))
    with pytest.raises(RuntimeError, match="cublasLtMatmul failed"):
        (x @ w + b).tolist()
    assert "bytes, where 2560 are needed" in capfd.readouterr().err


@emulated
@pytest.mark.parametrize("dtype", [lg.float32, lg.float64], ids=str)
def test_a_wrong_compute_type_is_refused(dtype: Any, ways: Ways, capfd: Any) -> None:
    ways.monkeypatch.setattr(blaslt, "compute_type", lambda name: 64)  # of half types
    x, w, b, _ = (v.to(dtype).realize() for v in on_gpu(leaves(20, 10, 16)))
    assert names(x @ w + b)[0] == f"cublas_{dtype.name}"
    assert "compute type 64" in capfd.readouterr().err


@emulated
def test_an_epilogue_on_the_wrong_side_shows(ways: Ways) -> None:
    """With the operands exchanged the bias would go down the columns of C."""
    lt = ways.lt
    real = lt.matmul

    def exchanged(dtype: str, epilogue: str, at: Any, dims: Any, stream: Any) -> None:
        axes, m, n, k, ai, ak, bk, bj, ci, cj, *rest = dims
        turned = (axes, n, m, k, bj, bk, ak, ai, ci, cj, *rest)  # C' = B' A', stored as C
        real(dtype, epilogue, (at[1], at[0], *at[2:]), turned, stream)

    x, w, b, _ = on_gpu(leaves(16, 10, 16))
    want = (x.cpu() @ w.cpu() + b.cpu()).numpy()
    np.testing.assert_allclose((x @ w + b).cpu().numpy(), want, rtol=1e-4, atol=1e-5)
    ways.monkeypatch.setattr(lt, "matmul", exchanged)
    wrong = (x @ w + b + 0).cpu().numpy()
    assert not np.allclose(wrong, want)


@emulated
def test_a_search_with_the_epilogue_would_give_other_bits(ways: Ways) -> None:
    """That is why the algorithm of the plain product is used with every end."""
    lt = ways.lt
    x, w, b, _ = on_gpu(leaves(65, 40, 72))
    want = ((x @ w).realize() + b).cpu().numpy()
    real = lt._search

    def by_itself(dtype: str, epilogue: str, dims: Any, ready: Any, found: Any) -> Any:
        return real(dtype, "", dims, ready, found)

    ways.monkeypatch.setattr(lt, "_search", by_itself)
    got = (x @ w + b).cpu().numpy()
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    assert got.tobytes() != want.tobytes()
