"""Bounds on what is pending: where too much is, it is computed before anybody asks for it.

Owns: when that is, what is computed then, and that what fails is left to who reads it. Must not
know: how values are computed, or who records. `storage` notes what may be pending.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from lazygrad.config import config
from lazygrad.ir.node import Node, toposort
from lazygrad.ir.ops.checks import is_complaint
from lazygrad.ir.thread import thread
from lazygrad.realize import bases, is_computed, realize_soon
from lazygrad.runtime.device import beyond_host
from lazygrad.runtime.memory import usage
from lazygrad.runtime.stats import stats
from lazygrad.tensor.storage import Storage


def relieve(node: Node | None = None) -> None:
    """Compute what this thread has pending, if it is more than the configured bounds.

    Called where no record is being made, when so many storages were made since the last time, or
    so much memory was taken, that it may be. What counts are pending nodes, and bytes of computed
    values that nothing but pending nodes holds.

    `node` has just been recorded. A loop is cut where it comes to the line again at which what is
    pending begins, before this node, and after the same number of rounds each time: what is
    computed then is the same program.
    """
    now = thread.__dict__
    if now["value"]:
        return
    now["relieved"] = True
    recent, first, is_full = now["recent"], now["first"], usage.in_use > now["most_bytes"]
    waits = first is not None and not is_full and len(recent) < first[1]
    if waits and node is not None and node.place != first[0]:
        return
    pending = _pending()
    own = None if node is None or is_full else pending.pop(node, None)
    order = toposort(pending)
    if _is_too_much(order):
        begin = next((n.place for n in order if is_computed(n)), None)
        if first is None and own is not None and node is not None and node.place != begin:
            now["first"] = begin, len(recent) + config.max_pending_ops // 2
            return
        stats.flushes += 1
        wanted = [*pending]
        if own is not None and node is not None:
            wanted += [base for src in node.srcs for base in bases(src)]
        if _computed_apart(wanted, order):
            pending = {n: note for n, note in pending.items() if n.buffer is None}
        else:
            pending = {}  # what fails is left to who reads it, and not tried again here
        del wanted
    del order  # it holds what was read: that memory is free now
    if own is not None and node is not None:
        pending[node] = own
    # the same bound for the first round as for others
    _count_from(now, list(pending.values()), len(pending) - (own is not None))


def _count_from(now: dict[str, Any], recent: list[Any], left: int) -> None:
    """Begin anew to count what is pending, of which there is this much."""
    now["first"] = None
    now["recent"] = recent
    now["most"] = config.max_pending_ops // 4 + left
    now["most_bytes"] = usage.in_use + config.max_pending_bytes


def values_computed() -> None:
    """To be said when values were computed because somebody wanted them: where a long record is
    cut next counts from here, so that a step is cut as it was the last time, into programs that
    are known."""
    now = thread.__dict__
    if now["relieved"] and not now["value"]:
        now["relieved"] = False
        pending = list(_pending().values())
        _count_from(now, pending, len(pending))


def _apart(wanted: list[Node], order: Sequence[Node]) -> list[list[Node]]:
    """What no check may refuse, and the rest: where a report comes late, all that a program has
    made is spoilt by it."""
    if not beyond_host:
        return [wanted]
    checked: set[Node] = set()
    for node in order:
        if node.buffer is None and (node.op.errors or not checked.isdisjoint(node.srcs)):
            checked.add(node)
    parts = [n for n in wanted if n not in checked], [n for n in wanted if n in checked]
    return [part for part in parts if part]


def _computed_apart(wanted: list[Node], order: Sequence[Node]) -> bool:
    """Compute these, one by one where together they fail. Whether they did not."""
    done = True
    for some in _apart(wanted, order):
        if not _computed(some):
            done = False
            for one in some:
                _computed([one])
    return done


def _computed(nodes: Sequence[Node]) -> bool:
    """Compute these. False where a check refuses a value, or memory does not suffice for
    them: nobody has asked for them yet."""
    now = thread.__dict__
    now["ahead"] = True
    try:
        realize_soon(nodes)
    except Exception as error:  # checks raise what PyTorch does, of several types
        if not is_complaint(error) and not isinstance(error, MemoryError):
            raise
        return False
    finally:
        now["ahead"] = False
    return True


def _pending() -> dict[Node, weakref.ref[Storage]]:
    """The pending values of this thread's storages."""
    found: dict[Node, weakref.ref[Storage]] = {}
    for note in thread.recent:
        stored = note()
        if stored is not None and stored.node is not None and stored.node.buffer is None:
            found.setdefault(stored.node, note)
    return found


def _is_too_much(order: list[Node]) -> bool:
    waiting = sum(node.buffer is None for node in order)
    return waiting >= config.max_pending_ops or _only_held(order) >= config.max_pending_bytes


def _only_held(order: list[Node]) -> int:
    """Bytes of computed values among these that no storage has any more."""
    total = 0
    for node in order:
        if node.buffer is not None:
            stored = node.holder() if node.holder is not None else None
            if stored is None or stored.node is not node:
                total += node.buffer.nbytes
    return total
