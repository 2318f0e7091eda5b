"""Indices, classes and probabilities out of range: refused at the call where the host knows them,
else where they are computed. Values in a GPU's memory are not fetched to be looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import on_device
import pytest

import lazygrad as lg
import lazygrad.nn.functional as F
from lazygrad.runtime.stats import stats

NAN = float("nan")
ON_HOST = on_device.name() == on_device.HOST
CASES = """
F.binary_cross_entropy(v([0.5, 1.5]), v([0.0, 1.0])) | all elements of input should be between
F.binary_cross_entropy(v([0.5, NAN]), v([0.0, 1.0])) | all elements of input should be between
F.binary_cross_entropy(v([-0.5], lg.half), v([0.0], lg.half)) | all elements of input should be
F.binary_cross_entropy(v([0.5, 0.5]), v([0.0, 2.0])) | all elements of target should be between
F.binary_cross_entropy(v([0.5, 0.5]), v([0.0, NAN])) | all elements of target should be between
F.nll_loss(x, v([0, 5])) | Target 5 is out of bounds.
F.nll_loss(x, v([0, -1])) | Target -1 is out of bounds.
F.nll_loss(x[0], v(3)) | Target 3 is out of bounds.
F.nll_loss(lg.zeros(2, 3, 2), v([[0, 5], [0, 0]])) | Target 5 is out of bounds.
F.cross_entropy(x, v([0, 3])) | Target 3 is out of bounds.
F.cross_entropy(x, v([0, 3]), lg.ones(3), label_smoothing=0.1) | Target 3 is out of bounds.
F.embedding(v([0, 2]), x) | index out of range in self
F.embedding(v([[0, -1]]), x) | index out of range in self
x.index_select(0, v([2])) | index out of range in self
x.index_select(1, v([3])) | INDICES element is out of DATA bounds, id=3 axis_dim=3
x.gather(1, v([[-1]])) | index -1 is out of bounds for dimension 1 with size 3
x[0, 0].gather(0, v(1)) | index 1 is out of bounds for dimension 0 with size 1
x.scatter(1, v([[7]]), x) | index 7 is out of bounds for dimension 1 with size 3
x.scatter_add(0, v([[7]]), x) | index 7 is out of bounds for dimension 0 with size 2
x.scatter_reduce(1, v([[7]]), x, 'amax') | index 7 is out of bounds for dimension 1 with size 3
x.take(v([6])) | out of range: tried to access index 6 on a tensor of 6 elements.
x.take(v([-7])) | out of range: tried to access index -7 on a tensor of 6 elements.
x.index_add(1, v([-1]), x[:, :1]) | index -1 is out of bounds for dimension 1 with size 3
x.index_copy(1, v([3]), x[:, :1]) | index_copy_(): index 3 is out of bounds for dimension 1
x.index_fill(1, v([-4]), 2) | index -4 is out of bounds for dimension 1 with size 3
x[v([-3])] | index -3 is out of bounds for dimension 0 with size 2
x[v([0, 1]), v([0, 3])] | index 3 is out of bounds for dimension 1 with size 3
x.index_put((v([2]),), lg.ones(3)) | index 2 is out of bounds for dimension 0 with size 2
"""
LINES = [tuple(part.strip() for part in line.split(" | ")) for line in CASES.strip().splitlines()]


def known(data: Any, dtype: Any = None) -> lg.Tensor:
    return lg.tensor(data, dtype=dtype).realize()


def pending(data: Any, dtype: Any = None) -> lg.Tensor:
    return lg.tensor(data, dtype=dtype) + 0


def run(call: str, v: Callable[..., lg.Tensor]) -> Any:
    x = lg.arange(6.0).reshape(2, 3).realize()
    return eval(call, {"lg": lg, "F": F, "NAN": NAN, "nan": NAN}, {"x": x, "v": v})


def refused_at_the_call(call: str, words: str, v: Callable[..., lg.Tensor]) -> None:
    with pytest.raises((IndexError, RuntimeError)) as caught:
        run(call, v)
    assert str(caught.value).startswith(words)


def refused_where_computed(call: str, words: str, v: Callable[..., lg.Tensor]) -> None:
    with pytest.raises((IndexError, RuntimeError)) as caught:
        result = run(call, v)
        assert "amax" not in call  # its elements are combined on the host, in the call
        result.tolist()
    assert str(caught.value).startswith(words) and "(recorded at " in str(caught.value)
    assert (lg.ones(3) + 1).tolist() == [2, 2, 2]  # what comes after works


@pytest.mark.parametrize(("call", "words"), LINES)
def test_a_known_value_is_refused_at_the_call(call: str, words: str) -> None:
    (refused_at_the_call if ON_HOST else refused_where_computed)(call, words, known)


@pytest.mark.parametrize(("call", "words"), LINES)
def test_a_pending_value_is_refused_where_it_is_computed(call: str, words: str) -> None:
    refused_where_computed(call, words, pending)


@pytest.mark.parametrize("bad", [1.5, -0.5, NAN])
def test_a_probability_to_draw_by_is_computed_at_the_call(bad: float) -> None:
    if ON_HOST:
        refused_at_the_call(f"lg.bernoulli(v([0.5, {bad}]))", "Expected p_in >= 0", pending)
    else:
        refused_where_computed(f"lg.bernoulli(v([0.5, {bad}]))", "Expected p_in >= 0", pending)
    refused_at_the_call(f"lg.normal(0.0, v([0.5, {-abs(bad)}]))", "normal expects all", pending)


@pytest.mark.torch
@pytest.mark.parametrize(("call", "words"), LINES)
def test_type_and_words_are_pytorchs(call: str, words: str) -> None:
    torch = pytest.importorskip("torch")
    x = torch.arange(6.0).reshape(2, 3)
    names = {"lg": torch, "F": torch.nn.functional, "NAN": NAN, "x": x}
    with pytest.raises((IndexError, RuntimeError)) as theirs:
        eval(call, names | {"v": lambda data, dtype=None: torch.tensor(data, dtype=dtype)})
    with pytest.raises(type(theirs.value)):
        run(call, pending).tolist()
    assert str(theirs.value).startswith(words)


def test_what_is_in_range_passes_and_is_differentiated() -> None:
    p = lg.tensor([0.0, 0.25, 1.0], requires_grad=True)
    loss = F.binary_cross_entropy(p * 1.0, lg.tensor([0.0, 1.0, 1.0]) + 0, reduction="sum")
    loss.backward()
    assert loss.item() == pytest.approx(1.3862944) and p.grad is not None
    assert p.grad.tolist() == pytest.approx([0, -4, 0])
    x = lg.arange(6.0).reshape(2, 3)
    assert F.nll_loss(x, lg.tensor([2, -100]) + 0).item() == -2
    assert x.index_fill(1, lg.tensor([-1]) + 0, 9).tolist() == [[0, 1, 9], [3, 4, 9]]
    assert lg.take_along_dim(x, lg.tensor([[-1, 4]]), 1).tolist() == [[2, 1], [5, 4]]


def test_a_check_costs_no_kernel() -> None:
    x, y = lg.rand(64).requires_grad_(), lg.rand(64)
    lg.realize(x, y)

    def kernels(loss: lg.Tensor) -> int:
        before = stats.kernels
        loss.backward()
        return stats.kernels - before

    plain = kernels(-(y * x.sigmoid().log() + (1 - y) * (1 - x.sigmoid()).log()).mean())
    assert kernels(F.binary_cross_entropy(x.sigmoid(), y + 0)) == plain


def test_a_recorded_step_refuses_at_every_replay() -> None:
    step = lg.jit(lambda target: F.nll_loss(lg.arange(6.0).reshape(2, 3), target))
    for target in ([0, 1], [1, 2], [2, 0]):
        assert step(lg.tensor(target)).item() == -(target[0] + 3 + target[1]) / 2
    with pytest.raises(IndexError, match=r"Target 3 is out of bounds. \(recorded at test_value"):
        step(lg.tensor([0, 3])).item()
    assert step(lg.tensor([0, 1])).item() == -2


NUMBERS = """
x.fill_(300) | uint8_t | uint8
x.fill_(-256) | uint8_t | uint8
x.masked_fill_(m, -0.5) | uint8_t | uint8
x.masked_fill(m, lg.tensor(-2.0)) | uint8_t | uint8
x.__setitem__(m, lg.tensor(-2.0)) | uint8_t | uint8
x.__setitem__(m, lg.tensor([300.0])) | int8_t | int8
x.__setitem__(slice(0, 1), 1e6) | int16_t | int16
x.__setitem__(0, 2**31) | int | int32
x.__setitem__(m, NAN) | int64_t | int64
x.index_fill_(0, lg.tensor([1]), 1e6) | c10::Half | half
x.scatter_(0, lg.tensor([1]), 1e39) | c10::BFloat16 | bfloat16
lg.full_like(x, 1e39) | float | float32
lg.full((1,), 300, dtype=x.dtype) | uint8_t | uint8
"""


@pytest.mark.parametrize("line", NUMBERS.strip().splitlines())
def test_a_number_that_does_not_fit_is_not_written(line: str) -> None:
    call, kind, dtype = (part.strip() for part in line.split(" | "))
    x, m = lg.zeros(2, dtype=getattr(lg, dtype)), lg.tensor([True, False])
    with pytest.raises(RuntimeError, match=f"cannot be converted to type {kind} without overflow"):
        eval(call, {"lg": lg, "NAN": NAN, "x": x, "m": m})
    assert x.tolist() == [0, 0]


def test_numbers_that_wrap_or_become_infinite() -> None:
    x = lg.zeros(2, dtype=lg.uint8)
    assert x.fill_(-2).tolist() == [254, 254] and lg.tensor([-2], dtype=lg.uint8).item() == 254
    x[0:1] = lg.tensor(300.0)  # copied, not filled
    assert x.tolist() == [44, 254]
    h = lg.zeros(2).half()
    h[0] = 1e6
    assert h.tolist() == [float("inf"), 0] and lg.full((1,), 1e6).half().item() == float("inf")
