"""`Size` and `device`: the two small value types that tensors report about themselves.

Owns: what they print, compare and accept, and the defaults for where tensors are made. Must
not know: tensors, nodes, how any device works.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from lazygrad.runtime.device import BACKENDS, HOST
from lazygrad.runtime.device import device as open_device

_KINDS = (
    "cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, lazy, vulkan, "
    "mps, meta, hpu, mtia, privateuseone"
)


class Size(tuple[int, ...]):
    """The shape of a tensor: a tuple that prints as `lazygrad.Size([5, 3])`."""

    __slots__ = ()
    __module__ = "lazygrad"

    def __new__(cls, extents: Iterable[int] = ()) -> Size:
        return super().__new__(cls, extents)

    def numel(self) -> int:
        return prod(self)

    def __repr__(self) -> str:
        return f"lazygrad.Size([{', '.join(map(str, self))}])"

    def __getitem__(self, key: Any) -> Any:
        got = tuple.__getitem__(self, key)
        return Size(got) if isinstance(key, slice) else got

    def __add__(self, other: Any) -> Any:
        return Size(tuple.__add__(self, other))

    def __mul__(self, count: Any) -> Any:
        return Size(tuple.__mul__(self, count))

    __rmul__ = __mul__

    def __reduce__(self) -> Any:
        return (Size, (tuple(self),))


class device:
    """Where a tensor lives: a kind and, for some kinds, an index."""

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: Any, index: int | None = None):
        if isinstance(type, device):
            type, index = type.type, type.index
        elif isinstance(type, int) and not isinstance(type, bool):
            type, index = "cuda", type
        elif not isinstance(type, str):
            raise TypeError(f"device(): argument 'type' must be str, not {_type_name(type)}")
        kind, colon, number = type.partition(":")
        if kind not in _KINDS.split(", "):
            raise RuntimeError(
                f"Expected one of {_KINDS} device type at start of device string: {kind}"
            )
        if colon:
            if not number.isdigit():
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(number)
        self.type = kind
        self.index = index

    def __repr__(self) -> str:
        if self.index is None:
            return f"device(type='{self.type}')"
        return f"device(type='{self.type}', index={self.index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, device):
            return NotImplemented
        return self.type == other.type and self.index == other.index

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> Any:
        return (device, (self.type, self.index))


CPU = device("cpu")


def _type_name(value: object) -> str:
    return value.__class__.__name__


def device_name(where: Any) -> str:
    """The name that nodes carry for a device given by the user; None stands for the default one.

    Opens the device. Raises what its backend raises where it is absent.
    """
    if where is None:
        return default.name
    found = where if isinstance(where, device) else device(where)
    if found.type == HOST:
        return HOST
    if found.type not in BACKENDS:
        raise RuntimeError(
            f"Expected one of {', '.join(BACKENDS)} device type at start of device string: "
            f"{found.type}"
        )
    number = current.get(found.type, 0) if found.index is None else found.index
    try:
        return open_device(f"{found.type}:{number}").name
    except AssertionError as error:
        if isinstance(where, int):
            words = "Cannot access accelerator device when none is available."
            raise RuntimeError(words) from error
        raise


class _Default:
    """The device of new tensors that nothing else decides."""

    name = HOST


default = _Default()
current: dict[str, int] = {}  # per backend the device that its bare name stands for


def extents(shape: Iterable[int]) -> str:
    """`[2, 3]`: how a shape stands in messages."""
    return "[" + ", ".join(map(str, shape)) + "]"
