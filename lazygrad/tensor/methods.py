"""Puts the declared operations on `Tensor`: methods, in-place forms, operators, properties.

Owns: which names the class has. Must not know: what any of them does.
"""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lazygrad.tensor import (
    bins,
    complex_names,
    convert,
    dlpack,
    einsum,
    elementwise,
    functions,
    gathering,
    indexing,
    inplace,
    joining,
    linear,
    logic,
    matrices,
    norms,
    numpy_bridge,
    parts,
    quantiles,
    random,
    reductions,
    scattering,
    searching,
    statistics,
    structure,
    views,
)
from lazygrad.tensor import promotion as P
from lazygrad.tensor.core import Tensor, as_class, shape_of
from lazygrad.tensor.declare import (
    DECLARED,
    SUBCLASSES,
    as_subclass_of,
    explained,
    inplace_form,
    sized_form,
    subclass_among,
    takes_more,
)
from lazygrad.tensor.elementwise import OPERANDS
from lazygrad.tensor.from_data import as_tensor
from lazygrad.tensor.history import needs_grad
from lazygrad.tensor.inplace import inplace_operator
from lazygrad.tensor.ways import short

# Their declarations are made when they are imported; these are all modules that declare some.
_DECLARING = (
    bins,
    statistics,
    complex_names,
    convert,
    elementwise,
    functions,
    gathering,
    indexing,
    inplace,
    joining,
    einsum,
    linear,
    logic,
    matrices,
    norms,
    numpy_bridge,
    parts,
    quantiles,
    random,
    reductions,
    scattering,
    searching,
    structure,
    views,
)

_SKIP = {
    "__class__",
    "__new__",
    "__init__",
    "__init_subclass__",
    "__getattribute__",
    "__hash__",
    "__setattr__",
    "__delattr__",
    "__repr__",
    "__reduce_ex__",
    "__reduce__",
    "_make_subclass",
    "__dir__",
    "__sizeof__",
    "__subclasshook__",
    "__str__",
}


def install() -> None:
    """Give the class its methods. Called once, when all operations are declared."""
    for entry in list(DECLARED.values()):
        if entry.is_method:
            form = entry.function
            if entry.sizes:
                form = sized_form(entry.name, form, entry.sizes, True)
            elif takes_more(entry.name, form):
                form = explained(entry.name, form)
            setattr(Tensor, entry.name, short(form) if entry.short else form)
        if entry.has_inplace:
            setattr(
                Tensor, f"{entry.name}_", inplace_form(entry.name, entry.function, entry.compares)
            )
    for name, getter in views.PROPERTIES.items():
        setattr(Tensor, name, property(short(getter)))
    for name, (operation, swapped) in _OPERATORS.items():
        equals = name in ("__eq__", "__ne__")
        made = _equality(operation, name == "__eq__") if equals else _operator(operation, swapped)
        setattr(Tensor, name, made)
    for name in (
        "add",
        "sub",
        "mul",
        "pow",
        "and",
        "or",
        "xor",
        "lshift",
        "rshift",
        "mod",
        "truediv",
        "floordiv",
    ):
        target = {
            "truediv": "div_",
            "floordiv": "floor_divide_",
            "mod": "remainder_",
            "and": "bitwise_and_",
            "or": "bitwise_or_",
            "xor": "bitwise_xor_",
            "lshift": "bitwise_left_shift_",
            "rshift": "bitwise_right_shift_",
        }.get(name, f"{name}_")
        setattr(Tensor, f"__i{name}__", inplace_operator(target))
    for name, value in _PLAIN.items():
        setattr(Tensor, name, value)


_OPERANDS = (*OPERANDS, complex)  # the last one is refused, in PyTorch's words


def _equality(operation: Callable[[Any, Any], Any], arrays: bool) -> Any:
    """`==` and `!=`, which take complex numbers; the first takes arrays too, as PyTorch's does."""

    def run(self: Tensor, other: Any) -> Any:
        if arrays and isinstance(other, np.ndarray):
            try:
                other = as_tensor(other)
            except TypeError:  # of a dtype that no tensor has
                return NotImplemented
        elif isinstance(other, complex) and other.imag:
            other = math.nan  # which is like no element either
        elif not isinstance(other, _OPERANDS):
            return NotImplemented
        return operation(self, other)

    return run


def _operator(operation: Callable[[Any, Any], Any], swapped: bool) -> Any:
    """An operator that gives way to the other operand's where it cannot take it."""
    if swapped:

        def run(self: Tensor, other: Any) -> Any:
            if not isinstance(other, _OPERANDS):
                return NotImplemented
            return operation(other, self)

    else:

        def run(self: Tensor, other: Any) -> Any:
            if not isinstance(other, _OPERANDS):
                return NotImplemented
            return operation(self, other)

    return run


def _rdiv(a: Any, b: Tensor) -> Tensor:
    """number / tensor, as PyTorch computes it: by the reciprocal."""
    return elementwise.mul(elementwise.reciprocal(b), a)  # type: ignore[attr-defined]


