"""A call on one tensor that was met before gives what the first one gave (tensor/ways.py)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import lazygrad as lg
from lazygrad.tensor import ways

CALLS: dict[str, Callable[[Any], Any]] = {
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "t": lambda x: x.t(),
    "transpose": lambda x: x.transpose(0, 1),
    "swapaxes": lambda x: lg.swapaxes(x, 0, -1),
    "permute": lambda x: x.permute(1, 0),
    "permute of one": lambda x: lg.permute(x, (1, 0)),
    "movedim": lambda x: x.movedim(0, 1),
    "reshape": lambda x: x.reshape(-1),
    "reshape to a tuple": lambda x: x.reshape((2, -1)),
    "reshape to a shape": lambda x: x.reshape(x.mT.shape),
    "view": lambda x: x.contiguous().view(2, -1),
    "flatten": lambda x: x.flatten(),
    "unflatten": lambda x: x.unflatten(0, (1, -1)),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "squeeze": lambda x: x.unsqueeze(0).squeeze(),
    "squeeze of one": lambda x: x.unsqueeze(0).squeeze(dim=0),
    "expand": lambda x: x.expand(2, -1, -1),
    "select": lambda x: x.select(1, -1),
    "narrow": lambda x: x.narrow(dim=0, start=1, length=1),
    "an index": lambda x: x[1],
    "a negative index": lambda x: x[-1],
    "a slice": lambda x: x[1:],
    "a step": lambda x: x[::2],
    "a column": lambda x: x[:, 1],
    "a new axis": lambda x: x[..., None, 0],
    "sum": lambda x: x.sum(),
    "sum of one": lambda x: x.sum(0),
    "sum that keeps": lambda x: x.sum(dim=-1, keepdim=True),
    "sum of two": lambda x: lg.sum(x, (0, 1)),
    "prod": lambda x: x.prod(),
    "max": lambda x: x.max(),
    "amax": lambda x: x.amax(1),
    "amin that keeps": lambda x: lg.amin(x, dim=(0, 1), keepdim=True),
}
SOURCES: dict[str, Callable[[Any], Any]] = {
    "leaf": lambda x: x,
    "result": lambda x: x * 2,
    "view": lambda x: x.T,
    "part": lambda x: (x * 2)[:2],
}


def leaf(needs: bool) -> Any:
    x = (lg.arange(12.0).reshape(3, 4) - 5.5).clone()
    return x.requires_grad_(needs)


def functions(fn: Any) -> Any:
    return fn and (fn.name(), [(functions(f), number) for f, number in fn.next_functions])


def outcome(call: Any, source: Any, needs: bool, grad: bool) -> Any:
    x = leaf(needs)
    with lg.set_grad_enabled(grad):
        given = source(x)
        made = call(given)
    known = [made.shape, made.stride(), made.storage_offset(), made.dtype, made.tolist()]
    known += [made.requires_grad, made.is_leaf, functions(made.grad_fn), made._version]
    base = made._base
    expected = given if given._base is None else given._base
    known += [made._storage is given._storage, base is None, base is expected]
    if made.requires_grad:
        weights = lg.arange(1.0, made.numel() + 1).reshape(made.shape)
        (made * weights).sum().backward()
        known.append(None if x.grad is None else x.grad.tolist())
    if not given.requires_grad:
        given.mul_(2)
        known += [made.tolist(), made._version]
    try:
        made.add_(1)
    except RuntimeError as error:
        known.append(str(error))
    return [*known, given.tolist(), given._version, made.tolist()]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", CALLS)
def test_further_calls_give_what_the_first_gave(name: str, source: str) -> None:
    call, make = CALLS[name], SOURCES[source]
    for needs, grad in ((False, True), (True, True), (True, False)):
        ways._ways.clear()
        first = outcome(call, make, needs, grad)
        for _ in range(3):  # the second gives the way, the others take it
            assert outcome(call, make, needs, grad) == first


@pytest.mark.parametrize("needs", (False, True))
@pytest.mark.parametrize("name", CALLS)
def test_there_is_a_way(name: str, needs: bool) -> None:
    x = leaf(needs)
    ways._ways.clear()
    CALLS[name](x), CALLS[name](x)
    assert all(isinstance(way, ways.Way) for way in ways._ways.values())
    known = len(ways._ways)
    CALLS[name](x)
    assert len(ways._ways) == known > 0


def test_equal_arguments_of_other_types_are_other_calls() -> None:
    x = lg.ones(2, 1)
    for _ in range(3):
        assert x[1].shape == (1,)
        assert x[True].shape == (1, 2, 1)
        assert x.reshape(2).shape == (2,)
    with pytest.raises(TypeError):
        x.reshape(2.0)
    for _ in range(3):
        assert x.sum(1).shape == (2,)
    with pytest.raises(TypeError):
        x.sum(1.0)
    assert x.int().sum(0).dtype is lg.int64
    assert x.sum(0).dtype is lg.float32
    assert x.sum(0, dtype=lg.float64).dtype is lg.float64


def test_a_name_is_not_a_place() -> None:
    x = lg.ones(2, 3)
    for _ in range(3):
        assert x.sum(dim=1).shape == (2,)
    with pytest.raises((TypeError, RuntimeError)):
        x.sum("dim", 1)
    assert x.transpose(dim0=0, dim1=1).shape == (3, 2)


def test_a_refused_call_is_refused_again() -> None:
    x = lg.ones(2, 3)
    for _ in range(3):
        with pytest.raises(IndexError):
            x[2]
        with pytest.raises(RuntimeError):
            x.reshape(5)
        with pytest.raises(IndexError):
            x.sum(2)


def test_a_warning_comes_each_time() -> None:
    x = lg.ones(2, 1, 3)
    for _ in range(3):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            assert x.T.shape == (3, 1, 2)
        assert [w.filename for w in found] == [__file__]


def test_a_view_of_a_base_that_was_written_since_has_its_history() -> None:
    x = leaf(True)
    for _ in range(3):
        x.grad = None
        y = x * 1
        part = y[1:]
        y.mul_(3)
        part.T.sum().backward()
        assert x.grad.tolist() == [[0.0] * 4, [3.0] * 4, [3.0] * 4]


def test_a_saved_value_that_was_written_is_noticed() -> None:
    x = leaf(True)
    for _ in range(3):
        y = x * 1
        most = y.amax(1).sum()
        y.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            most.backward()


def test_a_subclass_is_kept() -> None:
    class Own(lg.Tensor):
        pass

    x = lg.ones(2, 3).as_subclass(Own)
    for _ in range(3):
        assert type(x.T) is type(x[0]) is type(x.sum()) is type(lg.transpose(x, 0, 1)) is Own
        assert type(lg.ones(2, 3).T) is lg.Tensor


def test_memory_that_is_shared_is_read_at_once() -> None:
    x = lg.ones(2, 2)
    for _ in range(3):
        x.sum(), x.T.sum()
    array = x.numpy()
    total, turned = x.sum(), x.T
    array[0, 1] = 5.0
    assert (total.item(), turned[1, 0].item()) == (4.0, 5.0)


def test_the_ways_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "LIMIT", 8)
    x = lg.arange(40.0)
    assert [x[i].item() for i in range(40)] == list(range(40))
    assert len(ways._ways) <= 8
