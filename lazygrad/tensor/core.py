"""`Tensor` as a handle: a storage, a view of it, and what autograd knows about it.

Owns: the class and its three states, how its value node is found, how results become tensors and
are recorded for backward, how views and in-place writes keep their history. Must not know: any
operation. Methods are put on the class by the modules that declare them (methods.py).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lazygrad.autograd.graph import (
    AccumulateGrad,
    BaseFn,
    Edge,
    GradFn,
    Saved,
    capture,
    fn_class,
)
from lazygrad.autograd.modes import mode
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.views import View, contiguous_strides
from lazygrad.tensor import storage as memory
from lazygrad.tensor.size import CPU, Size, device
from lazygrad.tensor.storage import Storage, depth, read, reads


class Meta:
    """What autograd knows about a tensor. A tensor without one needs no gradient."""

    __slots__ = (
        "accumulator",
        "base",
        "fn",
        "grad",
        "hooks",
        "inference",
        "loose",
        "maker",
        "no_grad_view",
        "nr",
        "post_hooks",
        "requires_grad",
        "version",
    )

    def __init__(self) -> None:
        self.requires_grad = False
        self.fn: BaseFn | None = None
        self.nr = 0
        self.grad: Tensor | None = None
        self.accumulator: Any = None  # weak reference
        self.hooks: dict[int, Any] | None = None
        self.post_hooks: dict[int, Any] | None = None
        self.base: Tensor | None = None  # of a view: whose history it shares
        self.version = 0  # of a view: the storage's version that `fn` is right for
        self.inference = False
        self.no_grad_view = False
        self.loose = False  # from `.data`: writes are not told by the version
        self.maker: str | None = None  # of a view that is one of several made together


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
        from lazygrad.tensor.creation import legacy_new

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

    def size(self, dim: int | None = None) -> Any:
        shape = shape_of(self)
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

    def stride(self, dim: int | None = None) -> Any:
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

    def is_signed(self) -> bool:
        return self._storage.dtype.is_signed

    def is_inference(self) -> bool:
        return self._meta is not None and self._meta.inference

    @property
    def _version(self) -> int:
        return self._storage.version

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


def as_class(tensor: Tensor, cls: type) -> Any:
    if cls is not Tensor:
        tensor.__class__ = cls
    return tensor


def shape_of(t: Tensor) -> Shape:
    view = t._view
    return t._storage.shape if view is None else view.shape


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
    if view is None:
        return base
    cached = t._cached
    if cached is not None and cached[0] is base:
        return cached[1]
    node = strided(base, view)
    t._cached = (base, node)
    return node


def strided(base: Node, view: View) -> Node:
    """The elements of `base`'s row-major order that a view selects."""
    if view.is_contiguous and view.numel == base.numel:
        return ops.reshape(base, arg=view.shape)
    return ops.as_strided(base, arg=view)


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
    t = _alloc(Tensor)
    t._storage = Storage(node)
    t._view = None
    t._meta = None
    return t


def wrap_as(node: Node, order: Sequence[int] | None) -> Tensor:
    """A new tensor whose memory runs through the axes in this order, outermost first."""
    if order is None:
        return wrap(node)
    if reads:
        memory.settle([node])
    t = _alloc(Tensor)
    base = ops.permute(node, arg=tuple(order))
    t._storage = Storage(base)
    steps = contiguous_strides(base.shape)
    strides = [0] * len(steps)
    for axis, step in zip(order, steps):
        strides[axis] = step
    t._view = View(node.shape, tuple(strides))
    t._cached = (base, node)
    t._meta = None
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


# -- history ------------------------------------------------------------------------------------


def needs_grad(t: Tensor) -> bool:
    """Whether gradients flow to this tensor."""
    meta = t._meta
    if meta is None:
        return False
    if meta.base is not None and meta.version != t._storage.stamp:
        _refresh(t, meta)
    return meta.requires_grad


def meta_of(t: Tensor) -> Meta:
    meta = t._meta
    if meta is None:
        meta = t._meta = Meta()
    return meta


def edge_of(t: Tensor) -> Edge:
    """Where this tensor's gradient goes."""
    if not needs_grad(t):
        return None
    meta = t._meta
    assert meta is not None
    if meta.fn is not None:
        return (meta.fn, meta.nr)
    return (accumulator_of(t, meta), 0)


def accumulator_of(t: Tensor, meta: Meta) -> AccumulateGrad:
    found = meta.accumulator and meta.accumulator()
    if found is None:
        found = AccumulateGrad(t)
        meta.accumulator = weakref.ref(found)
    return found


def recording(tensors: Sequence[Tensor]) -> bool:
    """Whether an operation on these is to be recorded."""
    if not mode.grad:
        return False
    return any(t._meta is not None and needs_grad(t) for t in tensors)


def record(
    name: str, tensors: Sequence[Tensor], nodes: Sequence[Node], node: Node,
    order: Sequence[int] | None = None,
) -> Tensor:
    """The result of an operation on `tensors`, whose values it took as `nodes`."""
    if mode.grad:
        for t in tensors:
            if t._meta is not None and needs_grad(t):
                return _recorded(name, tensors, nodes, node, order)
    return wrap(node) if order is None else wrap_as(node, order)


def _recorded(
    name: str, tensors: Sequence[Tensor], nodes: Sequence[Node], node: Node,
    order: Sequence[int] | None,
) -> Tensor:
    if node.dtype.kind != "f":
        return wrap_as(node, order)
    if reads:
        memory.freeze()
    fn = make_fn(name, tensors, nodes, [node])
    result = wrap_as(node, order)
    note_saved(fn, tensors, nodes, [result], [node])
    attach(result, fn, 0)
    return result


