"""Elementwise operations: unary math, arithmetic, comparisons, logic.

Owns: the tables that make functions, methods and in-place forms, and the short path that records
one op on plain tensors. Must not know: views, storage sharing beyond the test for it, reductions.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node
from lazygrad.ir.ops import Op
from lazygrad.tensor import promotion as P
from lazygrad.tensor import quick
from lazygrad.tensor.core import Tensor, node_of, nodes_of, wrap
from lazygrad.tensor.declare import check_tensor, declare, inplace_form, layout_order
from lazygrad.tensor.history import RESULT, not_differentiated, record, saving
from lazygrad.tensor.kernels import KERNELS, REFUSALS, require
from lazygrad.tensor.size import HOST

# -- unary --------------------------------------------------------------------------------------


def _unary(name: str, op: Op, grad: str, to_float: bool) -> Callable[[Tensor], Tensor]:
    grad_name = f"{grad}Backward0"
    needs_check = name in KERNELS or name in REFUSALS

    def general(input: Tensor) -> Tensor:
        check_tensor(input, name)
        a = node_of(input)
        order = layout_order((input,), a.shape)
        kind = a.dtype.kind
        if needs_check:
            require(name, a.dtype)
        if kind == "f" or not to_float:
            value = a if kind != "f" and op in _WHOLE else op(a)
            if value is a:
                value = ops.copy(a)
        else:
            value = op(ops.cast(a, arg=P.default.dtype))
        return record(grad_name, (input,), (a,), value, order)

    function = quick.unary(op, grad_name, general)
    function.__name__ = function.__qualname__ = name
    return function


_WHOLE = (ops.floor, ops.ceil, ops.trunc, ops.rint)


# (names, op, name of the record, whether integers become floats)
UNARY: list[tuple[tuple[str, ...], Op, str, bool]] = [
    (("exp",), ops.exp, "Exp", True),
    (("exp2",), ops.exp2, "Exp2", True),
    (("expm1",), ops.expm1, "Expm1", True),
    (("log",), ops.log, "Log", True),
    (("log2",), ops.log2, "Log2", True),
    (("log10",), ops.log10, "Log10", True),
    (("log1p",), ops.log1p, "Log1P", True),
    (("sqrt",), ops.sqrt, "Sqrt", True),
    (("rsqrt",), ops.rsqrt, "Rsqrt", True),
    (("reciprocal",), ops.reciprocal, "Reciprocal", True),
    (("sin",), ops.sin, "Sin", True),
    (("cos",), ops.cos, "Cos", True),
    (("tan",), ops.tan, "Tan", True),
    (("sinh",), ops.sinh, "Sinh", True),
    (("cosh",), ops.cosh, "Cosh", True),
    (("tanh",), ops.tanh, "Tanh", True),
    (("asin", "arcsin"), ops.asin, "Asin", True),
    (("acos", "arccos"), ops.acos, "Acos", True),
    (("atan", "arctan"), ops.atan, "Atan", True),
    (("asinh", "arcsinh"), ops.asinh, "Asinh", True),
    (("acosh", "arccosh"), ops.acosh, "Acosh", True),
    (("atanh", "arctanh"), ops.atanh, "Atanh", True),
    (("sigmoid",), ops.sigmoid, "Sigmoid", True),
    (("erf",), ops.erf, "Erf", True),
    (("erfc",), ops.erfc, "Erfc", True),
    (("neg", "negative"), ops.neg, "Neg", False),
    (("abs", "absolute"), ops.absolute, "Abs", False),
    (("sign",), ops.sign, "Sign", False),
    (("floor",), ops.floor, "Floor", False),
    (("ceil",), ops.ceil, "Ceil", False),
    (("trunc", "fix"), ops.trunc, "Trunc", False),
]
for _names, _op, _grad, _to_float in UNARY:
    _made = _unary(_names[0], _op, _grad, _to_float)
    globals()[_names[0]] = declare(*_names, inplace=True, out=_to_float or "same")(_made)


@declare(inplace=True, out="same")
def sgn(input: Tensor) -> Tensor:
    """-1, 0 or 1: the sign."""
    x = node_of(input)
    order = layout_order((input,), x.shape)
    return record("SgnBackward0", (input,), (x,), ops.sign(x), order, (0, RESULT))


# -- binary -------------------------------------------------------------------------------------


def number_of(value: Any, name: str, argument: str = "other", position: int = 2) -> Any:
    """A Python number out of what may stand beside a tensor (see `number_from`).

    Raises TypeError, OverflowError for an integer that has more than 64 bits.
    """
    number = P.number_from(value)
    if isinstance(number, (int, float)):
        return number
    if isinstance(number, complex):
        raise NotImplementedError(f"{name}() of complex numbers is not supported")
    raise TypeError(
        f"{name}(): argument '{argument}' (position {position}) must be Tensor, "
        f"not {type(value).__name__}"
    )


def _on_one_device(a: Node, b: Node) -> tuple[Node, Node]:
    """A 0-d tensor of the host meets a tensor anywhere. Raises RuntimeError for other pairs."""
    if a.device != b.device:
        if not b.shape and b.device == HOST:
            return a, ops.to_device(b, a.device)
        if not a.shape and a.device == HOST:
            return ops.to_device(a, b.device), b
    return a, b


def operands(
    name: str, a: Any, b: Any, to_float: bool = False, dtype: DType | None = None
) -> tuple[list[Tensor], list[Node], list[Node], list[int] | None]:
    """Two operands, one of which may be a number: (tensors, their nodes, the nodes promoted and
    broadcast, the layout of the result)."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        x, y = nodes_of(a, b)
        if x.shape and y.shape:
            ops.common_device((x, y))
        found = dtype or P.pair_dtype(x, y)
        shape = P.joint_shape(x.shape, y.shape)
        if to_float:
            found = P.float_dtype(found)
        x_there, y_there = _on_one_device(x, y)
        pair = [P.expand_to(P.cast(n, found), shape) for n in (x_there, y_there)]
        order = None
        if a._view is not None or b._view is not None:
            order = layout_order((a, b), shape)
        return [a, b], [x, y], pair, order
    if isinstance(a, Tensor):
        number, t = number_of(b, name), a
    elif isinstance(b, Tensor):
        number, t = number_of(a, name, "input", 1), b
    else:
        return operands(name, wrap(P.scalar(a, P.python_dtype(a), "cpu")), b, to_float, dtype)
    x = node_of(t)
    found = dtype or P.with_number(x.dtype, number)
    if to_float:
        found = P.float_dtype(found)
    side = P.scalar(number, found, x.device)
    cast = P.cast(x, found)
    pair = [cast, side] if t is a else [side, cast]
    order = None if t._view is None else layout_order((t,), x.shape, number=True)
    return [t], [x], pair, order


