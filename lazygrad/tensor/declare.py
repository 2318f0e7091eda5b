"""Where operations are declared: once each, for function, method and in-place form together.

Owns: the list of declarations, the in-place forms derived from them, and the layout that
elementwise results have. Must not know: any particular operation.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazygrad.autograd.graph import refusing
from lazygrad.ir.node import Shape
from lazygrad.ir.views import contiguous_strides
from lazygrad.tensor import promotion
from lazygrad.tensor.aliasing import adopt, check_inplace, check_overlap
from lazygrad.tensor.core import Tensor, node_of, nodes_of, shape_of, view_of
from lazygrad.tensor.history import record, relabelled
from lazygrad.tensor.keywords import OVERLOADS, own_names
from lazygrad.tensor.size import extents


@dataclass(frozen=True)
class Declared:
    """One operation: its function, and in which forms users see it."""

    name: str
    function: Callable[..., Any]
    is_function: bool
    is_method: bool
    has_inplace: bool
    out: str  # which dtypes `out=` may have (see `out.out_form`); "": there is none
    sizes: str  # the argument that is a tuple to the function, and may be spread to the method
    compares: bool  # the result is a truth value, also where it is written in place
    short: bool  # depends on one tensor and on plain arguments: see ways.py


DECLARED: dict[str, Declared] = {}


def declare(
    *names: str,
    function: bool = True,
    method: bool = True,
    inplace: bool = False,
    out: bool | str = False,
    sizes: str = "",
    compares: bool = False,
    short: bool = False,
) -> Callable[[Any], Any]:
    """Make an operation of a function; more names are aliases.

    `out`: True, there is an `out=` that takes any dtype the result can be cast to; or what
    `out.out_form` calls it.
    """
    kind = out if isinstance(out, str) else "cast" if out else ""

    def note(fn: Any) -> Any:
        for name in names or (fn.__name__,):
            if name in DECLARED:
                raise ValueError(f"{name} is declared twice")
            DECLARED[name] = Declared(
                name, fn, function, method, inplace, kind, sizes, compares, short
            )
        return fn

    return note


# in-place forms of which PyTorch has no gradient, though of the functions it has
_NO_INPLACE_GRADIENT = {
    alias: stem for stem in ("acosh", "asinh", "atanh") for alias in (stem, f"arc{stem[1:]}")
}


_OPERANDS = frozenset({"other", "exponent", "min", "max"})  # whose types are part of the result's


def inplace_form(
    name: str, fn: Callable[..., Any], compares: bool = False
) -> Callable[..., Tensor]:
    """`x.name_(...)`: compute by `fn`, then write the result into x."""
    refused = _NO_INPLACE_GRADIENT.get(name)
    written = getattr(fn, "written", None)  # the short way: see quick.py
    promotes = not _OPERANDS.isdisjoint(inspect.signature(fn).parameters)

    def run(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if written is not None and written(self, args, kwargs):
            return self
        if self._view is not None or self._meta is not None or self._storage.inference:
            check_inplace(self, args)
        twice = 0
        for other in args:
            if isinstance(other, Tensor) and other._storage is self._storage:
                check_overlap(self, other)
                twice += other is self
        try:
            result = fn(self, *args, **kwargs)
        except NotImplementedError:
            if promotes and len(given := args or tuple(kwargs.values())) == 1:
                _check_written(self, given[0])
            raise
        except TypeError:
            again = own_names(name, fn, kwargs)
            if again is None:
                raise
            result = fn(self, *args, **again)
        if compares:
            result = _truth(name, self, args, result)
        elif refused:
            words = f"the derivative for 'inplace version of {refused}' is not implemented."
            kind = refusing(f"{refused.capitalize()}Backward1", NotImplementedError, words)
            result = relabelled(result, kind)
        return adopt(self, result, twice=twice)

    run.__name__ = f"{name}_"
    run.__qualname__ = f"Tensor.{name}_"
    run.__doc__ = f"`{name}`, written into this tensor."
    return run


def _check_written(t: Tensor, other: Any) -> None:
    """Raise RuntimeError if the result with this operand could not be written into a tensor.

    Called when there is no such result: that it would not fit is said first.
    """
    node = node_of(t)
    if isinstance(other, Tensor):
        dtype = promotion.pair_dtype(node, node_of(other))
        joint = promotion.joint_shape(node.shape, shape_of(other))
        if joint != node.shape:
            raise RuntimeError(
                f"output with shape {extents(node.shape)} doesn't match the broadcast shape "
                f"{extents(joint)}"
            ) from None
    elif isinstance(other, complex):
        raise RuntimeError("result type Complex can't be cast to a real one") from None
    else:
        dtype = promotion.with_number(node.dtype, promotion.number_from(other))
    if not promotion.can_cast(dtype, node.dtype):
        raise RuntimeError(
            f"result type {promotion.type_name(dtype)} can't be cast to the desired output "
            f"type {promotion.type_name(node.dtype)}"
        ) from None


def sized_form(name: str, fn: Callable[..., Any], sizes: str, method: bool) -> Callable[..., Any]:
    """`fn(input, *sizes)`, whose sizes may be given by name, and to the function only as one."""

    @functools.wraps(fn)
    def run(input: Any = inspect.Parameter.empty, *given: Any, **named: Any) -> Any:
        if input is inspect.Parameter.empty:
            named = own_names(name, fn, named) or named
            if "input" not in named:
                raise TypeError(f"{name}() missing 1 required positional argument: 'input'")
            input = named.pop("input")
        if sizes in named:
            given = (named.pop(sizes), *given)
        if not method and len(given) != 1:
            raise TypeError(
                f"{name}() takes 2 positional arguments but {1 + len(given)} were given"
            )
        if not method and isinstance(given[0], int):
            raise TypeError(
                f"{name}(): argument '{sizes}' (position 2) must be tuple of ints, not int"
            )
        try:
            return fn(input, *given, **named)
        except ODD:
            check_arguments(name, fn, (input, *given), named)
            raise

    return run


ODD = (AttributeError, ValueError, TypeError)  # what Python says of an argument that it cannot use


def check_arguments(name: str, fn: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """Raise TypeError if an argument is not what the function's annotations say.

    Called when a call has failed: calls that work are not looked at.
    """
    try:
        bound = inspect.signature(fn).bind(*args, **kwargs).arguments
    except TypeError as problem:
        raise TypeError(
            f"{name}() received an invalid combination of arguments: {problem}"
        ) from None
    hints = fn.__annotations__
    for position, (argument, value) in enumerate(bound.items(), 1):
        hint = str(hints.get(argument, "")).removesuffix(" | None")
        optional = value is None and "None" in str(hints.get(argument, ""))
        wanted = _PLAIN_TYPES.get(hint)
        if wanted is None or optional or isinstance(value, wanted):
            continue
        raise TypeError(
            f"{name}(): argument '{argument}' (position {position}) must be {hint}, "
            f"not {type(value).__name__}"
        ) from None


_PLAIN_TYPES: dict[str, Any] = {
    "Tensor": Tensor,
    "int": (int, Tensor, np.integer),
    "float": (float, int, Tensor, np.number),
    "bool": (bool, int, Tensor),
}


SUBCLASSES: list[type] = []  # the user's: what is made of their instances is of their class


def as_subclass_of(value: Any, cls: type) -> Any:
    """A result, or several, as instances of a user's subclass."""
    if type(value) is Tensor:
        value.__class__ = cls
    elif type(value) in (tuple, list):
        return type(value)(as_subclass_of(v, cls) for v in value)
    elif isinstance(value, NamedResult):
        return type(value)(*(as_subclass_of(v, cls) for v in value))
    return value


