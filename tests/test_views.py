"""Views against numpy: random chains of movement, and each rule of the algebra by itself."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazygrad as lg
from lazygrad.ir.views import View, contiguous_strides

Pair = tuple[View, np.ndarray]


def start(shape: tuple[int, ...]) -> Pair:
    """A view and what it shows of a buffer that holds 1, 2, 3, ...; 0 is what a box gives."""
    return View.contiguous(shape), np.arange(1, prod(shape) + 1).reshape(shape)


def seen(view: View, buffer: np.ndarray) -> np.ndarray:
    """What the view shows: the definition, element by element."""
    out = np.zeros(view.shape, buffer.dtype)
    for index in np.ndindex(view.shape):
        if view.box is None or all(lo <= i < hi for i, (lo, hi) in zip(index, view.box)):
            out[index] = buffer[view.offset + sum(i * s for i, s in zip(index, view.strides))]
    return out


def check(view: View, want: np.ndarray, size: int) -> None:
    buffer = np.arange(1, size + 1)
    assert view.shape == want.shape
    np.testing.assert_array_equal(seen(view, buffer), want)
    if view.is_contiguous:
        np.testing.assert_array_equal(want.reshape(-1), buffer[: want.size])
    if view.numel and view.box is None:
        low, high = view.bounds()
        assert want.min() == low + 1 and want.max() == high + 1
        if not view.overlaps_itself:
            assert len(np.unique(want)) == want.size


@st.composite
def factors(draw: st.DrawFn, size: int) -> tuple[int, ...]:
    shape = []
    while size > 1:
        f = draw(st.sampled_from([n for n in range(2, size + 1) if size % n == 0]))
        shape.append(f)
        size //= f
    for _ in range(draw(st.integers(0, 2))):
        shape.insert(draw(st.integers(0, len(shape))), 1)
    return tuple(shape)


def moved(draw: st.DrawFn, view: View, array: np.ndarray) -> Pair | None:
    """One random movement of both; None where no view expresses it."""
    rank, shape = array.ndim, array.shape
    kind = draw(st.sampled_from(["permute", "slice", "flip", "pad", "reshape", "expand", "window"]))
    if kind == "reshape":
        new = draw(factors(array.size)) if array.size else (*shape[::-1], 2)
        found = view.reshape(new)
        return None if found is None else (found, array.reshape(new))
    if kind == "permute":
        order = tuple(draw(st.permutations(range(rank))))
        return view.permute(order), array.transpose(order)
    if kind == "expand":
        lead = (2,) if draw(st.booleans()) else ()
        new = lead + tuple(3 if n == 1 and draw(st.booleans()) else n for n in shape)
        return view.expand(new), np.broadcast_to(array, new)
    if not rank:
        return view, array
    axis = draw(st.integers(0, rank - 1))
    if kind == "flip":
        return view.flip((axis,)), np.flip(array, axis)
    if kind == "slice":
        first = draw(st.integers(0, shape[axis]))
        stop = draw(st.integers(first, shape[axis]))
        step = draw(st.integers(1, 3))
        spans = tuple((first, stop, step) if a == axis else (0, n, 1) for a, n in enumerate(shape))
        return view.slice(spans), array[tuple(slice(*s) for s in spans)]
    if kind == "pad":
        widths = tuple(
            (draw(st.integers(0, 2)), draw(st.integers(0, 2))) if a == axis else (0, 0)
            for a in range(rank)
        )
        return view.pad(widths), np.pad(array, widths)
    size = draw(st.integers(1, max(shape[axis], 1)))
    step = draw(st.integers(1, 3))
    if shape[axis] < size:
        return view, array
    found = view.window(axis, size, step)
    windows = np.lib.stride_tricks.sliding_window_view(array, size, axis)
    return (
        None
        if found is None
        else (found, windows[(slice(None),) * axis + (slice(None, None, step),)])
    )


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.data(), st.lists(st.sampled_from([1, 2, 3, 4]), max_size=3))
def test_chains_of_movement_show_what_numpy_shows(data: st.DataObject, shape: list[int]) -> None:
    view, array = start(tuple(shape))
    size = array.size
    for _ in range(6):
        made = moved(data.draw, view, array)
        if made is not None and made[1].size <= 400 and made[1].ndim <= 6:
            view, array = made
            check(view, array, size)


def test_reshape_finds_the_view_where_there_is_one() -> None:
    """numpy's reshape without a copy is the oracle."""
    rng = np.random.default_rng(0)
    base = np.zeros(400, np.int64)
    for _ in range(300):
        shape = tuple(rng.choice([1, 2, 3, 4], 3))
        view = View.contiguous(shape).permute(tuple(rng.permutation(3)))
        if rng.random() < 0.5 and view.shape[0] > 1:
            view = view.slice(((0, view.shape[0], 2), *((0, n, 1) for n in view.shape[1:])))
        array = np.lib.stride_tricks.as_strided(base, view.shape, [8 * s for s in view.strides])
        for new in {(view.numel,), (1, view.numel), view.shape[::-1], (2, view.numel // 2)}:
            if prod(new) != view.numel:
                continue
            shared = array.reshape(new)
            found = view.reshape(new)
            assert (found is not None) == bool(np.shares_memory(shared, base)), (view, new)


CONTIGUOUS = [
    (View.contiguous((2, 3)), True),
    (View((2, 3), (3, 1), 1), False),
    (View((2, 3), (1, 2)), False),
    (View((1, 3), (7, 1)), True),
    (View((2, 1), (1, 9)), True),
    (View((), ()), True),
    (View((0, 3), (5, 7)), True),
    (View((2, 3), (3, 1), 0, ((0, 2), (0, 2))), False),
    (View((2, 3), (0, 1)), False),
]


@pytest.mark.parametrize(("view", "want"), CONTIGUOUS)
def test_is_contiguous(view: View, want: bool) -> None:
    assert view.is_contiguous is want


OVERLAP = [
    ((2, 3), (3, 1), False),
    ((2, 3), (2, 1), True),
    ((4,), (0,), True),
    ((1,), (0,), False),
    ((2, 2), (1, 5), False),
    ((3, 2), (1, 2), True),
    ((3,), (-2,), False),
]


@pytest.mark.parametrize(("shape", "strides", "want"), OVERLAP)
def test_overlaps_itself(shape: tuple[int, ...], strides: tuple[int, ...], want: bool) -> None:
    assert View(shape, strides).overlaps_itself is want


def test_contiguous_strides() -> None:
    assert contiguous_strides((2, 3, 4)) == (12, 4, 1)
    made = contiguous_strides((np.int64(5), np.int64(6), np.int64(7)))  # equal as a cache's key
    assert all(type(stride) is int for stride in made)
    assert contiguous_strides(()) == () and contiguous_strides((0, 3)) == (3, 1)


def test_a_box_survives_a_reshape_of_the_other_axes() -> None:
    view = View.contiguous((2, 3, 4)).pad(((0, 0), (1, 1), (0, 0)))
    found = view.reshape((2, 5, 2, 2))
    assert found is not None and found.box == ((0, 2), (1, 4), (0, 2), (0, 2))
    assert view.reshape((10, 4)) is None


def test_strided_is_of_the_row_major_order_only() -> None:
    other = View((2, 2), (3, 1), 1)
    base = View((6,), (1,), 2)
    assert base.strided(other) == View((2, 2), (3, 1), 3)
    assert View.contiguous((2, 3)).permute((1, 0)).strided(other) is None
    assert View.contiguous((4,)).pad(((1, 1),)).strided(other) is None


VIEWS = {
    "T.ones(2, 3).nonzero()": False,
    "T.argwhere(T.ones(2))": False,
    "T.nonzero(T.ones(2, 2), as_tuple=True)[0]": True,
    "F.max_pool1d(T.ones(2, 3, 4), 2)": False,
    "F.max_pool1d(T.ones(2, 3, 4, requires_grad=True), 2)": True,
    "F.max_pool1d(T.ones(2, 3, 4), 2, return_indices=True)[1]": True,
    "F.fold(T.ones(4, 4), (3, 3), 2)": False,
    "F.unfold(T.ones(1, 3, 3), 2)": False,
    "F.linear(T.ones(1, 2, 3), T.ones(2, 3))": False,
    "F.linear(T.ones(1, 2, 3), T.ones(2, 3), T.ones(2))": True,
    "T.kron(T.ones(2), T.ones(2, 2))": False,
}


@pytest.mark.parametrize("call", VIEWS)
def test_what_is_a_view(call: str) -> None:
    assert _is_view(lg, call) is VIEWS[call]


@pytest.mark.torch
@pytest.mark.parametrize("call", VIEWS)
def test_what_is_a_view_to_pytorch(call: str) -> None:
    assert _is_view(pytest.importorskip("torch"), call) is VIEWS[call]


def _is_view(library: Any, call: str) -> bool:
    names = {"T": library, "F": library.nn.functional}
    return bool(eval(call, names)._is_view())


def test_broadcast_tensors_gives_those_of_the_shape_as_they_are() -> None:
    a, b = lg.ones(2, 3, requires_grad=True), lg.ones(3)
    first, second = lg.broadcast_tensors(a, b)
    assert first is a and second._is_view() and second.stride() == (0, 1)
    (alone,) = lg.broadcast_tensors(b)
    assert alone is b


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((3,), [4, 6, 8]), ((2, 1), [[6], [12]]), ((1, 1), [[18]]), ((2, 3), None), ((), 18)],
)
def test_sum_to_size_undoes_expand(size: tuple[int, ...], wanted: Any) -> None:
    x = lg.tensor([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]], requires_grad=True)
    made = x.sum_to_size(*size) if size else x.sum_to_size(())
    assert made.tolist() == (x.tolist() if wanted is None else wanted)
    assert (made is x) is (wanted is None)
    made.sum().backward()
    assert x.grad.tolist() == [[1.0] * 3] * 2


def test_sum_to_size_refuses_what_does_not_expand() -> None:
    with pytest.raises(RuntimeError, match=r"size \{.*2.*\} is not expandable to size"):
        lg.ones(2, 3).sum_to_size(2)
