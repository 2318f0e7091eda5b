"""DLPack: the same memory in other libraries, kept as long as it is used, refused with a reason."""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.ir import dtypes as D
from lazygrad.runtime.memory import pool
from lazygrad.tensor import dlpack
from lazygrad.tensor.numpy_bridge import data_ptr

SHARED = [d for d in D.ALL if d is not D.bfloat16]
LAYOUTS = {
    "whole": lambda t: t,
    "transposed": lambda t: t.t(),
    "column": lambda t: t[:, 1],
    "steps": lambda t: t[1:, ::2],
    "one": lambda t: t[1, 2],
    "empty": lambda t: t[:0],
    "expanded": lambda t: t[:1].expand(3, 4),
}


def values(dtype: D.DType) -> Any:
    return (lg.arange(12).reshape(3, 4) % 5).to(dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", SHARED, ids=str)
def test_numpy_reads_the_same_memory(dtype: D.DType, layout: str) -> None:
    t = LAYOUTS[layout](values(dtype))
    n = np.from_dlpack(t)
    assert n.dtype == dtype.np and n.shape == t.shape and n.tolist() == t.tolist()
    assert n.size == 0 or n.ctypes.data == data_ptr(t)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in ("expanded", "one")])
@pytest.mark.parametrize("dtype", SHARED, ids=str)
def test_arrays_are_taken_in_without_a_copy(dtype: D.DType, layout: str) -> None:
    n = LAYOUTS[layout](_Array((np.arange(12).reshape(3, 4) % 5).astype(dtype.np)))
    t = lg.from_dlpack(n)
    assert t.dtype is dtype and t.shape == n.shape and t.tolist() == n.tolist()
    assert not n.size or data_ptr(t) == n.ctypes.data
    if n.size > 1:
        t.fill_(1)
        assert n.tolist() == t.tolist() and n.ravel()[0] == 1


class _Array(np.ndarray):
    """An array with the methods that the layouts use."""

    def __new__(cls, values: np.ndarray) -> Any:
        return values.view(cls)

    def t(self) -> Any:
        return self.T


def test_writes_on_either_side_are_seen_on_the_other() -> None:
    t = lg.zeros(3)
    n = np.from_dlpack(t)
    before = t + 1
    n[0] = 7
    assert t.tolist() == [7, 0, 0] and before.tolist() == [1, 1, 1]
    t.add_(1)
    assert n.tolist() == [8, 1, 1]
    a = np.zeros(3)
    x = lg.from_dlpack(a)
    y = x + 1
    a[:] = 5
    assert y.tolist() == [1, 1, 1] and x.tolist() == [5, 5, 5]


def test_memory_is_kept_by_whoever_uses_it_and_then_given_back() -> None:
    gc.collect()
    before, held = pool.in_use, len(dlpack._held)
    t = lg.arange(4.0)
    n = np.from_dlpack(t)
    del t
    gc.collect()
    lg.ones(4).realize()
    assert n.tolist() == [0, 1, 2, 3] and len(dlpack._held) == held + 1
    del n
    gc.collect()
    assert pool.in_use == before and len(dlpack._held) == held
    a = np.arange(4.0)
    count = sys.getrefcount(a)
    x = lg.from_dlpack(a)
    y = x[1:]
    del x
    gc.collect()
    assert sys.getrefcount(a) == count + 1 and y.tolist() == [1, 2, 3]
    del y
    gc.collect()
    assert sys.getrefcount(a) == count


def test_a_tensor_is_lazy_again_when_its_memory_came_back() -> None:
    t = lg.ones(3)
    n = np.from_dlpack(t)
    assert t._storage.node is None
    del n
    t.add_(1)
    assert t._storage.node is not None and t.tolist() == [2, 2, 2]


def test_a_capsule_that_nobody_takes_is_freed() -> None:
    held = len(dlpack._held)
    for version in (None, (1, 0)):
        capsule = lg.ones(3).__dlpack__(max_version=version)
        assert len(dlpack._held) == held + 1
        del capsule
        dlpack._sweep()  # as each further export does
        assert len(dlpack._held) == held


def test_memory_comes_back_from_a_capsule_that_nobody_took() -> None:
    t = lg.ones(3)
    capsule = t.__dlpack__()
    t.add_(1)
    assert t._storage.node is None  # whoever has the capsule may look
    del capsule
    t.add_(1)
    assert t._storage.node is not None and t.tolist() == [3, 3, 3]