def _binary(
    name: str,
    op: Op,
    grad: str,
    to_float: bool = False,
    check: Callable[[str, Any, Any], None] | None = None,
    compare: bool = False,
) -> Any:
    grad_name = f"{grad}Backward0"
    many_name = f"{grad}Backward{'1' if grad in ('Remainder', 'Fmod') else '0'}"
    needs_check = check is not None
    has_kernel = name in KERNELS
    kinds = "f" if to_float else "fiu"
    if has_kernel and D.float32 not in KERNELS[name][0]:
        kinds = "iu"
    numbers = (D.float32, D.float64) if "f" in kinds else ()

    def general(input: Any, other: Any) -> Tensor:
        if needs_check:
            check(name, input, other)  # type: ignore[misc]
        tensors, nodes, pair, order = operands(name, input, other, to_float)
        if has_kernel:
            require(name, pair[0].dtype)
        if len(tensors) == 1 and pair[0].dtype.is_half and op in _ACCURATE:
            node = _with_exact_number(op, pair, input, other)
        else:
            node = op(*pair)
        return record(grad_name if len(tensors) == 1 else many_name, tensors, nodes, node, order)

    def operator(input: Any, other: Any) -> Any:
        """`general`, which gives way to the other operand where it cannot take it."""
        try:
            return general(input, other)
        except TypeError:
            if isinstance(other, OPERANDS):
                raise
            return NotImplemented

    names = (grad_name, many_name)
    function: Any = quick.binary(op, names, numbers, kinds, compare, general)
    function.__name__ = function.__qualname__ = name
    function.operator = quick.binary(op, names, numbers, kinds, compare, operator)
    if op in _WRITTEN:
        function.written = quick.written(op, numbers, kinds)
    return function


