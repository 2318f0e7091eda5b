"""Scans and sorting: compiled = interpreter = PyTorch, on every dtype, axis and special value."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from graphs import DEVICE, compiled, interpreted, leaf, same_bits

import lazygrad as lg
from lazygrad.debug import Look
from lazygrad.ir import ops
from lazygrad.ir.dtypes import ALL, DType, bool_, float16, float32, float64, int32, uint8
from lazygrad.ir.node import Node
from lazygrad.ir.ops import Op
from lazygrad.ir.structure import structure
from lazygrad.runtime.build import build_program
from lazygrad.tensor.core import node_of

SHAPES = ((0,), (1,), (7,), (33,), (1000,), (5, 33), (3, 70, 4), (2, 0, 3))
LONG = ((9001,), (2, 8192), (700, 3))  # a GPU takes them in parts
SCANS = [ops.cumsum, ops.cumprod, ops.logcumsumexp, ops.argcummax, ops.argcummin]


def values(shape: tuple[int, ...], dtype: DType, special: bool = True) -> np.ndarray:
    """Values with many equal ones; floats with NaN, infinities and zeros of both signs."""
    rng = np.random.default_rng(zlib.crc32(repr((shape, dtype.name)).encode()))
    if dtype.kind != "f":
        low = 0 if dtype.kind in "bu" else -100
        return rng.integers(low, 2 if dtype is bool_ else 100, shape).astype(dtype.np)
    x = np.round(rng.normal(size=shape) * 4) / 4 + rng.choice([0, 1e-2], shape)
    for value, share in ((0.0, 0.1), (-0.0, 0.1), (np.nan, 0.03), (np.inf, 0.02), (-np.inf, 0.02)):
        if special or value == 0:
            x = np.where(rng.random(shape) < share, value, x)
    return x.astype(np.float64 if dtype is float64 else np.float32)


def made(op: Op, dtype: DType, args: Any) -> list[Node]:
    return [
        op(leaf(values(shape, dtype), dtype), arg=arg)
        for shape in SHAPES
        for axis in range(len(shape))
        for arg in args(axis)
    ]


def close(have: np.ndarray, wanted: np.ndarray, dtype: DType) -> bool:
    eps = {"float64": 1e-15, "float32": 2e-7, "float16": 2e-3, "bfloat16": 2e-2}[dtype.name]
    # sums that cancel are off by a share of what was added, products by one of their length
    added = 1e-15 * len(wanted.reshape(-1)) if dtype is float64 else eps
    return np.allclose(have, wanted, rtol=max(eps, added), atol=max(eps, added), equal_nan=True)


@pytest.mark.parametrize("dtype", ALL, ids=lambda d: d.name)
@pytest.mark.parametrize("op", SCANS, ids=lambda o: o.name)
def test_scans_are_those_of_the_interpreter(op: Op, dtype: DType) -> None:
    if dtype.kind not in op.kinds or (dtype is bool_ and op in (ops.cumsum, ops.cumprod)):
        return
    outputs = made(op, dtype, lambda axis: [axis])
    want = interpreted(outputs)
    for have, wanted, node in zip(compiled(outputs), want, outputs):
        # the last bit of libm; and a GPU adds in another order, in float64
        combined = op in (ops.cumsum, ops.cumprod) and dtype.kind == "f" and DEVICE != "cpu"
        if op is ops.logcumsumexp or combined:
            assert close(have, wanted, dtype), node
        else:
            assert same_bits(have, wanted), node


@pytest.mark.parametrize("dtype", ALL, ids=lambda d: d.name)
def test_argsort_is_that_of_the_interpreter(dtype: DType) -> None:
    outputs = made(ops.argsort, dtype, lambda axis: [(axis, False), (axis, True)])
    want = interpreted(outputs)
    for have, wanted, node in zip(compiled(outputs), want, outputs):
        assert np.array_equal(have, wanted), node


@pytest.mark.parametrize("dtype", [float64, float32, float16, int32, uint8], ids=lambda d: d.name)
def test_long_axes(dtype: DType) -> None:
    cases = [
        (op, leaf(values(shape, dtype), dtype), axis)
        for shape in LONG
        for axis in range(len(shape))
        for op in (*SCANS, ops.argsort)
        if dtype.kind in op.kinds
    ]
    outputs = [op(x, arg=(at, True) if op is ops.argsort else at) for op, x, at in cases]
    want = interpreted(outputs)
    for have, wanted, node in zip(compiled(outputs), want, outputs):
        if node.dtype.kind == "f":
            assert close(have, wanted, dtype), node
        else:
            assert np.array_equal(have, wanted), node


@pytest.mark.parametrize("dtype", ALL, ids=lambda d: d.name)
def test_ranks_are_those_of_the_interpreter(dtype: DType) -> None:
    """A few positions of the sorted order: at its start, within and at its end."""
    outputs = []
    for shape in (*SHAPES, (4000,)):
        x = leaf(values(shape, dtype), dtype)
        for axis, n in enumerate(shape):
            spans = {(0, min(n, 3)), (n // 2, min(n, 1)), (n - min(n, 5), min(n, 5)), (0, n)}
            outputs += [
                ops.argrank(x, arg=(axis, down, first, count))
                for first, count in sorted(spans)
                for down in (False, True)
            ]
    want = interpreted(outputs)
    for have, wanted, node in zip(compiled(outputs), want, outputs):
        assert np.array_equal(have, wanted), node


@pytest.mark.parametrize("dtype", [d for d in ALL if d.kind == "f"], ids=lambda d: d.name)
def test_recurrences_are_those_of_the_interpreter(dtype: DType) -> None:
    def factors(shape: tuple[int, ...]) -> np.ndarray:
        found = values(shape, dtype)
        # elsewhere factors are multiplied first: if one is infinite, 0 times it comes out otherwise
        return found if DEVICE == "cpu" else np.where(np.isfinite(found), found, 1).astype(dtype.np)

    def same(have: np.ndarray, wanted: np.ndarray) -> bool:
        if dtype is float64 and DEVICE != "cpu":  # there float64 has no wider sums
            return np.allclose(have, wanted, rtol=1e-12, atol=1e-12, equal_nan=True)
        return same_bits(have, wanted)

    outputs = [
        ops.recurrence(leaf(factors(s), dtype), leaf(values(s, dtype)[::-1], dtype), arg=axis)
        for s in SHAPES
        for axis in range(len(s))
    ]
    want = interpreted(outputs)
    for have, wanted, node in zip(compiled(outputs), want, outputs):
        assert same(have, wanted), node


def test_the_gradient_of_a_product_with_zeros() -> None:
    x = lg.tensor([2.0, 0.0, 3.0, 0.0, 5.0], dtype=lg.float64, requires_grad=True)
    x.cumprod(0).sum().backward()
    assert x.grad.tolist() == [1.0, 8.0, 0.0, 0.0, 0.0]
    assert lg.autograd.gradgradcheck(lambda t: t.cumprod(0), (x,))


def test_factors_whose_product_is_too_large() -> None:
    last = np.zeros(3000, np.float32)
    last[-1] = 1
    for shape, axis in (((3000,), 0), ((3000, 1), 0), ((1, 3000), 1)):
        factors, terms = leaf(np.full(shape, 2, np.float32)), leaf(last.reshape(shape))
        (got,) = compiled([ops.recurrence(factors, terms, arg=axis)])
        assert np.array_equal(got, last.reshape(shape))


def test_extreme_bits_are_sorted() -> None:
    """All float16 numbers, and the ends of the other types."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    rng = np.random.default_rng(0)
    x = lg.tensor(rng.permutation(halves)).half()
    got = x.sort(stable=True)[0].float().numpy()
    assert np.array_equal(got, np.sort(halves), equal_nan=True)
    for kind in (np.int8, np.int16, np.int32, np.int64):
        info = np.iinfo(kind)
        ends = np.array([0, info.max, -1, info.min, 1, info.max - 1, info.min + 1] * 9, kind)
        assert np.array_equal(lg.tensor(ends).sort()[0].numpy(), np.sort(ends))
    tiny = np.array([5e-324, -5e-324, 0, 2.3e-308, -1.8e308, 1.7e308] * 9)
    assert np.array_equal(lg.tensor(tiny).sort()[0].numpy(), np.sort(tiny))