def kept(result: Any, args: Sequence[Any]) -> Any:
    """The result, of the user's subclass that is most derived among the arguments' classes."""
    cls = subclass_among(args)
    return result if cls is Tensor else as_subclass_of(result, cls)


def subclass_among(args: Sequence[Any]) -> type:
    """The class of what an operation on these gives: of the subclasses, the one that is a subclass
    of the others. Raises TypeError if there is none such."""
    found: type = Tensor
    for t in tensors_in(args):
        kind = type(t)
        if kind is found or kind is Tensor or not t._keeps_class or issubclass(found, kind):
            continue
        if not issubclass(kind, found):
            raise TypeError(
                "no implementation found for an operation on types of which none is a subclass of "
                f"the others: {found.__name__} and {kind.__name__}"
            )
        found = kind
    return found


def explained(name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which says of what it cannot use what it should have been."""

    @functools.wraps(fn)
    def run(*args: Any, **kwargs: Any) -> Any:
        cls = subclass_among((*args, *kwargs.values())) if SUBCLASSES else Tensor
        try:
            result = fn(*args, **kwargs)
        except ODD:
            again = own_names(name, fn, kwargs)
            if again is None:
                check_arguments(name, fn, args, kwargs)
                raise
            result = run(*args, **again)
        return result if cls is Tensor else as_subclass_of(result, cls)

    return run


def takes_more(name: str, fn: Any) -> bool:
    """Whether a method has arguments of which its annotations say what they must be, or which
    have other names."""
    return name in OVERLOADS or any(
        str(hint).removesuffix(" | None") in _PLAIN_TYPES or argument in ("dim", "keepdim")
        for argument, hint in fn.__annotations__.items()
        if argument not in ("input", "self", "return")
    )


def _truth(name: str, t: Tensor, args: Sequence[Any], result: Tensor) -> Tensor:
    """A comparison written in place: its gradients are zeros, for both operands."""
    tensors = [t, *(a for a in args if isinstance(a, Tensor))]
    value = promotion.cast(node_of(result), t.dtype)
    record_name = f"{name.capitalize()}Backward{len(tensors) - 1}"
    return record(record_name, tensors, nodes_of(*tensors), value)


def tensors_in(args: Sequence[Any]) -> list[Tensor]:
    """The tensors among arguments, those in lists too."""
    found = []
    for a in args:
        if isinstance(a, Tensor):
            found.append(a)
        elif isinstance(a, (list, tuple)):
            found += tensors_in(a)
    return found


class NamedResult(tuple[Any, ...]):
    """Several results with names: prints as PyTorch's return types do."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    def __new__(cls, *values: Any) -> Any:
        return super().__new__(cls, values)

    def __reduce__(self) -> Any:
        return (tuple, (tuple(self),))

    def __repr__(self) -> str:
        listed = ",\n".join(f"{name}={value!r}" for name, value in zip(self._fields, self))
        return f"lazygrad.return_types.{type(self).__name__}(\n{listed})"


def named(name: str, *fields: str) -> Any:
    """The class of results with these names."""
    body: dict[str, Any] = {
        field: property(operator.itemgetter(position)) for position, field in enumerate(fields)
    }
    return type(name, (NamedResult,), body | {"_fields": fields, "__slots__": ()})


def check_tensor(value: Any, name: str, argument: str = "input", position: int = 1) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{name}(): argument '{argument}' (position {position}) must be Tensor, "
            f"not {type(value).__name__}"
        )


