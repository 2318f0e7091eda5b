"""Reductions of long rows and of columns on a GPU: passes that are launches, merged passes.

What plans promise is tested in `test_cuda_source.py` and `test_cuda_sass.py`; here are the values,
against numpy in float64.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from graphs import Launches

import lazygrad as lg
import lazygrad.nn.functional as F

if not lg.cuda.is_available():
    pytest.skip("needs a GPU, or `make test-emulated`", allow_module_level=True)

LONG = 70_001, 70_004, 70_008  # rows that no block keeps in registers: chunks of 1, 4 and 8


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    powers = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis, keepdims=True))


def normed(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return np.asarray((x - mean) / np.sqrt(variance + 1e-5))


def check(got: lg.Tensor, want: np.ndarray, rtol: float = 2e-6, atol: float = 2e-6) -> None:
    np.testing.assert_allclose(got.double().cpu().numpy(), want, rtol=rtol, atol=atol)


@pytest.mark.parametrize("dtype", [lg.float32, lg.float64, lg.float16, lg.bfloat16])
@pytest.mark.parametrize("length", LONG)
def test_few_long_rows(length: int, dtype: lg.dtype) -> None:
    x = lg.tensor(numbers(3, length)).to(dtype)
    wide = x.double().numpy()
    y = x.cuda()
    half = {lg.float16: 1e-3, lg.bfloat16: 8e-3}.get(dtype)
    check(F.layer_norm(y, (length,)), normed(wide, (1,)), half or 2e-6, half or 3e-6)
    check(F.softmax(y.float(), -1), softmax(wide, 1), atol=1e-12)
    check(y.float().logsumexp(1), np.log(np.exp(wide).sum(1)))
    check(y.double().var(1), wide.var(1, ddof=1))
    check(y.sum(1), wide.sum(1), half or 1e-6, half or 1e-5)


def test_many_long_rows() -> None:
    x = numbers(512, 33_000)
    y = lg.tensor(x).cuda()
    check(F.softmax(y, 1)[::50], softmax(x[::50].astype(np.float64), 1), atol=1e-12)


ODD: dict[str, Callable[[np.ndarray], object]] = {
    "ascending": lambda x: x.sort(),
    "descending": lambda x: x[::-1].sort(),
    "starts at -inf": lambda x: x[:60_000].fill(-np.inf),
    "all -inf": lambda x: x.fill(-np.inf),
    "one inf": lambda x: x[1000:1001].fill(np.inf),
    "one nan": lambda x: x[69_000:69_001].fill(np.nan),
    "large": lambda x: np.multiply(x, 3e37, out=x),
    "constant": lambda x: x.fill(7),
}


@pytest.mark.parametrize("name", ODD)
def test_softmax_of_odd_rows(name: str) -> None:
    row = numbers(70_001)
    ODD[name](row)
    rows = np.stack([row, row[::-1]])  # with one row, all would be reduced: no passes to merge
    wide = rows.astype(np.float64)
    y = lg.tensor(rows).cuda()
    with np.errstate(all="ignore"):
        top = wide.max() if np.isfinite(wide.max()) else 0.0
        total = np.log(np.exp(wide - top).sum(1)) + top
        check(F.softmax(y, 1), softmax(wide, 1), rtol=3e-6, atol=1e-12)
        check(y.logsumexp(1), total, rtol=1e-6)


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e5])
def test_a_norm_far_from_zero(mean: float) -> None:
    x = (numbers(2, 70_004) + mean).astype(np.float32)
    y = F.layer_norm(lg.tensor(x).cuda(), (70_004,))
    # the mean is a float32, as in a norm of three passes: off by half its last place
    check(y, normed(x.astype(np.float64), (1,)), rtol=1e-5, atol=1e-5 + mean * 1e-7)


@pytest.mark.parametrize("columns", [1, 37, 64, 128, 256])
def test_columns(columns: int) -> None:
    x = numbers(9000, columns)
    y, wide = lg.tensor(x).cuda(), x.astype(np.float64)
    check(y.sum(0), wide.sum(0), 1e-5, 1e-4)
    check(y.half().sum(0), x.astype(np.float16).astype(np.float64).sum(0), 1e-3, 1e-2)
    check(F.softmax(y, 0), softmax(wide, 0), atol=1e-12)
    check(F.batch_norm(y, None, None, training=True), normed(wide, (0,)), atol=5e-6)
    got, best = y.max(0)
    np.testing.assert_array_equal(best.cpu().numpy(), x.argmax(0))
    np.testing.assert_array_equal(got.cpu().numpy(), x.max(0))


def test_images() -> None:
    x = numbers(4, 5, 60, 61)
    y = F.batch_norm(lg.tensor(x).cuda(), None, None, training=True)
    check(y, normed(x.astype(np.float64), (0, 2, 3)), atol=5e-6)


def test_gradients_through_long_rows() -> None:
    found = []
    for place in ("cpu", "cuda"):
        x = lg.tensor(numbers(2, 70_004), device=place, requires_grad=True)
        loss = F.cross_entropy(x, lg.tensor([5, 70_000], device=place))
        (loss + F.layer_norm(x, (70_004,)).square().mean()).backward()
        found.append(x.grad.cpu().numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-9)


def test_passes_of_long_rows_are_two_launches() -> None:
    x = lg.tensor(numbers(2, 70_004)).cuda().realize()
    for made in (F.softmax(x, 1), F.layer_norm(x, (70_004,))):
        with Launches() as names:
            made.realize()
        assert len(names) == 2, names
