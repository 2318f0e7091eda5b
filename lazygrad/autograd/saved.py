"""What a record remembers of the tensors that it saved, and what backward does with it.

Owns: the check of versions when a gradient runs, and the values that are read instead of those
that were saved where they were written, or given other memory, unseen by a version. Must not
know: which values a record saves, or how gradients are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazygrad.autograd.capture import replaced
from lazygrad.autograd.hooks import Packed
from lazygrad.autograd.late import tensors
from lazygrad.autograd.modes import mode
from lazygrad.ir import ops
from lazygrad.ir.node import Node
from lazygrad.ir.ops import Lowering

# storage, version and all writes then, the class of the record that made the value, output number,
# value, view, where versions are counted, if not in the storage, and a weak reference to the tensor
# if it was an input
Saved = tuple[Any, int, int, Any, int, Node, Any, list[int] | None, Any]


def check_saved(fn: Any) -> None:
    """Raise if a saved tensor was changed in place since; take what is there now if it was
    changed in a manner that its version does not tell of."""
    for at, (storage, version, writes, maker, number, *_, counter, handle) in enumerate(fn.saved):
        if type(handle) is Packed:  # versions do not tell of what hooks made
            _unpack(fn, at, handle)
            continue
        now = storage.version if counter is None else counter[0]
        if now != version or storage.writes != writes or storage.shared is not None:
            _look_again(fn, at, now, version, maker, number)


def _unpack(fn: Any, at: int, packed: Packed) -> None:
    """Read what a hook gives back in place of the value that was saved."""
    entry = fn.saved[at]
    value = _put(fn, entry[5], tensors.core.node_of(packed.tensor().detach()))
    fn.saved = [*fn.saved[:at], (*entry[:5], value, *entry[6:]), *fn.saved[at + 1 :]]


def _look_again(fn: Any, at: int, now: int, version: int, maker: Any, number: int) -> None:
    """A saved tensor was written, or given other memory: raise if its version tells of it, else
    take what is there now."""
    entry = fn.saved[at]
    storage, _, _, _, _, node, view, counter, handle = entry
    for other, place, offset in getattr(storage, "moved", ()):
        if other is not handle:
            continue
        if counter is None:
            now, version = place.storage.version + place.offset, version + offset
        storage, view = place.storage, place.view
    if now != version:
        raise RuntimeError(modified(storage, now, version, maker, number))
    value = _substitute(fn, node, storage, view)
    fn.saved = [*fn.saved[:at], (*entry[:5], value, *entry[6:]), *fn.saved[at + 1 :]]


def _substitute(fn: Any, saved: Node, storage: Any, view: Any) -> Node:
    """A saved value was written unseen by its version: backward reads what is there now."""
    core, read = tensors.core, tensors.storage.read
    now: Node = read(storage)
    return _put(fn, saved, now if view is None else core.strided(now, view))


def _put(fn: Any, saved: Node, now: Node) -> Node:
    """Another value in the place of a saved one, wherever the record reads that."""
    if now.shape != saved.shape or now.dtype is not saved.dtype:
        raise RuntimeError(
            f"the size and dtype of a tensor that was saved for {fn.name()} were "
            f"{list(saved.shape)} and {saved.dtype}; its .data has {list(now.shape)} and "
            f"{now.dtype} now"
        )
    made = {entry[0]: entry for entry in fn.captured}
    node, known = saved, {saved: now}  # the same node becomes the same one everywhere
    while node in made and made[node][1] is ops.reshape:  # a result: it was so before as well
        before = made[node][2][0]
        known[before] = ops.reshape(known[node], arg=before.shape)
        node = before
    inside = made.keys() - known.keys()

    def swap(nodes: Sequence[Node]) -> tuple[Node, ...]:
        for n in nodes:
            if n not in known:
                known[n] = n if n in inside else replaced(n, saved, now)
        return tuple(known[n] for n in nodes)

    captured = []
    for out, op, srcs, arg in fn.captured:
        new = swap(srcs)
        moved = op.lowering is Lowering.MOVEMENT or op is ops.cast
        if moved and new != srcs and out not in known and out not in fn.out_nodes:
            known[out] = op(*new, arg=arg)  # what is read is what was written, moved
        captured.append((known.get(out, out), op, new, arg))
    fn.captured = captured
    fn.in_nodes, fn.out_nodes = swap(fn.in_nodes), swap(fn.out_nodes)
    return now


def modified(storage: Any, now: int, version: int, maker: Any, number: int) -> str:
    from lazygrad.tensor.promotion import type_name

    shape = list(storage.shape)
    source = f", which is output {number} of {maker.__name__}," if maker else ""
    return (
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: [lazygrad.{type_name(storage.dtype)}Tensor {shape}]{source} is at version "
        f"{now}; expected version {version} instead. Hint: "
        + (
            "the backtrace further above shows the operation that failed to compute its "
            "gradient. The variable in question was changed in there or anywhere later. Good "
            "luck!"
            if mode.anomaly
            else "enable anomaly detection to find the operation that failed to compute its "
            "gradient, with lazygrad.autograd.set_detect_anomaly(True)."
        )
    )
