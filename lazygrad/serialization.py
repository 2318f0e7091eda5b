"""`save` and `load`, in the file format of PyTorch: either library reads what the other wrote.

Owns: the zip archive (a pickle, and the bytes of every storage beside it), the names by which
PyTorch's pickles call its types, and where loaded storages are put. Must not know: modules or
optimizers; their states are dictionaries of tensors.

The archive has one folder with `data.pkl` (tensors are calls of `torch._utils._rebuild_tensor_v2`
on a storage, an offset, sizes and strides; a storage is a persistent id), `data/KEY` (raw values,
in the order that `byteorder` says), and `version`.
"""

from __future__ import annotations

import codecs
import io
import os
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from math import prod
from pathlib import PurePath
from typing import IO, Any

import numpy as np

from lazygrad.ir import ops
from lazygrad.ir.dtypes import ALL, DType
from lazygrad.ir.views import View
from lazygrad.nn.parameter import Parameter
from lazygrad.realize import realize_nodes
from lazygrad.runtime.device import HOST, from_array
from lazygrad.tensor import Size, Tensor, device
from lazygrad.tensor.cuda import restored
from lazygrad.tensor.numpy_bridge import on_storage
from lazygrad.tensor.storage import Storage, forget, read, value_read

__all__ = ["load", "save"]

_STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}
File = str | os.PathLike[str] | IO[bytes]
MapLocation = str | device | Mapping[str, str] | Callable[[Storage, str], Any] | None


class _Global:
    """A name in a pickle that is not imported here. Never called: pickle wants a callable."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    def __call__(self) -> None:
        raise TypeError(f"{self.module}.{self.name} is only a name")


_TENSOR = _Global("torch._utils", "_rebuild_tensor_v2")
_PARAMETER = _Global("torch._utils", "_rebuild_parameter")


# -- writing --------------------------------------------------------------------------------------
class _Writer(pickle._Pickler):  # the one in Python: the one in C imports every name it writes
    """Pickles tensors as PyTorch does, and collects their storages."""

    def __init__(self, file: IO[bytes], protocol: int):
        super().__init__(file, protocol)
        self.keys: dict[Storage, str] = {}

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, DType):
            obj = _Global("torch", obj.name)
        if isinstance(obj, _Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())  # type: ignore[attr-defined]
        else:
            super().save(obj, save_persistent_id)  # type: ignore[misc]

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Storage):
            return None
        key = self.keys.setdefault(obj, str(len(self.keys)))
        kind = _Global("torch", _STORAGES[obj.dtype.name])
        return ("storage", kind, key, obj.device, prod(obj.shape))

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is Tensor:
            return _TENSOR, (
                obj._storage,
                obj.storage_offset(),
                tuple(obj.shape),
                obj.stride(),
                obj.requires_grad,
                OrderedDict(),
            )
        if type(obj) is Parameter:
            return _PARAMETER, (obj.data, obj.requires_grad, OrderedDict())
        if isinstance(obj, device):
            where = (obj.type,) if obj.index is None else (obj.type, obj.index)
            return _Global("torch", "device"), where
        if isinstance(obj, Size):
            return _Global("torch", "Size"), (tuple(obj),)
        return NotImplemented


def _values(stored: Storage) -> bytes:
    node = read(stored)
    assert node.buffer is not None
    raw: bytes = node.buffer.array(node.dtype.np, node.shape).tobytes()
    return raw


def save(
    obj: object,
    f: File,
    pickle_module: Any = pickle,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Write an object to a file (a path, or an object with `write`), as `torch.save` does.

    Tensors that share memory share it again when loaded. A file of tensors in dictionaries, lists
    and the like can be read by PyTorch; one with a Module in it by lazygrad only. `pickle_module`
    is taken and not used.
    """
    pickled = io.BytesIO()
    writer = _Writer(pickled, pickle_protocol)
    writer.dump(obj)
    value_read("the value of a tensor")
    realize_nodes([read(stored) for stored in writer.keys])
    name = PurePath(os.fspath(f)).stem if isinstance(f, str | os.PathLike) else "archive"
    with zipfile.ZipFile(f, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{name}/data.pkl", pickled.getvalue())
        archive.writestr(f"{name}/byteorder", sys.byteorder)
        for stored, key in writer.keys.items():
            archive.writestr(f"{name}/data/{key}", _values(stored))
        archive.writestr(f"{name}/version", "3\n")
    forget()


# -- reading --------------------------------------------------------------------------------------
def _rebuild_parameter(data: Tensor, requires_grad: bool, hooks: Any) -> Parameter:
    return Parameter(data, requires_grad)


_KNOWN: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch", "Size"): Size,
    ("torch", "device"): device,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): codecs.encode,  # bytes, in protocol 2
    **{("torch", name): dtype for dtype in ALL for name in (dtype.name, _STORAGES[dtype.name])},
}


