"""DLPack in both directions: tensors of other libraries on the same memory, without a copy.

Owns: the C structures of DLPack 0.8 (`dltensor`) and 1.0 (`dltensor_versioned`), capsules and who
frees what they hold, `from_dlpack`, `to_dlpack` and the methods of the protocol. Must not know:
how shared memory is kept consistent (storage.py does that).

The structures are those of https://dmlc.github.io/dlpack/latest/c_api.html. Memory that is handed
out stays until the consumer calls the deleter; memory that is taken in, until its last tensor is
gone.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import math
import sys
import weakref
from typing import Any

from lazygrad.ir import dtypes as D
from lazygrad.ir.dtypes import DType
from lazygrad.ir.views import View
from lazygrad.runtime.device import HOST, Device
from lazygrad.runtime.device import device as opened
from lazygrad.runtime.memory import Buffer
from lazygrad.tensor import storage as memory
from lazygrad.tensor.convert import clone
from lazygrad.tensor.core import Tensor, node_of, view_of, wrap
from lazygrad.tensor.history import needs_grad
from lazygrad.tensor.numpy_bridge import on_memory
from lazygrad.tensor.size import device_name

VERSION = (1, 0)
READ_ONLY, IS_COPIED = 1, 2  # flags of a versioned tensor


class DLDeviceType(enum.IntEnum):
    """Where memory is, in DLPack's numbers."""

    kDLCPU = 1
    kDLCUDA = 2
    kDLCUDAHost = 3
    kDLOpenCL = 4
    kDLVulkan = 7
    kDLMetal = 8
    kDLVPI = 9
    kDLROCM = 10
    kDLROCMHost = 11
    kDLExtDev = 12
    kDLCUDAManaged = 13
    kDLOneAPI = 14


_HERE = (int(DLDeviceType.kDLCPU), 0)
_KINDS_OF_DEVICE = {"cpu": DLDeviceType.kDLCPU, "cuda": DLDeviceType.kDLCUDA}
_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}
_BFLOAT = 4


def _type_of(dtype: DType) -> tuple[int, int]:
    """(DLPack's type code, bits)."""
    code = _BFLOAT if dtype is D.bfloat16 else _CODES[dtype.kind]
    return code, dtype.itemsize * 8


def _pair_of(name: str) -> tuple[int, int]:
    """DLPack's (device type, number) of a device of ours."""
    kind, _, number = name.partition(":")
    return int(_KINDS_OF_DEVICE[kind]), int(number or 0)


def _device_of(pair: tuple[int, int]) -> Device:
    """Our device of such a pair. Raises BufferError where there is none."""
    name = next((k for k, number in _KINDS_OF_DEVICE.items() if pair[0] == number), None)
    if name is None:
        raise BufferError(f"from_dlpack: memory on DLPack device {pair} is on none of ours")
    try:
        return opened(name if name == HOST else f"{name}:{pair[1]}")
    except (AssertionError, RuntimeError) as error:
        raise BufferError(f"from_dlpack: memory on DLPack device {pair}: {error}") from error


_DTYPES = {_type_of(dtype): dtype for dtype in D.ALL}

# -- the C side ---------------------------------------------------------------------------------

_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Managed(ctypes.Structure):
    _fields_ = [
        ("tensor", _DLTensor),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    ]


class _Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _DLTensor),
    ]


_KINDS: dict[bytes, Any] = {b"dltensor_versioned": _Versioned, b"dltensor": _Managed}

_api = ctypes.pythonapi
# a prototype of our own for each: other modules may set other types on the shared functions
_new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", _api)
)
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_IsValid", _api)
)
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", _api)
)
_rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_SetName", _api)
)

# -- out ----------------------------------------------------------------------------------------


class _Held:
    """What a consumer was given: the structure, the memory that it points to, and the capsule."""

    __slots__ = ("__weakref__", "arrays", "buffer", "capsule", "managed")

    def __init__(self, managed: Any, buffer: Buffer, arrays: Any):
        self.managed = managed
        self.buffer = buffer
        self.arrays = arrays
        self.capsule: Any = None


_held: dict[int, _Held] = {}  # named cache: the address of a structure -> what it keeps
_offered: dict[int, None] = {}  # named cache: those whose capsule may not have been consumed


def _release(address: int, held: dict[int, _Held] = _held) -> None:
    held.pop(address, None)