def check_kind(value: Any, kind: Any, name: str, argument: str, position: int) -> None:
    """TypeError with PyTorch's words unless a value is of a type, or one of several."""
    if not isinstance(value, kind):
        wanted = kind[0] if isinstance(kind, tuple) else kind
        raise TypeError(
            f"{name}(): argument '{argument}' (position {position}) must be {wanted.__name__}, "
            f"not {type(value).__name__}"
        )


def layout_order(tensors: Sequence[Tensor], shape: Shape, number: bool = False) -> list[int] | None:
    """The order of axes in memory, outermost first, of an elementwise result; None: row-major.

    Results take the layout of their operands: axes are sorted by the operands' strides, the
    first operand that tells two axes apart decides, and broadcast axes tell nothing. `number`:
    one operand is a number, which to PyTorch is a tensor of another shape.
    """
    rank = len(shape)
    if rank < 2 or all(
        t._view is None or t._view.strides == contiguous_strides(t._view.shape) for t in tensors
    ):
        return None
    if not number and all(shape_of(t) == shape and view_of(t).has_dense_strides for t in tensors):
        return None
    steps = []
    for t in tensors:
        own = shape_of(t)
        if not own:
            continue
        strides = t._view.strides if t._view is not None else contiguous_strides(own)
        lead = rank - len(own)
        steps.append(
            (0,) * lead
            + tuple(
                0 if e == 1 and shape[lead + i] != 1 else s
                for i, (e, s) in enumerate(zip(own, strides))
            )
        )
    return order_of(steps, shape)


def order_of(steps: Sequence[Sequence[int]], shape: Shape) -> list[int] | None:
    """The order of axes, outermost first, that the operands' strides ask for; None: row-major."""
    rank = len(shape)
    order = list(range(rank - 1, -1, -1))  # innermost first

    def swapped(a: int, b: int) -> int:
        for stride in steps:
            x, y = stride[a], stride[b]
            if x == 0 or y == 0:
                continue
            if x != y:
                return -1 if x < y else 1
            if shape[a] > shape[b]:
                return 1
        return 0

    for i in range(1, rank):
        at = i
        for j in range(i - 1, -1, -1):
            found = swapped(order[j], order[at])
            if found > 0:
                order[j], order[at] = order[at], order[j]
                at = j
            elif found < 0:
                break
    order.reverse()
    return None if order == list(range(rank)) else order
