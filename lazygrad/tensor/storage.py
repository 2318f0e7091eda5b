"""`Storage`: the mutable slot that tensors are handles on, and its memory shared with numpy.

Owns: the current value of a storage, its version, and the rule that memory which Python can write
to behind our back is read at once and written at once. Must not know: views' meaning for users,
autograd, or which op reads or writes.

A storage whose memory is shared has `node` None: whoever wants its value must come through
`read`, which notes it, so that the statement's result is computed before Python has control
again (`settle`).
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

import numpy as np

from lazygrad.autograd.modes import mode
from lazygrad.config import config
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node, Shape, toposort
from lazygrad.ir.thread import starts, thread
from lazygrad.ir.views import View
from lazygrad.realize import realize_nodes, traces, value_read
from lazygrad.runtime.device import device, from_array
from lazygrad.runtime.memory import Buffer, usage

_ref = weakref.ref


class Shared:
    """Memory that others may write: where it is, and who may still hold it."""

    __slots__ = (
        "buffer",
        "device",
        "dtype",
        "exports",
        "forever",
        "leaf",
        "owner",
        "read_only",
        "shape",
        "views",
    )

    def __init__(self, buffer: Buffer, shape: Shape, dtype: DType, device: str):
        self.buffer = buffer
        self.shape = shape
        self.dtype = dtype
        self.device = device
        self.exports: list[Any] = []  # each gives what was handed out, None when it came back
        self.owner: np.ndarray | None = None  # the foreign array that the memory belongs to
        self.forever = False  # an address was handed out: no one can say who uses it
        self.leaf: Node | None = None  # the node that stands for it within one statement
        self.views: dict[Any, Node] = {}  # and those of its views, by tensor and view
        self.read_only = False  # whoever it belongs to does not want it written

    def in_use(self) -> bool:
        """Whether anyone else may still write to the memory."""
        if self.forever:
            return True
        owner = self.owner
        # four references are ours: two slots, the local name and the argument of getrefcount
        if owner is not None and (
            owner.base is not None or not owner.flags.owndata or sys.getrefcount(owner) > 4
        ):
            return True
        self.exports = [export for export in self.exports if export() is not None]
        return bool(self.exports)

    def is_read(self) -> bool:
        """Whether anyone else has a node that stands for the memory."""
        leaf = self.leaf
        if leaf is None:
            return False
        own = sum(node is leaf or leaf in node.srcs for node in self.views.values())
        if sys.getrefcount(leaf) > own + 3:  # our slot, the local name, the argument
            return True
        return any(
            self.views[key] is not leaf and sys.getrefcount(self.views[key]) > 2
            for key in self.views
        )

    def over(self) -> None:
        """The statement that read has its result."""
        self.leaf = None
        self.views.clear()

    def check_writable(self) -> None:
        if self.read_only:
            raise RuntimeError(
                "unsupported operation: the memory of the written-to tensor is read-only. Please "
                "clone() the tensor before performing the operation."
            )

    def array(self) -> np.ndarray:
        return self.buffer.array(self.dtype.np, self.shape)


class Moved:
    """A tensor that was given other memory, by `t.data = ...`: where it is now."""

    __slots__ = ("offset", "storage", "view")

    def __init__(self) -> None:
        self.storage: Storage | None = None
        self.view: View | None = None
        self.offset = 0  # the tensor's version is that of its memory and this


class Storage:
    """One value, row-major; every tensor on it sees what is written to it."""

    __slots__ = (
        "__weakref__",
        "exports",
        "inference",
        "loose",
        "moved",
        "node",
        "shared",
        "version",
    )

    # tensors that were on it (weak references), where each is, and its offset while it was here;
    # not set before there is one
    moved: list[tuple[Any, Moved, int]]

    def __init__(self, node: Node | None):  # `core.fresh` does the same with fewer calls
        self.node = node
        if node is not None:
            note = node.holder = _ref(self)
            depth.recent.append(note)
        self.inference: bool = mode.inference  # never to be recorded
        self.version = 0
        self.loose = 0  # writes through `.data`, which versions do not tell
        self.exports = 0  # how often its memory was handed out
        self.shared: Shared | None = None
        if traces:
            traces[-1].made(self)

    def __reduce__(self) -> Any:
        """Pickled once, however many tensors lie on it."""
        value_read("the value of a tensor")
        node = read(self)
        if node.buffer is None:
            realize_nodes([node])
        raw = node.buffer.array(node.dtype.np, node.shape).tobytes()
        forget()
        return _rebuilt, (raw, node.dtype, node.shape, node.device)

    @property
    def stamp(self) -> int:
        """Changes with every write."""
        return self.version + self.loose

    @property
    def unnoticed(self) -> int:
        """Changes with what may have written without a change of version."""
        return self.loose + self.exports

    @property
    def writes(self) -> int:
        """Changes with every write, and with what may have written."""
        return self.version + self.loose + self.exports

    @property
    def dtype(self) -> DType:
        held = self.node or self.shared
        assert held is not None
        return held.dtype

    @property
    def device(self) -> str:
        held = self.node or self.shared
        assert held is not None
        return held.device

    @property
    def shape(self) -> Shape:
        held = self.node or self.shared
        assert held is not None
        return held.shape


def _rebuilt(raw: bytes, dtype: DType, shape: Shape, where: str) -> Storage:
    buffer = from_array(np.frombuffer(raw, dtype.np).reshape(shape), where)
    return Storage(ops.buffer_leaf(buffer, tuple(shape), dtype, where))


def _start(now: dict[str, Any]) -> None:
    """What a thread has of this module."""
    now["value"] = 0  # how many composite functions are running: only the outermost settles
    now["cuts"] = None  # nodes that the outermost one does not differentiate through
    now["recent"] = []  # weak references to storages whose value may be pending: see `relief`
    now["first"] = None  # the place where what is pending begins, if there is too much of it
    now["relieved"] = False  # whether `relief.relieve` was called since values were last asked for
    now["most"] = config.max_pending_ops // 4
    now["most_bytes"] = usage.in_use + config.max_pending_bytes


depth = thread
starts(_start)
reads: list[Shared] = []  # shared memory read since the last settle


def read(storage: Storage) -> Node:
    """The current value. Notes it if the memory is shared."""
    node = storage.node
    if node is not None:
        return node
    shared = storage.shared
    assert shared is not None
    if shared.leaf is not None:
        return shared.leaf
    leaf = ops.buffer_leaf(shared.buffer, shared.shape, shared.dtype, shared.device)
    if shared.in_use():
        shared.leaf = leaf
        reads.append(shared)
    else:
        storage.shared, storage.node = None, leaf
    return leaf


def view_node(t: Any, base: Node, view: View) -> Node:
    """The node of a tensor that is a view of shared memory: the same one within a statement."""
    views = t._storage.shared.views
    node: Node | None = views.get((id(t), view))
    if node is None or node.buffer is not None:  # computed: of what the memory was then
        node = views[id(t), view] = strided(base, view)
    return node


def strided(base: Node, view: View) -> Node:
    """The elements of `base`'s row-major order that a view selects."""
    if view.is_contiguous and view.numel == base.numel:
        return ops.reshape(base, arg=view.shape)
    return ops.as_strided(base, arg=view)