def _invert(self: Tensor) -> Tensor:
    if self.dtype.kind == "f":
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors"
        )
    return logic.bitwise_not(self)


def _rtruediv(self: Tensor, other: Any) -> Any:
    if isinstance(other, np.ndarray) and other.dtype.kind in "biuf":
        return elementwise.reciprocal(self) * other  # type: ignore[attr-defined]
    return _rdiv(other, self) if isinstance(other, OPERANDS) else NotImplemented


def _rsub(a: Any, b: Tensor) -> Tensor:
    return elementwise.rsub(b, a)


_OPERATORS: dict[str, tuple[Any, bool]] = {
    "__radd__": (elementwise._plain_add, True),
    "__rsub__": (_rsub, True),
    "__rmul__": (elementwise.mul, True),
    "__floordiv__": (elementwise.floor_divide, False),
    "__rfloordiv__": (elementwise.floor_divide, True),
    "__mod__": (elementwise.remainder, False),
    "__rmod__": (elementwise.remainder, True),
    "__pow__": (elementwise.pow, False),
    "__rpow__": (lambda a, b: _rpow(a, b), True),
    "__and__": (elementwise.bitwise_and, False),
    "__rand__": (elementwise.bitwise_and, True),
    "__or__": (elementwise.bitwise_or, False),
    "__ror__": (elementwise.bitwise_or, True),
    "__xor__": (elementwise.bitwise_xor, False),
    "__rxor__": (elementwise.bitwise_xor, True),
    "__lshift__": (elementwise.bitwise_left_shift, False),
    "__rshift__": (elementwise.bitwise_right_shift, False),
    "__rlshift__": (elementwise.bitwise_left_shift, True),
    "__rrshift__": (elementwise.bitwise_right_shift, True),
    "__eq__": (elementwise.eq, False),
    "__ne__": (elementwise.ne, False),
    "__lt__": (elementwise.lt, False),
    "__le__": (elementwise.le, False),
    "__gt__": (elementwise.gt, False),
    "__ge__": (elementwise.ge, False),
}


def _rpow(a: Any, b: Tensor) -> Tensor:
    number = elementwise.number_of(a, "pow", "input", 1)
    P.with_number(b.dtype, number)
    if isinstance(number, int) and number >= 2**63 and b.dtype.kind == "f":
        number = float(number)
    base = elementwise.wrap(P.scalar(number, P.python_dtype(number), "cpu"))
    return functions.rename(elementwise.pow(base, b), "PowBackward2")


# -- protocols ----------------------------------------------------------------------------------


def _len(self: Tensor) -> int:
    shape = shape_of(self)
    if not shape:
        raise TypeError("len() of a 0-d tensor")
    return shape[0]


def _iter(self: Tensor) -> Iterator[Tensor]:
    if not shape_of(self):
        raise TypeError("iteration over a 0-d tensor")
    return iter(parts.unbind(self, 0))


def _reversed(self: Tensor) -> Tensor:
    return self if not self.ndim else self.flip(0)


def _contains(self: Tensor, element: Any) -> bool:
    if isinstance(element, (Tensor, numbers.Number)):
        return bool((element == self).any())  # type: ignore[union-attr]
    raise RuntimeError(
        f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
    )


def _one(self: Tensor) -> Any:
    if self.numel() != 1:
        raise ValueError("only one element tensors can be converted to Python scalars")
    return convert.item(self)


def _matmul(self: Tensor, other: Any) -> Any:
    return linear.matmul(self, other) if isinstance(other, Tensor) else NotImplemented


def _rmatmul(self: Tensor, other: Any) -> Any:
    return linear.matmul(other, self) if isinstance(other, Tensor) else NotImplemented


def _deepcopy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    if id(self) in memo:
        return memo[id(self)]
    if self.grad_fn is not None:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment.  If you were attempting to deepcopy a module, this may be "
            "because of a torch.nn.utils.weight_norm usage, see "
            "https://github.com/pytorch/pytorch/pull/103001"
        )
    key = id(self._storage)
    stored = memo.get(key)
    if stored is None:
        whole = elementwise.wrap(
            elementwise.ops.copy(
                elementwise.ops.reshape(
                    numpy_bridge.memory.read(self._storage), arg=self._storage.shape
                )
            )
        )
        stored = memo[key] = whole._storage
    made = numpy_bridge.on_storage(stored, self._view)
    made = as_class(made, type(self))
    if needs_grad(self):
        made.requires_grad = True
    grad = self._meta.grad if self._meta is not None else None
    memo[id(self)] = made
    if grad is not None:
        made.grad = _deepcopy(grad, memo)
    if self.__dict__:
        import copy

        made.__dict__.update(copy.deepcopy(self.__dict__, memo))
    return made


def _copy(self: Tensor) -> Tensor:
    """copy.copy: another handle on the same memory, a leaf."""
    made = as_class(views.alias(self), type(self))
    if needs_grad(self):
        made.requires_grad = True
    made.__dict__.update(self.__dict__)
    return made