def record_many(
    name: str, tensors: Sequence[Tensor], nodes: Sequence[Node], outs: Sequence[Node]
) -> list[Tensor]:
    """As `record`, for several results; those that are not floating get no history."""
    fn = None
    if recording(tensors) and any(out.dtype.kind == "f" for out in outs):
        if reads:
            memory.freeze()
        fn = make_fn(name, tensors, nodes, outs)
    if reads:
        memory.settle(list(outs))
    results = [wrap(out) for out in outs]
    if fn is not None:
        note_saved(fn, tensors, nodes, results, outs)
        for number, result in enumerate(results):
            if outs[number].dtype.kind == "f":
                attach(result, fn, number)
    return results


def make_fn(
    name: str, tensors: Sequence[Tensor], nodes: Sequence[Node], outs: Sequence[Node],
    stops: Sequence[Node] = (),
) -> GradFn:
    """The record of an operation. The same tensor given twice is one input.

    What tensors without gradient were computed from is none of its business.
    """
    ins: list[Node] = []
    edges: list[Edge] = []
    given: list[Node] = list(stops)
    for t, node in zip(tensors, nodes):
        edge = edge_of(t)
        if edge is None:
            given.append(node)
        elif node not in ins:
            ins.append(node)
            edges.append(edge)
    return fn_class(name)(ins, outs, edges, capture(outs, ins, None, given))


def note_saved(
    fn: GradFn, tensors: Sequence[Tensor], nodes: Sequence[Node],
    results: Sequence[Tensor], outs: Sequence[Node],
) -> None:
    """Remember the versions of what the gradient rules will read."""
    kept = fn.keep()
    if not kept:
        return
    for t, node in zip(tensors, nodes):
        if node in kept:
            meta = t._meta
            maker = meta.fn.name() if meta is not None and meta.fn is not None else None
            fn.saved.append(saved_entry(t, node, maker, meta.nr if meta else 0))
    for number, (t, node) in enumerate(zip(results, outs)):
        if node in kept:
            fn.saved.append(saved_entry(t, node, fn.name(), number))


def saved_entry(t: Tensor, node: Node, maker: str | None, number: int) -> Saved:
    stored = t._storage
    return (stored, stored.version, stored.loose, maker, number, node, t._view)


def attach(t: Tensor, fn: BaseFn, number: int) -> None:
    """Make `t` the output of a record."""
    meta = t._meta
    if meta is None:
        meta = t._meta = Meta()
    meta.requires_grad = True
    meta.fn = fn
    meta.nr = number


def record_gradient(
    forward: GradFn, grads: Sequence[Any], given: Sequence[Node | None],
    results: Sequence[Node | None], tensors: Sequence[Tensor | None],
) -> None:
    """The record of a record's gradient: from the incoming gradients and the forward's inputs."""
    ins: list[Node] = []
    edges: list[Edge] = []
    pairs = [(node, edge_of(g)) for node, g in zip(given, grads) if node is not None]
    for node, edge in (*pairs, *zip(forward.in_nodes, forward.edges)):
        if edge is not None and node not in ins:
            ins.append(node)
            edges.append(edge)
    outs = [node for node in results if node is not None]
    known = {entry[0]: entry for entry in forward.captured}
    entries = capture(outs, ins, known)
    # gradients of linear operations do not depend on the operation's inputs
    made = {entry[0] for entry in entries}
    used = {src for entry in entries for src in entry[2]}.union(outs)
    pairs = [(node, edge) for node, edge in zip(ins, edges) if node in used]
    reached = made.union(node for node, _ in pairs)
    outs = [node for node in outs if node in reached]
    if not outs:
        return
    fn = fn_class(_second(forward.name()))(
        [node for node, _ in pairs], outs, [edge for _, edge in pairs], entries)
    fn.keep()
    for t, node in zip(tensors, results):  # type: ignore[assignment]
        if t is not None and node in reached:
            attach(t, fn, outs.index(node))


def _second(name: str) -> str:
    """The name of the gradient of the record of this name."""
    if name.startswith(("Add", "Sub", "Sum", "Mean", "View", "Permute", "Transpose", "T")):
        return name
    stem = name.rstrip("0123456789")
    return f"{stem}Backward0"


def strided_in(node: Node, outer: View, view: View) -> Node:
    """`view` of a storage, computed from the node of another view of it that covers it."""
    if outer.is_contiguous:
        return strided(node, view)
    high = 0
    for v in (outer, view):
        if v.numel:
            high = max(high, v.bounds()[1] + 1)
    room = ops.zeros((max(high, 1),), node.dtype, node.device)
    return ops.as_strided(ops.write(room, node, outer), arg=view)


def _refresh(t: Tensor, meta: Meta) -> None:
    """A view after its storage was changed: its history is the base's."""
    meta.version = t._storage.stamp
    base = meta.base
    assert base is not None
    if not needs_grad(base):
        return
    outer = node_of(base)
    mine = strided_in(outer, view_of(base), view_of(t))
    if t._storage.node is not None:
        t._cached = (t._storage.node, mine)
    else:
        memory.freeze()
        memory.forget()
    entries = capture([mine], [outer])
    attach(t, fn_class("AsStridedBackward0")([outer], [mine], [edge_of(base)], entries), 0)