def test_an_address_that_serves_again_is_another_export(monkeypatch: pytest.MonkeyPatch) -> None:
    t = lg.ones(3)
    given = np.from_dlpack(t)
    assert t._storage.shared is not None
    (export,) = t._storage.shared.exports
    address, held = next(reversed(dlpack._held)), export()
    assert held is dlpack._held[address]
    del given, held
    later = dlpack._Held(dlpack._Managed(), None, None)
    monkeypatch.setitem(dlpack._held, address, later)
    assert export() is None


def test_a_consumer_that_refuses_says_so() -> None:
    """Its exception is on its way while the capsule is dropped."""
    dlpack._sweep()
    held = len(dlpack._held)
    for _ in range(3):
        with pytest.raises((BufferError, RuntimeError), match="Unsupported dtype"):
            np.from_dlpack(lg.ones(2, dtype=lg.bfloat16))
    dlpack._sweep()
    assert len(dlpack._held) == held


@pytest.mark.parametrize(
    ("version", "name"),
    [
        (None, "dltensor"),
        ((0, 8), "dltensor"),
        ((1, 0), "dltensor_versioned"),
        ((9, 9), "dltensor_versioned"),
    ],
)
def test_the_consumer_says_which_version(version: Any, name: str) -> None:
    capsule = lg.ones(2, 3).__dlpack__(max_version=version)
    assert f'"{name}"' in repr(capsule)
    assert lg.from_dlpack(capsule).tolist() == [[1.0] * 3] * 2
    assert f'"used_{name}"' in repr(capsule)
    with pytest.raises(BufferError, match="consumed only once"):
        lg.from_dlpack(capsule)


def test_copies() -> None:
    t = lg.ones(3)
    n = np.from_dlpack(t, copy=True)
    n[0] = 5
    assert t.tolist() == [1, 1, 1]
    a = np.ones(3)
    x, y = lg.from_dlpack(a, copy=True), lg.from_dlpack(a, copy=False)
    a[0] = 5
    assert x.tolist() == [1, 1, 1] and y.tolist() == [5, 1, 1]
    flags = dlpack._Versioned.from_address(
        dlpack._pointer(c := t.__dlpack__(max_version=(1, 0), copy=True), b"dltensor_versioned")
    ).flags
    assert flags == dlpack.IS_COPIED and c is not None


def test_devices() -> None:
    t = lg.ones(3)
    assert t.__dlpack_device__() == (1, 0) and isinstance(t.__dlpack_device__()[0], int)
    assert np.from_dlpack(t, device="cpu").tolist() == [1, 1, 1]
    assert lg.from_dlpack(np.ones(2), device="cpu").tolist() == [1, 1]
    assert lg.from_dlpack(lg.from_dlpack(t)).data_ptr() == t.data_ptr()


def test_read_only_memory_is_not_written() -> None:
    a = np.ones(3)
    a.flags.writeable = False
    t = lg.from_dlpack(a)
    assert (t + 1).tolist() == [2, 2, 2]
    for write in (lambda: t.add_(1), lambda: t[1:].zero_(), lambda: t.__setitem__(0, 4)):
        with pytest.raises(RuntimeError, match="read-only"):
            write()
    assert a.tolist() == [1, 1, 1] and t._version == 0
    assert not t.numpy().flags.writeable
    assert not np.from_dlpack(t).flags.writeable
    with pytest.raises(BufferError, match="read-only"):
        t.__dlpack__()
    assert t.clone().add_(1).tolist() == [2, 2, 2]


class _Producer:
    """Says that its memory is somewhere else, or has no such arguments as newer ones have."""

    def __init__(self, array: np.ndarray, place: tuple[int, int] = (1, 0)):
        self.array = array
        self.place = place

    def __dlpack__(self, stream: Any = None) -> Any:
        return self.array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.place


def test_older_producers() -> None:
    a = np.arange(3.0)
    t = lg.from_dlpack(_Producer(a))
    assert data_ptr(t) == a.ctypes.data
    copied = lg.from_dlpack(_Producer(a), copy=True)
    a[0] = 9
    assert t.tolist() == [9, 1, 2] and copied.tolist() == [0, 1, 2]


def _spoiled(**fields: int) -> Any:
    """A capsule that says something else of its tensor."""
    capsule = lg.ones(4).__dlpack__(max_version=(1, 0))
    managed = dlpack._Versioned.from_address(dlpack._pointer(capsule, b"dltensor_versioned"))
    for name, value in fields.items():
        setattr(managed if name == "major" else managed.tensor, name, value)
    return capsule


