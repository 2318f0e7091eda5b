"""Attention in blocks on a GPU: widths that fill shared memory or not, and what has no room there.

Its values at many sizes are those of `test_attention.py`, which runs on any device.
"""

from __future__ import annotations

import numpy as np
import pytest
from graphs import Launches

import lazygrad as lg
from lazygrad.codegen.cuda.attention import fits
from lazygrad.ir.dtypes import float32, float64
from lazygrad.runtime.stats import stats

if not lg.cuda.is_available():
    pytest.skip("needs a GPU, or `make test-emulated`", allow_module_level=True)

attend = lg.nn.functional.scaled_dot_product_attention


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def both(
    place: str, dtype: lg.dtype, arrays: list[np.ndarray], causal: bool
) -> tuple[list[np.ndarray], list[str]]:
    """Attention and its gradients, and the names of the launches that made them."""
    q, k, v, g = (lg.tensor(a).to(dtype).to(place).realize() for a in arrays)
    given = [t.requires_grad_() for t in (q, k, v)]
    with Launches() as names:
        out = attend(*given, is_causal=causal)
        made = [out, *lg.autograd.grad(out, given, g)]
        lg.realize(*made)
    return [t.detach().cpu().numpy() for t in made], names


# rows, keys, columns of q and k, of v: ends within a block of every form
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "dtype, size",
    [
        (lg.float32, (66, 33, 17, 33)),
        (lg.float32, (35, 50, 128, 65)),
        (lg.float64, (34, 20, 40, 64)),
    ],
    ids=str,
)
def test_every_width(dtype: lg.dtype, size: tuple[int, int, int, int], causal: bool) -> None:
    rows, keys, e, v = size
    shapes = (rows, e), (keys, e), (keys, v), (rows, v)
    arrays = [numbers(2, *shape) for shape in shapes]
    got, names = both("cuda", dtype, arrays, causal)
    want, _ = both("cpu", dtype, arrays, causal)
    rtol = 2e-5 if dtype == lg.float32 else 1e-12
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())
    assert sum("lg_attention_grad" in name for name in names) == 3, names
    assert sum("matmul" in name or "cublas" in name for name in names) == 0, names


def test_where_there_is_no_room_it_is_two_products_and_a_softmax() -> None:
    assert fits(128, float32) and not fits(129, float32)
    assert fits(64, float64) and not fits(65, float64)
    arrays = [numbers(3, 129) for _ in range(4)]
    got, names = both("cuda", lg.float32, arrays, False)
    want, _ = both("cpu", lg.float32, arrays, False)
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert not any("attention" in name for name in names)


def test_keys_that_count_for_nothing_come_first() -> None:
    """The largest score so far is -inf for a whole block: nothing has been seen."""
    q, k, v = np.ones((3, 2)), np.ones((70, 2)), numbers(70, 4)
    k[:64] = -np.inf
    made = attend(*(lg.tensor(a).float().cuda() for a in (q, k, v)))
    np.testing.assert_allclose(made.cpu().numpy(), [v[64:].mean(0)] * 3, rtol=1e-5, atol=1e-6)
    k[64:] = -np.inf
    made = attend(*(lg.tensor(a).float().cuda() for a in (q, k, v)))
    assert np.isnan(made.cpu().numpy()).all()


def test_a_call_of_another_size_is_recorded_from_what_others_were() -> None:
    """Whether there is room is asked of a width that stands for others (ir/sizes.py)."""
    failed = stats.unsized
    for rows in (12, 12, 17, 17):
        x = lg.ones(1, 1, rows, 21, device="cuda").requires_grad_()
        made = attend(x, x + 1, x + 2, is_causal=True).sum()
        lg.realize(made, *lg.autograd.grad(made, [x]))
    assert stats.unsized == failed