def test_scans_and_sorting_are_in_one_program() -> None:
    x = lg.tensor(values((40, 50), float64, False))
    y = (x * 2).sort(1)[0].cumsum(0).cummax(1)[0] + (x + 1).logcumsumexp(1)
    program, _ = build_program(structure([node_of(y)]))
    assert not program.host_nodes and len(program.parts) == 1
    names = [launch.name for launch in program.parts[0]]
    assert {n for n in names if n.startswith(("lg_a", "lg_c", "lg_l"))}


def test_logcumsumexp_neither_overflows_nor_underflows() -> None:
    x = lg.tensor([-1000.0, 0.0, 1000.0, 1000.0], dtype=lg.float64)
    want = [-1000.0, 0.0, 1000.0, 1000.0 + np.log(2)]
    assert np.allclose(x.logcumsumexp(0).numpy(), want, rtol=1e-15)
    none = lg.full((3,), -np.inf)
    assert none.logcumsumexp(0).tolist() == [-np.inf] * 3
    x = lg.tensor([-1000.0, 0.0, 3.0], dtype=lg.float64, requires_grad=True)
    x.logcumsumexp(0).sum().backward()
    late = 1 / (1 + np.exp(3.0))
    assert np.allclose(x.grad.numpy(), [1.0, 1 + late, 1 - late])