_WRITTEN = (ops.add, ops.sub, ops.mul, ops.div)  # to these an optimizer's step comes down
OPERANDS = (Tensor, bool, int, float, np.number, np.bool_)
_ACCURATE = (ops.add, ops.sub, ops.mul, ops.div)


def _with_exact_number(op: Op, pair: list[Node], a: Any, b: Any) -> Node:
    """A half tensor with a number: the number is not rounded to half, only the result is."""
    sides = [
        ops.cast(node, arg=D.float32)
        if isinstance(value, Tensor)
        else P.scalar(value, D.float32, node.device)
        for node, value in zip(pair, (a, b))
    ]
    return ops.cast(op(*sides), arg=pair[0].dtype)


def is_bool(value: Any) -> bool:
    return value.dtype is D.bool_ if isinstance(value, Tensor) else isinstance(value, bool)


def _no_bool_sub(name: str, a: Any, b: Any) -> None:
    if not isinstance(a, (*OPERANDS, complex)) or not isinstance(b, (*OPERANDS, complex)):
        return  # which is said where they are read
    P.number_from(a), P.number_from(b)
    if is_bool(a) and is_bool(b):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` "
            "or `logical_xor()` operator instead."
        )
    if is_bool(a) or is_bool(b):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are "
            "trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )


_plain_add = _binary("add", ops.add, "Add")
_plain_sub = _binary("sub", ops.sub, "Sub", check=_no_bool_sub)
mul = _binary("mul", ops.mul, "Mul")
declare("mul", "multiply", inplace=True, out=True)(mul)
true_divide = _binary("div", ops.div, "Div", to_float=True)
declare("true_divide", inplace=True, out=True)(true_divide)
maximum = declare(out=True)(_binary("maximum", ops.maximum, "Maximum"))
minimum = declare(out=True)(_binary("minimum", ops.minimum, "Minimum"))
_remainder = _binary("remainder", ops.remainder, "Remainder")
_fmod = _binary("fmod", ops.fmod, "Fmod")
atan2 = _binary("atan2", ops.atan2, "Atan2", to_float=True)
declare("atan2", "arctan2", inplace=True, out=True)(atan2)
_floordiv = _binary("floor_divide", ops.floordiv, "FloorDivide")
bitwise_and = _binary("bitwise_and", ops.bit_and, "")
bitwise_or = _binary("bitwise_or", ops.bit_or, "")
bitwise_xor = _binary("bitwise_xor", ops.bit_xor, "")
bitwise_left_shift = _binary("bitwise_left_shift", ops.shl, "")
bitwise_right_shift = _binary("bitwise_right_shift", ops.shr, "")
for _made2 in (bitwise_and, bitwise_or, bitwise_xor, bitwise_left_shift, bitwise_right_shift):
    declare(_made2.__name__, inplace=True, out=True)(_made2)

# comparisons: (names, op, operands swapped)
eq = _binary("eq", ops.eq, "", compare=True)
ne = _binary("ne", ops.ne, "", compare=True)
lt = _binary("lt", ops.lt, "", compare=True)
le = _binary("le", ops.le, "", compare=True)


def gt(input: Any, other: Any) -> Tensor:
    tensors, nodes, (x, y), order = operands("gt", input, other)
    return record("", tensors, nodes, ops.lt(y, x), order)


def ge(input: Any, other: Any) -> Tensor:
    tensors, nodes, (x, y), order = operands("ge", input, other)
    return record("", tensors, nodes, ops.le(y, x), order)


for _names3, _made3 in (
    (("eq",), eq),
    (("ne", "not_equal"), ne),
    (("lt", "less"), lt),
    (("le", "less_equal"), le),
    (("gt", "greater"), gt),
    (("ge", "greater_equal"), ge),
):
    declare(*_names3, inplace=True, out=True, compares=True)(_made3)


# -- arithmetic with extra arguments ------------------------------------------------------------


def _with_alpha(plain: Any, op: Op, input: Any, other: Any, alpha: Any) -> Tensor:
    """input and alpha * other, added or subtracted. Raises RuntimeError for odd alphas."""
    name = plain.__name__
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        return plain(input, number_of(other, name) * alpha)  # type: ignore[no-any-return]
    tensors, nodes, (x, y), order = operands(name, input, other)
    if isinstance(alpha, bool) and x.dtype is not D.bool_:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and x.dtype.kind != "f":
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    if x.dtype is D.bool_:
        alpha = bool(alpha)
    if not isinstance(other, Tensor):
        return plain(input, other and alpha if x.dtype is D.bool_ else other * alpha)  # type: ignore[no-any-return]
    scaled = ops.mul(y, P.scalar(alpha, y.dtype, y.device))
    return record(f"{name.capitalize()}Backward0", tensors, nodes, op(x, scaled), order, ())


def _is_one(alpha: Any) -> bool:
    return type(alpha) is int and alpha == 1  # True and 1.0 are to be looked at


@declare(inplace=True, out=True)
def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input + alpha * other."""
    if _is_one(alpha):
        return _plain_add(input, other)
    return _with_alpha(_plain_add, ops.add, input, other, alpha)


add.written = _plain_add.written


@declare("sub", "subtract", inplace=True, out=True)
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input - alpha * other."""
    if _is_one(alpha):
        return _plain_sub(input, other)
    _no_bool_sub("sub", input, other)
    return _with_alpha(_plain_sub, ops.sub, input, other, alpha)


sub.written = _plain_sub.written


@declare()
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input."""
    if isinstance(other, Tensor):
        return sub(other, input, alpha=alpha)
    _no_bool_sub("rsub", input, other)
    tensors, nodes, (x, y), order = operands("rsub", other, input)
    scaled = y if alpha == 1 else ops.mul(y, P.scalar(alpha, y.dtype, y.device))
    return record("RsubBackward1", tensors, nodes, ops.sub(x, scaled), order, ())


@declare("div", "divide", inplace=True, out=True)
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other, rounded down ("floor") or towards zero ("trunc") if asked for."""
    if rounding_mode is None:
        return true_divide(input, other)
    if rounding_mode not in ("trunc", "floor"):
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    _no_zero(other, input)
    tensors, nodes, (x, y), order = operands("div", input, other)
    require(f"div {rounding_mode}", x.dtype)
    if rounding_mode == "floor":
        value = ops.floordiv(x, y)
    else:
        value = ops.trunc(ops.div(x, y)) if x.dtype.kind == "f" else ops.truncdiv(x, y)
    if len(tensors) == 1:
        return saving(record("DivBackward3", tensors, nodes, value, order))
    return record("DivBackward2", tensors, nodes, value, order, ((0, 1), 1))


def _no_zero(other: Any, t: Any) -> None:
    """An integer divided by a literal zero is refused at the call."""
    if (
        isinstance(other, (int, bool))
        and other == 0
        and isinstance(t, Tensor)
        and t.dtype.kind != "f"
    ):
        raise RuntimeError("ZeroDivisionError")


@declare(inplace=True, out=True)
def floor_divide(input: Any, other: Any) -> Tensor:
    """input // other, rounded down."""
    _no_zero(other, input)
    result = _floordiv(input, other)
    return not_differentiated(result, "floor_divide")


@declare(inplace=True, out=True)
def remainder(input: Any, other: Any) -> Tensor:
    """input % other, with the divisor's sign."""
    _no_zero(other, input)
    result = _remainder(input, other)
    return result if isinstance(input, Tensor) else not_differentiated(result, "remainder")


@declare(inplace=True, out=True)
def fmod(input: Any, other: Any) -> Tensor:
    """input - trunc(input / other) * other: the remainder with the dividend's sign."""
    check_tensor(input, "fmod")
    _no_zero(other, input)
    return _fmod(input, other)


_POWERS: dict[float, Callable[[Node], Node]] = {
    0.5: ops.sqrt,
    -0.5: ops.rsqrt,
    -1.0: ops.reciprocal,
    2.0: lambda x: ops.mul(x, x),
    3.0: lambda x: ops.mul(ops.mul(x, x), x),
    -2.0: lambda x: ops.reciprocal(ops.mul(x, x)),
}


@declare(inplace=True, out=True)
def pow(input: Any, exponent: Any) -> Tensor:
    """input ** exponent."""
    if isinstance(exponent, Tensor):
        tensors, nodes, (x, y), order = operands("pow", input, exponent)
        require("pow", x.dtype)
        name = "PowBackward1" if isinstance(input, Tensor) else "PowBackward2"
        saves = (*range(len(tensors)), RESULT)
        return record(name, tensors, nodes, ops.power(x, y), order, saves)
    check_tensor(input, "pow")
    number = number_of(exponent, "pow", "exponent")
    x = node_of(input)
    dtype = P.with_number(x.dtype, number)
    if dtype.kind in "iu" and number < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    base = P.cast(x, dtype)
    short = _POWERS.get(float(number)) if number == number else None
    if short is not None and (dtype.kind == "f" or number in (2, 3)):
        value = short(base)
        if number == -0.5:  # the power of -0.0 and -inf has another gradient than the root
            value = ops.graded(value, ops.power(base, P.scalar(number, dtype, x.device)))
    elif number == 1:
        value = ops.copy(base)
    else:
        if dtype is not D.float32:  # there it is an infinity
            P.check_fits(number, dtype)
        value = ops.power(base, P.scalar(number, dtype, x.device))
    order = None if input._view is None else layout_order((input,), x.shape)
    return record("PowBackward0", (input,), (x,), value, order, (0,))


@declare(inplace=True, out=True)
def square(input: Tensor) -> Tensor:
    return pow(input, 2)


@declare(out="float64")
def float_power(input: Any, exponent: Any) -> Tensor:
    """input ** exponent, in float64."""
    if not isinstance(input, Tensor):
        check_tensor(exponent, "float_power", "exponent", 2)
    sides = (("input", input), ("exponent", exponent))
    a, b = (
        t.double() if isinstance(t, Tensor) else float(number_of(t, "float_power", name, n))
        for n, (name, t) in enumerate(sides, 1)
    )
    return pow(a, b)


def _float_power_(self: Tensor, exponent: Any) -> Tensor:
    if self.dtype is not D.float64:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {P.type_name(self.dtype)} but the "
            "operation's result requires dtype Double"
        )
    return pow(self, exponent)


declare("float_power_", function=False)(inplace_form("float_power", _float_power_))


@declare(inplace=True, out="same")
def round(input: Tensor, *, decimals: int | None = None) -> Tensor:
    """To the nearest whole number, ties to even; to `decimals` digits."""
    x = node_of(input)
    order = layout_order((input,), x.shape)
    require("round decimals" if decimals else "round" if decimals is None else "round 0", x.dtype)
    if x.dtype.kind != "f":
        return record("", (input,), (x,), ops.copy(x), order)
    if not decimals:
        return record("RoundBackward0", (input,), (x,), ops.rint(x), order)
    wide = P.cast(x, D.float32) if x.dtype.is_half else x
    scale = P.scalar(10.0 ** builtins.abs(decimals), wide.dtype, x.device)
    up, down = (ops.mul, ops.div) if decimals > 0 else (ops.div, ops.mul)
    value = P.cast(down(ops.rint(up(wide, scale)), scale), x.dtype)
    return record("RoundBackward1", (input,), (x,), value, order, ())


@declare(inplace=True, out="same")
def frac(input: Tensor) -> Tensor:
    x = node_of(input)
    require("frac", x.dtype)
    order = layout_order((input,), x.shape)
    return record("FracBackward0", (input,), (x,), ops.sub(x, ops.trunc(x)), order)


@declare()
def positive(input: Tensor) -> Tensor:
    require("positive", input.dtype)
    return input