def _look(held: _Held) -> _Held | None:
    """What is held. Freed here, if nobody has its capsule nor has consumed it.

    A capsule has no destructor of ours: one that refuses a capsule drops it while its exception is
    on its way, and no Python code can run then without destroying that.
    """
    if held.capsule is not None and sys.getrefcount(held.capsule) <= 2:  # ours, the argument
        address = ctypes.addressof(held.managed)
        _offered.pop(address, None)
        if any(_is_valid(held.capsule, name) for name in _KINDS):
            _release(address)
            return None
        held.capsule = None
    return held


def _given_out(reference: weakref.ref[_Held]) -> _Held | None:
    """What was handed out, None if it came back. Not by its address: that serves again."""
    held = reference()
    return None if held is None else _look(held)


def _sweep() -> None:
    """Free what was offered and never taken."""
    for address in list(_offered):
        held = _held.get(address)
        if held is None:
            _offered.pop(address, None)
        else:
            _look(held)


_release_c = _Deleter(_release)
_api.Py_IncRef(ctypes.py_object(_release_c))  # consumers may outlive this module
_RELEASE = ctypes.cast(_release_c, ctypes.c_void_p).value


def dlpack(
    self: Tensor,
    *,
    stream: int | None = -1,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[Any, int] | None = None,
    copy: bool | None = None,
) -> Any:
    """A capsule with this tensor's memory for another library's `from_dlpack`.

    Versioned if `max_version` is at least (1, 0). `stream` is the consumer's, which waits on the
    device for what computes the values; -1 asks for no order. `dl_device` may be the CPU, which
    takes a copy from elsewhere. Raises BufferError for what cannot be handed out: a tensor that
    requires a gradient, another device, read-only memory without a version.
    """
    if needs_grad(self):
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if stream is not None and type(stream) is not int:
        raise TypeError("stream must be ``int`` or ``none``")
    if max_version is not None and (not isinstance(max_version, tuple) or len(max_version) != 2):
        raise TypeError(f"max_version must be a tuple of two integers, but got {max_version!r}")
    here = _pair_of(self._storage.device)
    wanted = here if dl_device is None else _device_pair(dl_device)
    if wanted != here and (wanted != _HERE or copy is False):
        raise BufferError(
            f"Can't export a tensor on {self.device} to DLPack device {dl_device or 'cpu'}"
        )
    versioned = max_version is not None and max_version[0] >= 1
    if copy or wanted != here:
        node = node_of(clone(self) if wanted == here else self.cpu())
        self = wrap(node)
        del node
        copy = True
    shared = memory.pin(self._storage)
    if shared.read_only and not versioned:
        raise BufferError("Can't export read-only memory to a consumer of DLPack before 1.0")
    if wanted == here and stream != -1:
        opened(shared.device).before(stream)
    return _capsule(shared, view_of(self), versioned, bool(copy))


def _device_pair(value: Any) -> tuple[int, int]:
    try:
        kind, number = value
        return int(kind), int(number)
    except (TypeError, ValueError):
        raise TypeError(
            f"dl_device must be a tuple of a device type and a number, but got {value!r}"
        ) from None


def _capsule(shared: memory.Shared, view: View, versioned: bool, copied: bool) -> Any:
    rank = len(view.shape)
    numbers = (ctypes.c_int64 * max(2 * rank, 1))(*view.shape, *view.strides)
    managed = (_Versioned if versioned else _Managed)()
    tensor = managed.tensor
    size = shared.dtype.itemsize
    tensor.data = shared.buffer.address + view.offset * size
    tensor.device_type, tensor.device_id = _pair_of(shared.device)
    tensor.ndim = rank
    tensor.code, tensor.bits = _type_of(shared.dtype)
    tensor.lanes = 1
    whole = ctypes.POINTER(ctypes.c_int64)
    start = ctypes.addressof(numbers)
    tensor.shape = ctypes.cast(start, whole)
    tensor.strides = ctypes.cast(start + 8 * rank, whole)
    managed.deleter = _RELEASE
    name = b"dltensor"
    if versioned:
        name = b"dltensor_versioned"
        managed.major, managed.minor = VERSION
        managed.flags = READ_ONLY * shared.read_only | IS_COPIED * copied
    _sweep()
    address = ctypes.addressof(managed)
    held = _held[address] = _Held(managed, shared.buffer, numbers)
    _offered[address] = None
    shared.exports.append(functools.partial(_given_out, weakref.ref(held)))
    capsule = held.capsule = _new(address, name, None)  # two references: nobody may sweep it yet
    return capsule


def dlpack_device(self: Tensor) -> tuple[DLDeviceType, int]:
    """(device type, number) as DLPack numbers them."""
    kind, number = _pair_of(self._storage.device)
    return DLDeviceType(kind), number