class _Reader(pickle.Unpickler):
    """Unpickles what `_Writer` and PyTorch wrote."""

    def __init__(
        self, archive: zipfile.ZipFile, folder: str, location: MapLocation, weights_only: bool
    ):
        super().__init__(io.BytesIO(archive.read(f"{folder}/data.pkl")), encoding="utf-8")
        self.archive = archive
        self.folder = folder
        self.location = location
        self.weights_only = weights_only
        self.swapped = self._byteorder() != sys.byteorder
        self.storages: dict[str, Storage] = {}
        self.shaped: set[Storage] = set()  # those that a tensor without a view lies on

    def _tensor(
        self,
        stored: Storage,
        offset: int,
        size: tuple[int, ...],
        stride: tuple[int, ...],
        requires_grad: bool,
        hooks: Any,
        metadata: Any = None,
    ) -> Tensor:
        view: View | None = View(tuple(size), tuple(stride), offset)
        if stored not in self.shaped and view == View.contiguous(tuple(size)):
            node = read(stored)
            if node.buffer is not None and node.numel == prod(size):
                stored.node = ops.buffer_leaf(node.buffer, tuple(size), node.dtype, node.device)
                self.shaped.add(stored)
                view = None
        made = on_storage(stored, view)
        made.requires_grad = requires_grad
        return made

    def _byteorder(self) -> str:
        try:
            return self.archive.read(f"{self.folder}/byteorder").decode()
        except KeyError:  # older files: the machine that wrote them was little-endian
            return "little"

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == (_TENSOR.module, _TENSOR.name):
            return self._tensor
        found = _KNOWN.get((module, name))
        if found is not None:
            return found
        if self.weights_only:
            raise pickle.UnpicklingError(
                f"Weights only load failed: the file asks for {module}.{name}, which is neither a "
                "tensor nor a plain container. If you trust where the file comes from, load it "
                "with weights_only=False: it may then run any code."
            )
        return super().find_class(module, name)

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, where, count = pid
        if kind != "storage" or not isinstance(dtype, DType):
            raise pickle.UnpicklingError(f"unknown persistent id {pid!r}")
        if key not in self.storages:
            raw = self.archive.read(f"{self.folder}/data/{key}")
            values = np.frombuffer(raw, dtype.np, count)
            values = values.byteswap() if self.swapped else values
            self.storages[key] = _located(values, dtype, where, self.location)
        return self.storages[key]


def _on(values: np.ndarray, dtype: DType, where: str) -> Storage:
    where = restored(where)
    return Storage(ops.buffer_leaf(from_array(values, where), values.shape, dtype, where))


def _located(values: np.ndarray, dtype: DType, where: str, location: MapLocation) -> Storage:
    """A storage with these values, where `map_location` says."""
    if location is None:
        return _on(values, dtype, where)
    if isinstance(location, Mapping):
        return _on(values, dtype, location.get(where, where))
    if callable(location) and not isinstance(location, device):
        stored = _on(values, dtype, HOST)
        moved = location(stored, where)
        return _on(values, dtype, where) if moved is None else moved
    return _on(values, dtype, str(device(location)))


def load(
    f: File,
    map_location: MapLocation = None,
    pickle_module: Any = None,
    *,
    weights_only: bool = True,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read what `save` or `torch.save` wrote, from a path or an object with `read` and `seek`.

    `map_location` (a device, a dictionary of locations, or a function of a storage and its
    location) says where tensors are put; by default where they were. With `weights_only` nothing
    but tensors and plain containers is read, and no code of the file runs; `weights_only=False`
    reads any pickle. pickle.UnpicklingError for what is refused, RuntimeError for no such archive
    or no such device. `mmap` and `pickle_module` are taken and not used.
    """
    try:
        archive = zipfile.ZipFile(f)
    except zipfile.BadZipFile:
        raise RuntimeError(
            f"{f!r} is not an archive written by save. PyTorch's files from before version 1.6 "
            "have another format: load and save them once with PyTorch."
        ) from None
    with archive:
        names = [n for n in archive.namelist() if n.endswith("/data.pkl")]
        if not names:
            raise RuntimeError(f"{f!r} has no data.pkl: it was not written by save")
        folder = names[0].removesuffix("/data.pkl")
        return _Reader(archive, folder, map_location, weights_only).load()