def settle(nodes: list[Node]) -> None:
    """Compute what was recorded from shared memory, before anyone can write to it.

    A reading is over when nobody has its node any more. Until then the operation that read may be
    still at work: it has looked at a tensor, or made one, and its result is to come.
    """
    if depth.value:
        return
    held = [shared for shared in reads if shared.is_read()]
    if len(held) < len(reads):
        for shared in reads:
            if shared not in held:
                shared.over()
        reads[:] = held
    if held and not {shared.leaf for shared in held}.isdisjoint(toposort(nodes)):
        realize_nodes(nodes)


def used_up(first: int) -> None:
    """What was read from shared memory since there were `first` readings is needed no more.

    An operation that looks at a value has often read its other operands by then, and its result is
    still to be recorded: those readings are not settled by a look.
    """
    if not depth.value:
        for shared in reads[first:]:
            shared.over()
        del reads[first:]


def freeze() -> None:
    """Give the nodes that stand for shared memory a copy of their own: they will be kept."""
    for shared in reads:
        leaf = shared.leaf
        if leaf is not None and leaf.buffer is shared.buffer:
            leaf.buffer = shared.buffer.clone()
            shared.over()


def write(storage: Storage, node: Node) -> None:
    """Replace the whole value; `node` has its shape and dtype. Versions are the caller's."""
    if traces:
        traces[-1].wrote(storage)
    shared = storage.shared
    if shared is None or not _still(storage):
        storage.node = node
        note = node.holder = _ref(storage)
        depth.recent.append(note)
        return
    shared.check_writable()
    if node.buffer is None:
        realize_nodes([node])
    if depth.value:
        freeze()
    if node.buffer is not shared.buffer and node.numel:
        shared.buffer.assign(node.buffer)
    forget()