def to_dlpack(tensor: Tensor) -> Any:
    """A capsule of the form before DLPack 1.0."""
    return dlpack(tensor)


# -- in -----------------------------------------------------------------------------------------


class _Foreign:
    """Memory of another library: calls its deleter when the last tensor is gone."""

    __slots__ = ("_address", "_delete")

    def __init__(self, address: int, deleter: int | None):
        self._address = address
        self._delete = _Deleter(deleter) if deleter else None

    def __del__(self) -> None:
        if self._delete is not None:
            self._delete(self._address)


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of another library's tensor, or of a DLPack capsule.

    `copy` True: on memory of its own; False: never. Raises BufferError for memory that cannot be
    shared (another device, a dtype that is not here, a capsule that was consumed), TypeError for
    what has no `__dlpack__`, ValueError where `copy=False` cannot be kept.
    """
    where = None if device is None else device_name(device)
    copied = False
    capsule = ext_tensor
    if hasattr(ext_tensor, "__dlpack__"):
        capsule, copied = _ask(ext_tensor, copy)
    made = _taken(capsule)
    if where is not None and made._storage.device != where:
        if copy is False:
            raise ValueError(f"from_dlpack: memory on {made.device} is on {where} by a copy only")
        return made.to(where)
    return clone(made).detach() if copy and not copied else made


def _ask(producer: Any, copy: bool | None) -> tuple[Any, bool]:
    """(the producer's capsule, whether it has copied). Older ones take fewer arguments.

    Where devices have streams the producer is told ours, which waits for what it has started.
    """
    place = producer.__dlpack_device__() if hasattr(producer, "__dlpack_device__") else _HERE
    ours = _device_of((int(place[0]), int(place[1]))).stream
    options: dict[str, Any] = {} if ours is None else {"stream": ours}
    more: dict[str, Any] = {"max_version": VERSION}
    if copy is not None:
        more["copy"] = copy
    try:
        return producer.__dlpack__(**options, **more), bool(copy)
    except TypeError:
        return producer.__dlpack__(**options), False


def _taken(capsule: Any) -> Tensor:
    """Consume a capsule. What is refused is left to its producer."""
    if type(capsule).__name__ != "PyCapsule":
        raise TypeError(
            "from_dlpack: expected an object with __dlpack__ or a DLPack capsule, got "
            f"{type(capsule).__name__}"
        )
    name = next((name for name in _KINDS if _is_valid(capsule, name)), None)
    if name is None:
        raise BufferError(
            "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed "
            "only once, so you might have already constructed a tensor from it once."
        )
    address = _pointer(capsule, name)
    managed = _KINDS[name].from_address(address)
    if name == b"dltensor_versioned" and managed.major > VERSION[0]:
        raise BufferError(
            f"from_dlpack: DLPack {managed.major}.{managed.minor} is newer than {VERSION[0]}"
        )
    tensor = managed.tensor
    where = _device_of((tensor.device_type, tensor.device_id))
    dtype = _dtype_in(tensor)
    shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
    view = _view_in(tensor, shape)
    count = math.prod(shape)
    start = (tensor.data or 0) + tensor.byte_offset
    if count and start % dtype.itemsize:
        raise BufferError(f"from_dlpack: memory at {start:#x} is not aligned to {dtype}")
    read_only = name == b"dltensor_versioned" and bool(managed.flags & READ_ONLY)
    owner = _Foreign(address, managed.deleter)
    _rename(capsule, _USED[name])
    return on_memory(where, start, dtype, shape, view, owner, read_only)


_USED = {name: b"used_" + name for name in _KINDS}


def _dtype_in(tensor: Any) -> DType:
    dtype = _DTYPES.get((tensor.code, tensor.bits))
    if dtype is None or tensor.lanes != 1:
        raise BufferError(
            f"from_dlpack: no dtype for DLPack type code {tensor.code} with {tensor.bits} bits "
            f"and {tensor.lanes} lanes"
        )
    return dtype


def _view_in(tensor: Any, shape: tuple[int, ...]) -> View:
    if not tensor.strides:
        return View.contiguous(shape)
    strides = tuple(tensor.strides[i] for i in range(tensor.ndim))
    if any(stride < 0 and extent > 1 for stride, extent in zip(strides, shape)):
        raise BufferError(f"from_dlpack: negative strides {strides} are not supported")
    return View(shape, tuple(max(stride, 0) for stride in strides))
