"""The short way of one op on plain tensors: node, tensor and record made in one go.

Owns: the functions behind unary and binary operations, up to where operands are looked at more
closely. Must not know: views, promotion, shared memory: those go the general way, which is given.
What is done here is what `history.record` does for the general case, with fewer calls.
"""

from __future__ import annotations

import functools
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
from lazygrad.ir.ops import matmul as MATMUL
from lazygrad.ir.ops import mul as MUL
from lazygrad.ir.thread import thread
from lazygrad.realize import traces
from lazygrad.tensor.core import Meta, Tensor, fresh, node_of, wrap
from lazygrad.tensor.history import (
    accumulator_of,
    edge_of,
    maker_of,
    needs_grad,
    record,
    saved_entry,
)
from lazygrad.tensor.storage import reads

_alloc = object.__new__
_frame = sys._getframe
_ref = weakref.ref


def _read_by(op: Op, *wanted: int) -> tuple[int, ...]:
    """What the gradients of these sources of an op read: sources by position, -1 is the result."""
    sides = tuple(Node(SCALAR, (), None, (), bool_, "cpu") for _ in range(op.arity))
    result = Node(op, sides, None, (), bool_, "cpu")
    found = read_values(result, op, sides, [sides[at] for at in wanted])
    return tuple(-1 if node is result else sides.index(node) for node in dict.fromkeys(found))


def _recorder(name: str, op: Op) -> Callable[[Tensor, Meta, Node, Node, dict[str, Any]], Tensor]:
    """What makes the result of `op` on a tensor (and a number), recorded where that has to be."""
    kind = fn_class(name)
    read = _read_by(op, 0)
    reads_source, reads_result, reads_any = 0 in read, -1 in read, bool(read)

    def recorded(t: Tensor, meta: Meta, a: Node, node: Node, now: dict[str, Any]) -> Tensor:
        if not now["grad"]:
            return wrap(node)
        if meta.base is not None or reads or now["watched"] or node.dtype.kind != "f":
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


def _pair_recorder(
    name: str, op: Op
) -> Callable[[Tensor, Tensor, Node, Node, Node, dict[str, Any]], Tensor]:
    """What makes the result of `op` on two tensors, recorded where that has to be.

    `history.make_fn` and `note_saved` say the same of any tensors.
    """
    kind = fn_class(name)
    read_by = {(0,): _read_by(op, 0), (1,): _read_by(op, 1), (0, 1): _read_by(op, 0, 1)}

    def recorded(x: Tensor, y: Tensor, a: Node, b: Node, node: Node, now: dict[str, Any]) -> Tensor:
        if not now["grad"]:
            return wrap(node)
        one, two = x._meta, y._meta
        if (
            x is y
            or reads
            or now["watched"]
            or node.dtype.kind != "f"
            or (one is not None and one.base is not None)
            or (two is not None and two.base is not None)
        ):
            return record(name, (x, y), (a, b), node)
        first, second = edge_of(x), edge_of(y)
        if first is None and second is None:
            return wrap(node)
        fn: Any = _alloc(kind)
        if first is None:
            fn.edges, fn.inputs = (second,), (-1, 0)
            fn.in_nodes, fn.stops = (b,), (a,)
            read = read_by[1,]
        elif second is None:
            fn.edges, fn.inputs = (first,), (0, -1)
            fn.in_nodes, fn.stops = (a,), (b,)
            read = read_by[0,]
        else:
            fn.edges = first, second
            fn.in_nodes, fn.stops = (a, b), ()
            read = read_by[0, 1]
        fn.seq = next(_sequence)
        fn.extras = fn.outline = fn.block = fn.node = None
        fn.srcs = fn.kept = ()
        fn.out_nodes = (node,)
        fn.captured = [(node, op, node.srcs, None)]
        fn.released = False
        fn.reads_values = bool(read)
        made = fresh(node, now)
        saved = fn.saved = []
        if read:
            fn.kept = Kept([(a, b, node)[at] for at in read])
            if 0 in read:
                saved.append(saved_entry(x, a, maker_of(x), one.nr if one else 0))
            if 1 in read:
                saved.append(saved_entry(y, b, maker_of(y), two.nr if two else 0))
            if -1 in read:
                saved.append(saved_entry(made, node, kind, 0, is_result=True))
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
    recorded_pair = _pair_recorder(many_name, op)

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
            if dtype not in numbers or (kind is int and other.bit_length() > 63):
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
                return recorded_pair(input, other, a, b, node, now)
        return wrap(node) if reads else fresh(node, now)

    return function


def of_matrices(general: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function of a product, which has a short way for two matrices of floating numbers that
    need no gradient. (Where one is needed, a template gives more: see autograd/patterns.py.)"""

    @functools.wraps(general)
    def function(*args: Any, **kwargs: Any) -> Any:
        now = thread.__dict__
        if kwargs or len(args) != 2 or reads or now["value"]:
            return general(*args, **kwargs)
        left, right = args
        try:
            first, second = left._meta, right._meta
            if now["grad"] and (
                (first is not None and needs_grad(left))
                or (second is not None and needs_grad(right))
            ):
                return general(left, right)
            a, b = left._storage.node, right._storage.node
        except AttributeError:
            return general(left, right)
        if a is None or b is None:
            return general(left, right)
        if left._view is not None:
            a = node_of(left)
        if right._view is not None:
            b = node_of(right)
        shape, other, dtype, device = a.shape, b.shape, a.dtype, a.device
        if (
            len(shape) != 2
            or len(other) != 2
            or shape[1] != other[0]
            or 0 in shape
            or 0 in other
            or b.dtype is not dtype
            or dtype.kind != "f"
            or b.device != device
            or (a is b and left is not right)
            or (left.__class__ is not Tensor and left._keeps_class)
            or (right.__class__ is not Tensor and right._keeps_class)
        ):
            return general(left, right)
        place = now["place"] or innermost_place()
        node = Node(MATMUL, (a, b), None, (shape[0], other[1]), dtype, device, None, place)
        return fresh(node, now)

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
            if kwargs or dtype not in numbers or (kind is int and other.bit_length() > 63):
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