def _reduce(self: Tensor, protocol: Any = None) -> Any:
    return _rebuild, (
        type(self),
        self._storage,
        self._view,
        needs_grad(self),
        self.__dict__ or None,
    )


def _rebuild(cls: type, stored: Any, view: Any, wants: bool, notes: Any) -> Any:
    made = as_class(numpy_bridge.on_storage(stored, view), cls)
    if wants:
        made.requires_grad = True
    if notes:
        made.__dict__.update(notes)
    return made


def _setstate(self: Tensor, state: Any) -> None:
    self.__dict__.update(state)


def _apply(self: Tensor, function: Callable[[Any], Any]) -> Tensor:
    values = [function(v) for v in self.reshape(-1).tolist()]
    from lazygrad.tensor.from_data import tensor

    return self.copy_(tensor(values, dtype=self.dtype).reshape(self.shape))


def as_subclass(self: Tensor, cls: type) -> Any:
    """The same tensor as an instance of `cls`, with its history."""
    made = views.alias(self)
    made._meta = self._meta
    return as_class(made, cls)


def _is_same_size(self: Tensor, other: Tensor) -> bool:
    return shape_of(self) == shape_of(other)


_PLAIN: dict[str, Any] = {
    "__add__": elementwise._plain_add.operator,
    "__sub__": elementwise._plain_sub.operator,
    "__mul__": elementwise.mul.operator,
    "__truediv__": elementwise.true_divide.operator,
    "__rtruediv__": _rtruediv,
    "__neg__": elementwise.neg,  # type: ignore[attr-defined]
    "__pos__": elementwise.positive,
    "__abs__": elementwise.abs,  # type: ignore[attr-defined]
    "__invert__": _invert,
    "__matmul__": _matmul,
    "__rmatmul__": _rmatmul,
    "__imatmul__": _matmul,
    "__len__": _len,
    "__iter__": _iter,
    "__reversed__": _reversed,
    "__contains__": _contains,
    "__bool__": convert.to_bool,
    "__index__": convert.to_index,
    "__int__": lambda self: int(_one(self)),
    "__float__": lambda self: float(_one(self)),
    "__complex__": lambda self: complex(_one(self)),
    "__format__": convert.to_format,
    "__repr__": convert.tensor_repr,
    "__hash__": Tensor.__hash__,
    "__getitem__": short(indexing.getitem),
    "__setitem__": indexing.setitem,
    "__array__": numpy_bridge.array_protocol,
    "__array_wrap__": numpy_bridge.array_wrap,
    "__dlpack__": dlpack.dlpack,
    "__dlpack_device__": dlpack.dlpack_device,
    "__copy__": _copy,
    "__deepcopy__": _deepcopy,
    "__reduce_ex__": _reduce,
    "__setstate__": _setstate,
    "where": logic.where_method,
    "split": parts.split_method,
    "as_subclass": as_subclass,
    "apply_": _apply,
    "is_same_size": _is_same_size,
    "data": property(inplace.get_data, inplace.set_data),
    "grad": property(inplace.get_grad, inplace.set_grad, inplace.del_grad),
    "requires_grad": property(inplace.get_requires_grad, inplace.set_requires_grad),
    "grad_fn": property(inplace.get_grad_fn),
    "is_leaf": property(inplace.get_is_leaf),
    "output_nr": property(inplace.get_output_nr),
    "retains_grad": property(inplace.get_retains_grad),
    "detach_": views.detach_,
}


# -- subclasses ---------------------------------------------------------------------------------


def keep_class(cls: type) -> None:
    """Make the operations of a user's subclass return that subclass, as PyTorch's do."""
    if not SUBCLASSES:
        _look_at_arguments()
    SUBCLASSES.append(cls)
    for name in ("T", "mT", "data"):
        setattr(cls, name, _keeping_property(getattr(Tensor, name)))
    for name in dir(Tensor):
        found = getattr(Tensor, name)
        if name in _SKIP or name in cls.__dict__ or not callable(found) or isinstance(found, type):
            continue
        if any(
            name in parent.__dict__
            for parent in cls.__mro__[1:]
            if parent is not Tensor and parent is not object
        ):
            continue
        setattr(cls, name, _keeping(found))


def _look_at_arguments() -> None:
    """From the first subclass on, a plain tensor's methods look at their arguments too."""
    for name in {"__getitem__", *DECLARED, *(f"{name}_" for name in DECLARED)}:
        found = Tensor.__dict__.get(name)
        if callable(found):
            setattr(Tensor, name, _of_arguments(found))


def _of_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        cls = subclass_among((*args, *kwargs.values())) if type(self) is Tensor else Tensor
        result = function(self, *args, **kwargs)
        if cls is Tensor:
            return result
        return as_subclass_of(as_subclass(self, cls) if result is self else result, cls)

    return run


def _keeping_property(found: property) -> property:
    assert found.fget is not None
    return property(_keeping(found.fget), found.fset, found.fdel, found.__doc__)


def _keeping(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        cls = subclass_among((self, *args, *kwargs.values()))
        return as_subclass_of(function(self, *args, **kwargs), cls)

    return run
