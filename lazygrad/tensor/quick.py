"""The short way of one op on plain tensors: node, tensor and record made in one go.

Owns: the functions behind unary and binary operations, up to where operands are looked at more
closely. Must not know: views, promotion, shared memory: those go the general way, which is given.
What is done here is what `history.record` does for the general case, with fewer calls.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Container
from typing import Any

from lazygrad.autograd.capture import read_values
from lazygrad.autograd.graph import _sequence, fn_class
from lazygrad.autograd.kept import Kept
from lazygrad.ir.dtypes import DType, bool_
from lazygrad.ir.node import _INTERNAL, Node, Place, innermost_place, user_place
from lazygrad.ir.ops import SCALAR, Op
from lazygrad.ir.ops import mul as MUL
from lazygrad.ir.thread import thread
from lazygrad.realize import traces
from lazygrad.tensor.core import Meta, Tensor, fresh, wrap
from lazygrad.tensor.history import accumulator_of, record, saved_entry
from lazygrad.tensor.storage import reads

_alloc = object.__new__
_frame = sys._getframe
_ref = weakref.ref


def _read_by(op: Op) -> tuple[bool, bool, bool]:
    """Whether the gradient of the first source reads that, the result, and anything at all."""
    sides = tuple(Node(SCALAR, (), None, (), bool_, "cpu") for _ in range(op.arity))
    result = Node(op, sides, None, (), bool_, "cpu")
    found = read_values(result, op, sides, sides[:1])
    return sides[0] in found, result in found, bool(found)


def _recorder(name: str, op: Op) -> Callable[[Tensor, Meta, Node, Node, dict[str, Any]], Tensor]:
    """What makes the result of `op` on a tensor (and a number), recorded where that has to be."""
    kind = fn_class(name)
    reads_source, reads_result, reads_any = _read_by(op)

    def recorded(t: Tensor, meta: Meta, a: Node, node: Node, now: dict[str, Any]) -> Tensor:
        if not now["grad"]:
            return wrap(node)
        if meta.base is not None or reads or now["anomaly"] or node.dtype.kind != "f":
            return record(name, (t,), (a,), node)
        if not meta.requires_grad:
            return wrap(node)
        before = meta.fn
        fn: Any = _alloc(kind)
        fn.edges = ((accumulator_of(t, meta), 0) if before is None else (before, meta.nr),)
        fn.seq = next(_sequence)
        fn.extras = fn.outline = None
        fn.node, fn.srcs = node, node.srcs
        fn.stops = fn.kept = fn.saved = ()
        fn.released = False
        fn.reads_values = reads_any
        made = fresh(node, now)
        if reads_source:
            maker = None if before is None else before.__class__
            fn.saved = [saved_entry(t, a, maker, meta.nr)]
            fn.kept = Kept((a, node) if reads_result else (a,))
        elif reads_result:
            fn.kept = Kept((node,))
        if reads_result:
            fn.saved = [*fn.saved, saved_entry(made, node, kind, 0, is_result=True)]
        own = made._meta = _alloc(Meta)
        own.requires_grad = True
        own.fn, own.nr, own.base, own.loose = fn, 0, None, None
        return made

    return recorded


def unary(op: Op, record_name: str, general: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    """The function of an op on one tensor of floating numbers."""
    recorded = _recorder(record_name, op)

    def function(input: Any) -> Tensor:
        try:
            a = input._storage.node
        except AttributeError:
            return general(input)
        if a is None or input._view is not None or a.dtype.kind != "f":
            return general(input)
        now = thread.__dict__
        place: Place = now["place"]
        if place is None:
            frame = _frame(1)
            code = frame.f_code
            if _INTERNAL.get(code.co_filename, True):
                place = innermost_place()
            else:
                place = (code, frame.f_lasti)
        node = Node(op, (a,), None, a.shape, a.dtype, a.device, None, place)
        meta = input._meta
        if meta is not None:
            return recorded(input, meta, a, node, now)
        return wrap(node) if reads else fresh(node, now)

    return function


def binary(
    op: Op,
    names: tuple[str, str],
    numbers: Container[DType],
    kinds: str,
    compares: bool,
    general: Callable[[Any, Any], Any],
) -> Callable[[Any, Any], Any]:
    """The function of an op on a tensor and either a number or a tensor just like it.

    `names` are those of the records of both; `numbers` the dtypes that take a number as it is;
    `kinds` those of dtypes that two tensors may have.
    """
    name, many_name = names
    recorded = _recorder(name, op)

    def function(input: Any, other: Any) -> Any:
        try:
            a = input._storage.node
        except AttributeError:
            return general(input, other)
        if a is None or input._view is not None:
            return general(input, other)
        dtype = a.dtype
        kind = type(other)
        if kind is float or kind is int:
            if dtype not in numbers:
                return general(input, other)
            b = None
        elif not isinstance(other, Tensor):
            return general(input, other)
        else:
            b = other._storage.node
            if (
                b is None
                or other._view is not None
                or b.dtype is not dtype
                or b.shape != a.shape
                or dtype.kind not in kinds
                or (a is b and input is not other)
                or a.device != b.device
            ):
                return general(input, other)
        now = thread.__dict__
        place: Place = now["place"]
        if place is None:
            frame = _frame(1)
            code = frame.f_code
            if _INTERNAL.get(code.co_filename, True):
                place = innermost_place()
            else:
                place = (code, frame.f_lasti)
        device = a.device
        found = bool_ if compares else dtype
        meta = input._meta
        if b is None:
            side = Node(SCALAR, (), None, (), dtype, device, float(other), place)
            node = Node(op, (a, side), None, a.shape, found, device, None, place)
            if meta is not None:
                return recorded(input, meta, a, node, now)
        else:
            node = Node(op, (a, b), None, a.shape, found, device, None, place)
            if meta is not None or other._meta is not None:
                return record(many_name, (input, other), (a, b), node)
        return wrap(node) if reads else fresh(node, now)

    return function


def written(
    op: Op, numbers: Container[DType], kinds: str
) -> Callable[[Tensor, tuple[Any, ...], dict[str, Any]], bool]:
    """What writes `t = op(t, other)`, or `op(t, alpha * other)`, where nothing is recorded and
    nobody else has the memory. Gives whether it did: if not, nothing has happened."""

    def function(t: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        now = thread.__dict__
        stored, meta = t._storage, t._meta
        a = stored.node
        if (
            now["grad"]
            or a is None
            or t._view is not None
            or len(args) != 1
            or traces
            or stored.inference
            or (meta is not None and meta.loose is not None)
        ):
            return False
        dtype, device = a.dtype, a.device
        (other,) = args
        kind = type(other)
        place = now["place"] or user_place(3)
        if kind is float or kind is int:
            if kwargs or dtype not in numbers:
                return False
            b = Node(SCALAR, (), None, (), dtype, device, float(other), place)
        elif not isinstance(other, Tensor):
            return False
        else:
            found = other._storage.node
            if (
                found is None
                or other._view is not None
                or found.dtype is not dtype
                or found.shape != a.shape
                or dtype.kind not in kinds
                or (a is found and t is not other)
                or device != found.device
            ):
                return False
            b = found
            if kwargs:
                alpha = kwargs.get("alpha")
                if len(kwargs) != 1 or type(alpha) is not float or dtype not in numbers:
                    return False
                side = Node(SCALAR, (), None, (), dtype, device, alpha, place)
                b = Node(MUL, (b, side), None, a.shape, dtype, device, None, place)
        node = Node(op, (a, b), None, a.shape, dtype, device, None, place)
        stored.node = node
        note = node.holder = _ref(stored)
        now["recent"].append(note)
        stored.version += 1
        return True

    return function
