"""`Tensor` as a handle: a storage, a view of it, and what autograd knows about it.

Owns: the class, how a tensor's value node is found, and how a node becomes a tensor. Must not
know: any operation, or how history is kept (history.py). Methods are put on the class by
methods.py.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lazygrad.autograd.graph import (
    BaseFn,
)
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.thread import thread
from lazygrad.ir.views import View, contiguous_strides
from lazygrad.realize import traces
from lazygrad.runtime.memory import usage
from lazygrad.tensor import relief
from lazygrad.tensor import storage as memory
from lazygrad.tensor.size import CPU, Size, device
from lazygrad.tensor.storage import Storage, depth, read, reads, strided


class Meta:
    """What autograd knows about a tensor. A tensor without one needs no gradient."""

    __slots__ = (
        "accumulator",
        "base",
        "creation",
        "fn",
        "grad",
        "hooks",
        "loose",
        "moved",
        "nr",
        "post_hooks",
        "requires_grad",
        "retains",
        "version",
    )

    def __init__(self) -> None:
        self.requires_grad = False
        self.fn: BaseFn | None = None
        self.nr = 0
        self.grad: Tensor | None = None
        self.accumulator: Any = None  # weak reference
        # of a leaf, or of what `squeeze_` made another shape
        self.hooks: dict[int, Any] | None = None
        self.post_hooks: dict[int, Any] | None = None
        self.base: Tensor | None = None  # of a view: whose history it shares
        self.version = 0  # of a view: the storage's version that `fn` is right for
        self.creation = ""  # of a view that must not be written to: "no_grad" or "multi"
        self.loose: list[int] | None = None  # from `.data`: a version of its own, with its views
        self.moved: Any = None  # where it is, if it was given other memory
        self.retains = False  # whether backward fills `.grad` of what is no leaf

    def __getattr__(self, name: str) -> Any:
        """What a result's was not given, as it is seldom asked for."""
        try:
            value = _LATE[name]
        except KeyError:
            raise AttributeError(name) from None
        setattr(self, name, value)
        return value


_LATE = {
    "accumulator": None,
    "creation": "",
    "grad": None,
    "hooks": None,
    "moved": None,
    "post_hooks": None,
    "retains": False,
    "version": 0,
}


class Tensor:
    """A multi-dimensional array of one dtype that remembers how it was computed."""

    __slots__ = ("__dict__", "__weakref__", "_cached", "_meta", "_storage", "_view")

    __module__ = "lazygrad"  # the name that users see and pickle
    _storage: Storage
    _view: View | None  # None: the whole storage, in its shape
    _meta: Meta | None
    _cached: tuple[Node, Node] | None  # (the storage's node, this view's node)

    _keeps_class = True  # whether results of operations on a subclass are of that subclass
    __array_priority__ = 1000

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        from lazygrad.tensor.from_data import legacy_new

        return as_class(legacy_new(*args, **kwargs), cls)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.partition(".")[0] == "lazygrad":
            cls._keeps_class = False  # as torch.nn.Parameter: results are plain tensors
        elif cls._keeps_class:
            from lazygrad.tensor.methods import keep_class

            keep_class(cls)

    @staticmethod
    def _make_subclass(cls: type, data: Tensor, require_grad: bool = False) -> Any:
        """A new leaf of class `cls` on the storage of `data`."""
        made = alias(data)
        made.__class__ = cls
        if require_grad:
            made.requires_grad = True
        return made

    # -- what it is ------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        return Size(shape_of(self))

    def size(self, dim: int | None = None, *, axis: int | None = None) -> Any:
        shape, dim = shape_of(self), dim if axis is None else axis
        return Size(shape) if dim is None else shape[axis_of(dim, len(shape))]

    def dim(self) -> int:
        return len(shape_of(self))

    ndimension = dim

    @property
    def ndim(self) -> int:
        return len(shape_of(self))

    def numel(self) -> int:
        return Size(shape_of(self)).numel()

    nelement = numel

    @property
    def dtype(self) -> DType:
        return self._storage.dtype

    @property
    def device(self) -> device:
        where = self._storage.device
        return CPU if where == "cpu" else device(where)

    @property
    def itemsize(self) -> int:
        return self._storage.dtype.itemsize

    def element_size(self) -> int:
        return self._storage.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.numel() * self.itemsize

    @property
    def is_cuda(self) -> bool:
        return self._storage.device.startswith("cuda")

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        from lazygrad.tensor.cuda_array import interface

        return interface(self)

    @property
    def is_cpu(self) -> bool:
        return self._storage.device == "cpu"

    is_sparse = False
    is_quantized = False
    is_mkldnn = False
    is_meta = False
    is_nested = False
    names = property(lambda self: (None,) * self.ndim)

    @property
    def layout(self) -> str:
        return "lazygrad.strided"

    def get_device(self) -> int:
        return -1 if self._storage.device == "cpu" else int(self.device.index or 0)

    def stride(self, dim: int | None = None, *, axis: int | None = None) -> Any:
        dim = dim if axis is None else axis
        strides = view_of(self).strides
        return strides if dim is None else strides[axis_of(dim, len(strides))]

    def storage_offset(self) -> int:
        return 0 if self._view is None else self._view.offset

    def is_contiguous(self, memory_format: Any = None) -> bool:
        return self._view is None or self._view.has_dense_strides

    def is_floating_point(self) -> bool:
        return self._storage.dtype.kind == "f"

    def is_complex(self) -> bool:
        return False

    def is_nonzero(self) -> bool:
        """Whether the only element is not zero. RuntimeError unless there is one."""
        return bool(self)

    def is_signed(self) -> bool:
        return self._storage.dtype.is_signed

    def is_inference(self) -> bool:
        return self._storage.inference

    @property
    def _version(self) -> int:
        if self._storage.inference:
            raise RuntimeError("Inference tensors do not track version counter.")
        return told_version(self)

    @property
    def _base(self) -> Tensor | None:
        return None if self._meta is None else self._meta.base

    def _is_view(self) -> bool:
        return self._base is not None

    def __hash__(self) -> int:
        return id(self)

    if TYPE_CHECKING:  # the rest is put on the class by methods.py

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...
        def __getitem__(self, key: Any) -> Tensor: ...
        def __setitem__(self, key: Any, value: Any) -> None: ...
        def __iter__(self) -> Iterator[Tensor]: ...
        def __len__(self) -> int: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __float__(self) -> float: ...
        def __int__(self) -> int: ...
        def __index__(self) -> int: ...
        def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...


