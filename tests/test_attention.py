"""Attention: its values and gradients are the interpreter's; on the CPU by blocks of rows."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import Launches, compiled, interpreted, leaf, value

import lazygrad as lg
from lazygrad.debug import Look
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType, float32, float64
from lazygrad.ir.node import Node
from lazygrad.ir.schedule import reads, writes
from lazygrad.ir.structure import Structure, structure
from lazygrad.realize import observers
from lazygrad.runtime.threads import get_num_threads, set_num_threads
from lazygrad.tensor.core import wrap

F = lg.nn.functional

# batch, rows, keys, columns of q and k, of v: less than a vector, blocks of 32 to 128 rows that end
# within one, more keys than a block of the sums (4,096)
SIZES = [((), 1, 1, 1, 1), ((2, 3), 7, 9, 5, 3), ((2,), 300, 300, 64, 64), ((1, 2), 65, 130, 8, 24),
         ((), 130, 65, 16, 8), ((), 33, 4500, 4, 4)]  # fmt: skip


def sources(
    dtype: DType, batch: tuple[int, ...], rows: int, keys: int, e: int, v: int
) -> list[Node]:
    rng = np.random.default_rng(rows + keys)
    shapes = (rows, e), (keys, e), (keys, v), (rows, v)
    return [leaf(rng.normal(size=(*batch, *s)).astype(dtype.np), dtype) for s in shapes]


def close(got: np.ndarray, want: np.ndarray, dtype: DType) -> None:
    assert got.shape == want.shape
    tolerance = 4e-6 if dtype is float32 else 1e-14
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * max(1.0, np.abs(want).max()))


def attended(q: Node, k: Node, v: Node, g: Node, scale: float, causal: bool) -> list[np.ndarray]:
    """Attention through the tensors' API, and the gradients of q, k and v for `g`."""
    given = [wrap(n).requires_grad_() for n in (q, k, v)]
    out = F.scaled_dot_product_attention(*given, is_causal=causal, scale=scale)
    return [t.numpy(force=True) for t in (out, *lg.autograd.grad(out, given, wrap(g)))]


def truth(q: Node, k: Node, v: Node, g: Node, scale: float, causal: bool) -> list[np.ndarray]:
    """The same by the numpy meaning of the ops, which is computed in float64."""
    arg = (scale, causal)
    nodes = [ops.attention(q, k, v, arg=arg), ops.attention_grad(q, k, v, g, arg=arg)]
    out, packed = interpreted(nodes)
    sizes = np.cumsum([q.shape[-2] * q.shape[-1], k.shape[-2] * k.shape[-1]])
    parts = np.split(packed, sizes, -1)
    return [out, *(part.reshape(n.shape) for part, n in zip(parts, (q, k, v)))]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [float32, float64], ids=lambda d: d.name)
def test_values_and_gradients_are_the_interpreter_s(dtype: DType, causal: bool) -> None:
    for size in SIZES:
        given = sources(dtype, *size)
        for got, want in zip(attended(*given, 0.3, causal), truth(*given, 0.3, causal)):
            close(got, want, dtype)


@pytest.mark.parametrize("scale", [0.0, -2.0, 30.0])
def test_any_scale(scale: float) -> None:
    given = sources(float32, (2,), 40, 70, 6, 6)
    for got, want in zip(attended(*given, scale, True), truth(*given, scale, True)):
        close(got, want, float32)


def test_sources_of_any_strides_are_read_where_they_are() -> None:
    rng = np.random.default_rng(3)
    packed = leaf(rng.normal(size=(2, 50, 3, 4, 8)).astype(np.float32))

    def part(number: int) -> Node:
        spans = tuple((0, n, 1) if axis != 2 else (number, number + 1, 1)
                      for axis, n in enumerate(packed.shape))  # fmt: skip
        one = ops.reshape(ops.slice_(packed, arg=spans), arg=(2, 50, 4, 8))
        return ops.permute(one, arg=(0, 2, 1, 3))

    out = ops.attention(part(0), part(1), part(2), arg=(0.5, True))
    look = Look(structure([out]))
    assert len(look.schedule.steps) == 1
    (want,) = interpreted([out])
    close(compiled([out])[0], want, float32)


def test_one_bad_key_is_seen_by_the_rows_that_see_it() -> None:
    q, k, v, g = sources(float32, (), 40, 40, 4, 4)
    for bad in (np.nan, np.inf):
        values = np.array(value(k))
        values[20, 1] = bad
        out = attended(q, leaf(values), v, g, 1.0, True)[0]
        assert np.isfinite(out[:20]).all()
        assert np.isnan(out[20:]).any(-1).sum() >= 1


def test_any_number_of_threads_gives_the_same_bits() -> None:
    found = []
    before = get_num_threads()
    for threads in (1, 2, 3):
        set_num_threads(threads)
        try:
            found.append(attended(*sources(float32, (3,), 300, 200, 16, 16), 0.2, True))
        finally:
            set_num_threads(before)
    for other in found[1:]:
        assert all((a == b).all() for a, b in zip(found[0], other))


@pytest.mark.parametrize("causal", [False, True])
def test_first_and_second_derivatives(causal: bool) -> None:
    lg.manual_seed(0)
    q, k, v = (lg.randn(2, 3, 2, dtype=lg.float64, requires_grad=True) for _ in range(3))

    def attend(q: lg.Tensor, k: lg.Tensor, v: lg.Tensor) -> lg.Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    assert lg.autograd.gradcheck(attend, (q, k, v))
    assert lg.autograd.gradgradcheck(attend, (q, k, v))


def test_no_matrix_of_all_weights_is_in_memory() -> None:
    tokens = 700
    q, k, v = (lg.randn(tokens, 16).realize().requires_grad_() for _ in range(3))
    seen: list[Node] = []

    def observe(shape: Structure, program: object) -> None:
        for step in Look(shape).schedule.steps:
            seen.extend([*reads(step), *writes(step)])

    observers.append(observe)
    try:
        out = F.scaled_dot_product_attention(q, k, v)
        lg.autograd.grad(out.sum(), (q, k, v))
    finally:
        observers.remove(observe)
    assert ops.attention_grad in [node.op for node in seen]
    assert max(node.numel for node in seen) == 3 * tokens * 16


def test_without_a_mask_it_is_a_function_of_its_own() -> None:
    q, k, v = (lg.randn(2, 20, 8) for _ in range(3))
    with Launches() as names:
        F.scaled_dot_product_attention(q, k, v, is_causal=True).tolist()
    assert any("attention" in name for name in names)


def test_a_mask_a_scale_and_half_types_give_the_same() -> None:
    lg.manual_seed(1)
    q, k, v = (lg.randn(2, 20, 8) for _ in range(3))
    plain = F.scaled_dot_product_attention(q, k, v, is_causal=True).numpy()
    mask = lg.ones(20, 20, dtype=lg.bool).tril()
    masked = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).numpy()
    scaled = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=8**-0.5).numpy()
    np.testing.assert_allclose(plain, masked, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(plain, scaled, rtol=1e-5, atol=1e-6)
    halves = F.scaled_dot_product_attention(q.half(), k.half(), v.half(), is_causal=True)
    np.testing.assert_allclose(plain, halves.float().numpy(), rtol=1e-2, atol=1e-2)