@pytest.mark.parametrize("name", ["cumsum", "logcumsumexp", "cumprod"])
def test_gradients_of_scans(name: str) -> None:
    rng = np.random.default_rng(1)
    x = lg.tensor(rng.normal(size=(3, 4)), requires_grad=True)
    for dim in (0, 1):
        assert lg.autograd.gradcheck(lambda t, dim=dim: getattr(t, name)(dim), (x,))
        assert lg.autograd.gradgradcheck(lambda t, dim=dim: getattr(t, name)(dim), (x,))


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ALL, ids=lambda d: d.name)
def test_as_pytorch(dtype: DType) -> None:
    torch = pytest.importorskip("torch")
    for shape in SHAPES:
        data = values(shape, dtype)
        t = torch.tensor(data).to(getattr(torch, dtype.name))
        x = lg.tensor(data).to(dtype)
        for axis in range(len(shape)):
            for descending in (False, True):
                want = torch.sort(t, dim=axis, descending=descending, stable=True)
                got = lg.sort(x, dim=axis, descending=descending, stable=True)
                assert np.array_equal(got[1].numpy(), want[1].numpy()), (shape, axis)
                assert np.array_equal(
                    got[0].double().numpy(), want[0].double().numpy(), equal_nan=True
                )
            if dtype is bool_ or not shape[axis]:
                continue
            for name in ("cummax", "cummin"):
                want, got = getattr(torch, name)(t, axis), getattr(lg, name)(x, axis)
                assert np.array_equal(got[1].numpy(), want[1].numpy()), (name, shape, axis)
            k = (shape[axis] + 1) // 2
            want, got = torch.kthvalue(t, k, axis), lg.kthvalue(x, k, axis)
            assert np.array_equal(got[0].double().numpy(), want[0].double().numpy(), equal_nan=True)


def test_the_text_of_a_sort_can_be_seen() -> None:
    look = Look(structure([ops.argsort(leaf([3.0, 1.0]), arg=(0, False))]))
    assert "lg_argsort_f32" in look.unit()


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_one_truth_value_is_its_own_sum(name: str) -> None:
    """There is no kernel for bool, and none is needed."""
    assert getattr(lg.tensor(True), f"{name}_")(0).tolist() is True
    assert getattr(lg.tensor(True), name)(0, dtype=lg.bool).tolist() is True
    assert getattr(lg.ones(0, dtype=lg.bool), f"{name}_")(0).shape == (0,)
    with pytest.raises(NotImplementedError, match="not implemented for 'Bool'"):
        getattr(lg.ones(2, dtype=lg.bool), f"{name}_")(0)