def write_view(storage: Storage, view: View, value: Node) -> None:
    """Replace the elements that `view` selects; `value` has its shape."""
    if traces:
        traces[-1].wrote(storage)
    if storage.shared is None or not _still(storage):
        assert storage.node is not None
        storage.node = ops.update(storage.node, value, arg=view)
        note = storage.node.holder = _ref(storage)
        depth.recent.append(note)
        return
    shared = storage.shared
    shared.check_writable()
    if value.buffer is None:
        realize_nodes([value])
    if depth.value:
        freeze()
    if value.numel and not device(shared.device).on_host:
        leaf = ops.buffer_leaf(shared.buffer, shared.shape, shared.dtype, shared.device)
        whole = ops.update(leaf, value, arg=view)
        realize_nodes([whole])
        shared.buffer.assign(whole.buffer)
    elif value.numel:
        flat = shared.array().reshape(-1)[view.offset :]
        steps = tuple(stride * flat.itemsize for stride in view.strides)
        target = np.lib.stride_tricks.as_strided(flat, view.shape, steps)
        target[...] = value.buffer.array(shared.dtype.np, value.shape)
    forget()


def _still(storage: Storage) -> bool:
    """Whether the memory is shared at this moment; takes it back if it is not."""
    if storage.node is None:
        read(storage)
    return storage.shared is not None


def forget() -> None:
    """What was read from shared memory has been used up by a write that has landed."""
    used_up(0)


def pin(storage: Storage) -> Shared:
    """Give the storage memory of its own that may be handed out."""
    value_read("the memory of a tensor")
    shared = storage.shared
    if shared is not None:
        return shared
    node = storage.node
    assert node is not None
    if node.buffer is None:
        realize_nodes([node])
    buffer = node.buffer
    # references to the node: the storage's, the local name, the argument of getrefcount;
    # to the buffer: the node's, the local name, the argument
    if sys.getrefcount(node) > 3 or sys.getrefcount(buffer) > 3:
        buffer = buffer.clone()
    shared = Shared(buffer, node.shape, node.dtype, node.device)
    storage.shared, storage.node = shared, None
    storage.exports += 1  # from here on it may be written without our knowing
    return shared


class Export:
    """What numpy holds as the base of an array: keeps the memory, and can be watched."""

    __slots__ = ("__array_interface__", "__weakref__", "buffer")

    def __init__(self, shared: Shared, offset: int, shape: Shape, strides: Shape):
        self.buffer = shared.buffer
        self.__array_interface__ = {
            "shape": shape,
            "typestr": shared.dtype.np.str,
            "data": (shared.buffer.address + offset, shared.read_only),
            "strides": strides,
            "version": 3,
        }


def export(storage: Storage, view: View) -> np.ndarray:
    """A numpy array over the storage's memory."""
    shared = pin(storage)
    size = shared.dtype.itemsize
    steps = tuple(stride * size if view.numel else 0 for stride in view.strides)  # as numpy's own
    base = Export(shared, view.offset * size, view.shape, steps)
    shared.exports.append(weakref.ref(base))
    return np.asarray(base)
