"""Scatters of many items on a GPU: sorted by place first, with the bits of one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import Launches

import lazygrad as lg
import lazygrad.nn.functional as F

if not lg.cuda.is_available():
    pytest.skip("needs a GPU, or `make test-emulated`", allow_module_level=True)

RNG = np.random.default_rng(2)
# items: a tile and its neighbours, runs that end within one, an odd and an even number of merges
ITEMS = [1024, 1025, 2048, 3000, 4096, 5000, 9000]


def places(kind: str, n: int, size: int) -> np.ndarray:
    if kind == "same":
        return np.full(n, size // 2)
    if kind == "each once":
        return RNG.permutation(max(n, size))[:n]
    return (
        RNG.integers(0, size, n) if kind == "any" else np.minimum(RNG.geometric(0.3, n), size) - 1
    )


@pytest.mark.parametrize("n", ITEMS)
@pytest.mark.parametrize("kind", ["same", "each once", "any", "skewed"])
def test_additions_come_in_order(kind: str, n: int) -> None:
    size = n if kind == "each once" else 700
    at, x = places(kind, n, size), RNG.normal(size=(n, 3)).astype(np.float32)
    want = np.zeros((size, 3), np.float32)
    np.add.at(want, at, x)  # float32, one after the other
    with Launches() as names:
        got = lg.zeros(size, 3, device="cuda").index_add(
            0, lg.tensor(at).cuda(), lg.tensor(x).cuda()
        )
        np.testing.assert_array_equal(got.cpu().numpy(), want)
    assert any("scatter" in name for name in names)


@pytest.mark.parametrize("dtype", [lg.int32, lg.int64, lg.uint8, lg.bfloat16, lg.float64, lg.bool])
def test_dtypes(dtype: lg.dtype) -> None:
    at = lg.tensor(places("any", 3000, 50))
    x = lg.tensor(RNG.integers(0, 2 if dtype == lg.bool else 9, 3000)).to(dtype)
    want = lg.zeros(50, dtype=dtype).index_add(0, at, x)
    got = lg.zeros(50, dtype=dtype, device="cuda").index_add(0, at.cuda(), x.cuda())
    np.testing.assert_array_equal(got.float().cpu().numpy(), want.float().numpy())


def test_the_last_of_a_place_stays() -> None:
    at, x = places("any", 5000, 300), np.arange(5000, dtype=np.float32)
    want = np.full(300, -1, np.float32)
    want[at] = x
    y = lg.full((300,), -1.0, device="cuda")
    y[lg.tensor(at).cuda()] = lg.tensor(x).cuda()
    np.testing.assert_array_equal(y.cpu().numpy(), want)


@pytest.mark.parametrize("bad", [-301, 300, 2**40])
def test_a_place_that_is_not_there(bad: int) -> None:
    at = places("any", 2000, 300)
    at[1500] = bad
    y = lg.zeros(300, device="cuda")
    with pytest.raises(RuntimeError, match=f"index {bad} is out of bounds for dimension 0"):
        y.index_add(0, lg.tensor(at).cuda(), lg.ones(2000, device="cuda")).tolist()


def test_the_gradient_of_an_embedding() -> None:
    found = []
    words = RNG.integers(0, 90, (40, 50))
    for place in ("cpu", "cuda"):
        table = lg.tensor(np.ones((90, 16), np.float32), device=place, requires_grad=True)
        scale = lg.tensor(RNG.normal(size=16).astype(np.float32) * 0 + 3, device=place)
        (F.embedding(lg.tensor(words, device=place), table) * scale).square().sum().backward()
        found.append(table.grad.cpu().numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)
    assert found[0].std() > 0


def test_columns_and_transposed_tables() -> None:
    at, x = places("any", 1500, 40), RNG.normal(size=(7, 1500)).astype(np.float32)
    want = np.zeros((7, 40), np.float32)
    np.add.at(want.T, at, x.T)
    got = lg.zeros(7, 40, device="cuda").index_add(1, lg.tensor(at).cuda(), lg.tensor(x).cuda())
    np.testing.assert_array_equal(got.cpu().numpy(), want)