_NAME = b"other"


@pytest.mark.parametrize(
    ("give", "kind", "words"),
    [
        (lambda: lg.ones(2, requires_grad=True).__dlpack__(), BufferError, "require gradient"),
        (lambda: lg.ones(2).__dlpack__(stream=3), BufferError, "stream"),
        (lambda: lg.ones(2).__dlpack__(stream="x"), TypeError, "stream"),
        (lambda: lg.ones(2).__dlpack__(max_version=1), TypeError, "max_version"),
        (lambda: lg.ones(2).__dlpack__(dl_device=(2, 0)), BufferError, "device"),
        (lambda: lg.ones(2).__dlpack__(dl_device=3), TypeError, "dl_device"),
        (lambda: lg.from_dlpack(3), TypeError, "__dlpack__"),
        (lambda: lg.from_dlpack(_Producer(np.ones(2), (2, 99))), BufferError, "device"),
        (lambda: lg.from_dlpack(_Producer(np.ones(2), (10, 0))), BufferError, "device"),
        (lambda: lg.from_dlpack(np.ones(2, np.complex64)), BufferError, "no dtype"),
        (lambda: lg.from_dlpack(np.ones(2, np.uint32)), BufferError, "no dtype"),
        (lambda: lg.from_dlpack(np.array(["a"])), (BufferError, TypeError), "."),
        (lambda: lg.from_dlpack(np.arange(4)[::-1]), BufferError, "negative"),
        (lambda: lg.from_dlpack(_spoiled(lanes=4)), BufferError, "lanes"),
        (lambda: lg.from_dlpack(_spoiled(device_type=10)), BufferError, "device"),
        (lambda: lg.from_dlpack(_spoiled(byte_offset=1)), BufferError, "aligned"),
        (lambda: lg.from_dlpack(_spoiled(major=2)), BufferError, "newer"),
        (
            lambda: lg.from_dlpack(dlpack._new(8, _NAME, None)),
            BufferError,
            "invalid capsule",
        ),
    ],
)
def test_refusals(give: Any, kind: Any, words: str) -> None:
    held = len(dlpack._held)
    with pytest.raises(kind, match=words):
        give()
    gc.collect()
    dlpack._sweep()
    assert len(dlpack._held) == held


def test_consumers_may_outlive_everything_at_exit() -> None:
    text = (
        "import numpy as np, lazygrad as lg\n"
        "n = np.from_dlpack(lg.ones(3)); t = lg.from_dlpack(np.ones(3))\n"
        "c = lg.ones(2).__dlpack__(); print((t + 1).sum().item())\n"
        "import sys; sys.keep = (n, t, c, lg.from_dlpack(lg.ones(3)))\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "6.0\n", "")


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "layout"), list(itertools.product(D.ALL, LAYOUTS)), ids=str)
def test_to_and_from_torch(dtype: D.DType, layout: str) -> None:
    torch: Any = pytest.importorskip("torch")
    t = LAYOUTS[layout](values(dtype))
    u = torch.from_dlpack(t)
    assert u.dtype is getattr(torch, dtype.name) and u.tolist() == t.tolist()
    assert not t.numel() or u.data_ptr() == t.data_ptr()
    back = lg.from_dlpack(u)
    assert back.dtype is dtype and back.shape == t.shape and back.tolist() == t.tolist()
    assert not t.numel() or back.data_ptr() == u.data_ptr()
    if t.numel() > 1 and layout != "expanded":
        back.zero_()
        assert not any(np.array(u.tolist()).ravel()) and not any(np.array(t.tolist()).ravel())
    x = LAYOUTS[layout](torch.arange(12).reshape(3, 4).to(u.dtype))
    taken = lg.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(x))
    assert taken.tolist() == x.tolist() and tuple(taken.stride()) == tuple(x.stride())


@pytest.mark.torch
def test_what_torch_refuses_is_a_buffer_error() -> None:
    torch: Any = pytest.importorskip("torch")
    for given in (
        torch.ones(2, requires_grad=True),
        torch.ones(2, dtype=torch.complex64).conj(),
        torch.ones(2, dtype=torch.complex64),
        torch.ones(2, dtype=torch.float8_e4m3fn),
    ):
        with pytest.raises(BufferError):
            lg.from_dlpack(given)
    t = lg.arange(3.0)
    u = torch.from_dlpack(t)
    del t
    gc.collect()
    assert u.tolist() == [0, 1, 2]