_new = Tensor.__new__
_alloc = object.__new__
_ref = weakref.ref


def as_class(tensor: Tensor, cls: type) -> Any:
    if cls is not Tensor:
        tensor.__class__ = cls
    return tensor


def shape_of(t: Tensor) -> Shape:
    view = t._view
    return t._storage.shape if view is None else view.shape


def version_of(t: Tensor) -> int:
    """How often the tensor was written to, as far as versions tell."""
    meta = t._meta
    return t._storage.version if meta is None or meta.loose is None else meta.loose[0]


def told_version(t: Tensor) -> int:
    """The version that users see: it goes on where the tensor was given other memory."""
    moved = t._meta.moved if t._meta is not None else None
    return version_of(t) + (0 if moved is None else moved.offset)


def view_of(t: Tensor) -> View:
    view = t._view
    return View.contiguous(t._storage.shape) if view is None else view


def axis_of(dim: Any, rank: int) -> int:
    """A dim that counts from either end. Raises IndexError with PyTorch's words."""
    if type(dim) is not int:
        dim = index_of(dim)
    limit = rank if rank else 1
    if not -limit <= dim < limit:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], "
            f"but got {dim})"
        )
    return dim + limit if dim < 0 else dim


def index_of(value: Any) -> int:
    try:
        return int(value.__index__())
    except AttributeError:
        raise TypeError(f"an integer is required (got type {type(value).__name__})") from None


# -- values -------------------------------------------------------------------------------------


def node_of(t: Tensor) -> Node:
    """The node that is this tensor's value now."""
    base = t._storage.node
    view = t._view
    if base is None:
        base = read(t._storage)
        if view is not None and t._storage.shared is not None:
            return memory.view_node(t, base, view)
    if view is None:
        return base
    cached = t._cached
    if cached is not None and cached[0] is base:
        return cached[1]
    node = strided(base, view)
    t._cached = (base, node)
    return node


def nodes_of(*tensors: Tensor) -> list[Node]:
    """The values of several tensors; two different tensors never share a node, since gradients
    are kept by node and theirs may differ (`x * x.detach()`)."""
    nodes = [node_of(t) for t in tensors]
    if len(set(nodes)) != len(nodes):
        owner: dict[Node, Tensor] = {}
        for i, (node, t) in enumerate(zip(nodes, tensors)):
            if owner.setdefault(node, t) is not t:
                nodes[i] = ops.reshape(node, arg=node.shape)
    return nodes


def wrap(node: Node) -> Tensor:
    """A new tensor of this value, without history."""
    if reads:
        memory.settle([node])
    return fresh(node, thread.__dict__)


def fresh(node: Node, now: dict[str, Any]) -> Tensor:
    """As `wrap` where no shared memory was read; `now` is the thread's entries."""
    t = _alloc(Tensor)
    stored = t._storage = _alloc(Storage)
    stored.node = node
    note = node.holder = _ref(stored)
    recent = now["recent"]
    recent.append(note)
    stored.inference = now["inference"]
    stored.version = stored.loose = stored.exports = 0
    stored.shared = None
    if traces:
        traces[-1].made(stored)
    t._view = t._meta = None
    if len(recent) > now["most"] or usage.in_use > now["most_bytes"]:
        relief.relieve(node)
    return t


def wrap_as(node: Node, order: Sequence[int] | None) -> Tensor:
    """A new tensor whose memory runs through the axes in this order, outermost first."""
    if order is None:
        return wrap(node)
    if reads:
        memory.settle([node])
    base = ops.permute(node, arg=tuple(order))
    steps = contiguous_strides(base.shape)
    strides = [0] * len(steps)
    for axis, step in zip(order, steps):
        strides[axis] = step
    return wrap_viewed(base, View(node.shape, tuple(strides)), node)


def wrap_viewed(base: Node, view: View, node: Node) -> Tensor:
    """A new tensor on memory of its own, of which it is this view: `node` is its value."""
    t = _alloc(Tensor)
    t._storage = Storage(base)
    t._view = view
    t._cached = (base, node)
    t._meta = None
    if len(depth.recent) > depth.most or usage.in_use > depth.most_bytes:
        relief.relieve(node)
    return t


def cut(node: Node) -> Node:
    """Inside a composite function: this value, not to be differentiated through."""
    if depth.cuts is None:
        return node
    other = ops.reshape(node, arg=node.shape)
    depth.cuts.append(other)
    return other


def alias(t: Tensor) -> Tensor:
    """Another handle on the same memory, without history."""
    made = _alloc(Tensor)
    made._storage = t._storage
    made._view = t._view
    made._meta = None
    if t._view is not None:
        made._cached = t._cached
    return made
