"""Pointwise primitives: arithmetic, comparisons, selection, casts and unary math.

Sources have one dtype and one shape; a source of shape () counts as broadcast. Gradient rules are
`lambda g, y, *sources` and give one node (or None) a source.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.ir import hostmath
from lazygrad.ir.dtypes import DType, bool_
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.ops.core import Lowering, Op, register
from lazygrad.ir.ops.leaf import lit

Rule = Callable[..., tuple[Node | None, ...]]


def common_shape(srcs: tuple[Node, ...], name: str) -> Shape:
    shape = srcs[0].shape
    for src in srcs[1:]:
        if src.shape != shape:
            if shape == ():
                shape = src.shape
            elif src.shape != ():
                raise ValueError(f"{name}: shapes {[s.shape for s in srcs]} differ")
    return shape


def _same(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    dtype = srcs[0].dtype
    for src in srcs:
        if src.dtype is not dtype:
            raise TypeError(f"dtypes {[s.dtype.name for s in srcs]} differ")
    return common_shape(srcs, "pointwise op"), dtype


def _compare(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    return _same(srcs, arg)[0], bool_


def _select(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    if srcs[0].dtype is not bool_ or srcs[1].dtype is not srcs[2].dtype:
        raise TypeError(f"where takes (bool, T, T), got {[s.dtype.name for s in srcs]}")
    return common_shape(srcs, "where"), srcs[1].dtype


def _cast(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    return srcs[0].shape, arg


def _op(
    name: str,
    numpy: Callable[..., np.ndarray],
    c: str | dict[str, str],
    vjp: Rule | None = None,
    saves: tuple[int, ...] = (),
    infer: Any = _same,
    **more: Any,
) -> Op:
    """Declare one pointwise op. numpy here takes arrays only."""

    def meaning(*arrays: np.ndarray, node: Node) -> np.ndarray:
        return numpy(*arrays)

    rule = None
    if vjp is not None:

        def rule(g: Node, y: Node, *srcs: Node, arg: Any) -> tuple[Node | None, ...]:
            return vjp(g, y, *srcs)

    return register(Op(name, Lowering.POINTWISE, infer, meaning, rule, saves, c, **more))


def _zero(g: Node) -> Node:
    return lit(0, g)


X, Y = (0,), (-1,)

# -- arithmetic ---------------------------------------------------------------------------------
add: Op = _op(
    "add", np.add, {"b": "({0} | {1})", "": "({0} + {1})"}, lambda g, y, a, b: (g, g), arity=2
)
sub: Op = _op(
    "sub", np.subtract, "({0} - {1})", lambda g, y, a, b: (g, neg(g)), arity=2, kinds="uif"
)
mul: Op = _op(
    "mul",
    np.multiply,
    {"b": "({0} & {1})", "": "({0} * {1})"},
    lambda g, y, a, b: (mul(g, b), mul(g, a)),
    (0, 1),
    arity=2,
)
div: Op = _op(
    "div",
    np.divide,
    "({0} / {1})",
    lambda g, y, a, b: (div(g, b), neg(div(mul(g, div(a, b)), b))),
    (0, 1),
    arity=2,
    kinds="f",
    domain=(0.5, 3.0),
)
neg: Op = _op("neg", np.negative, "(-{0})", lambda g, y, a: (neg(g),), kinds="uif")
maximum: Op = _op(
    "maximum",
    np.maximum,
    {"b": "({0} | {1})", "": "v_max_{t}({0}, {1})"},
    lambda g, y, a, b: _pick(g, a, b, lt(a, b), lt(b, a)),
    (0, 1),
    arity=2,
)
minimum: Op = _op(
    "minimum",
    np.minimum,
    {"b": "({0} & {1})", "": "v_min_{t}({0}, {1})"},
    lambda g, y, a, b: _pick(g, a, b, lt(b, a), lt(a, b)),
    (0, 1),
    arity=2,
)
power: Op = _op(
    "pow",
    hostmath.power,
    "v_pow_{t}({0}, {1})",
    lambda g, y, a, b: _power_vjp(g, y, a, b),
    (-1, 0, 1),
    arity=2,
    kinds="uif",
    domain=(0.3, 2.0),
    ulp=2,
)
floordiv: Op = _op(
    "floordiv",
    hostmath.floordiv,
    {"f": "v_floordiv_{t}({0}, {1})", "": "v_floordiv_{t}({0}, {1}, err)"},
    arity=2,
    kinds="uif",
    domain=(0.5, 3.0),
    errors=("RuntimeError: ZeroDivisionError",),
)
remainder: Op = _op(
    "remainder",
    hostmath.remainder,
    {"f": "v_remainder_{t}({0}, {1})", "": "v_remainder_{t}({0}, {1}, err)"},
    lambda g, y, a, b: (g, neg(mul(g, floordiv(a, b)))),
    (0, 1),
    arity=2,
    kinds="uif",
    domain=(0.5, 3.0),
    errors=("RuntimeError: ZeroDivisionError",),
)
fmod: Op = _op(
    "fmod",
    hostmath.fmod,
    {"f": "v_fmod_{t}({0}, {1})", "": "v_fmod_{t}({0}, {1}, err)"},
    lambda g, y, a, b: (g, neg(mul(g, trunc(div(a, b))))),
    (0, 1),
    arity=2,
    kinds="uif",
    domain=(0.5, 3.0),
    errors=("RuntimeError: ZeroDivisionError",),
)
truncdiv: Op = _op(
    "truncdiv",
    hostmath.truncdiv,
    "v_truncdiv_{t}({0}, {1}, err)",
    arity=2,
    kinds="ui",
    errors=("RuntimeError: ZeroDivisionError",),
)

# -- bits and booleans --------------------------------------------------------------------------
bit_and: Op = _op("bit_and", np.bitwise_and, "({0} & {1})", arity=2, kinds="bui")
bit_or: Op = _op("bit_or", np.bitwise_or, "({0} | {1})", arity=2, kinds="bui")
bit_xor: Op = _op("bit_xor", np.bitwise_xor, "({0} ^ {1})", arity=2, kinds="bui")
bit_not: Op = _op("bit_not", np.invert, "(~{0})", kinds="bui")
shl: Op = _op("shl", hostmath.shl, "v_shl_{t}({0}, {1})", arity=2, kinds="ui")
shr: Op = _op("shr", hostmath.shr, "v_shr_{t}({0}, {1})", arity=2, kinds="ui")

# -- comparisons and selection ------------------------------------------------------------------
eq: Op = _op("eq", np.equal, {"b": "(~({0} ^ {1}))", "": "({0} == {1})"}, infer=_compare, arity=2)
ne: Op = _op("ne", np.not_equal, {"b": "({0} ^ {1})", "": "({0} != {1})"}, infer=_compare, arity=2)
lt: Op = _op("lt", np.less, {"b": "(~{0} & {1})", "": "({0} < {1})"}, infer=_compare, arity=2)
le: Op = _op(
    "le", np.less_equal, {"b": "(~{0} | {1})", "": "({0} <= {1})"}, infer=_compare, arity=2
)
where: Op = _op(
    "where",
    np.where,
    {"b": "(({0} & {1}) | (~{0} & {2}))", "": "v_sel_{t}({0}, {1}, {2})"},
    lambda g, y, c, a, b: (None, where(c, g, _zero(g)), where(c, _zero(g), g)),
    (0,),
    infer=_select,
    arity=3,
)
graded: Op = register(
    Op(
        "graded",
        Lowering.POINTWISE,
        _same,
        lambda x, like, *, node: x,
        lambda g, y, x, like, *, arg: (None, g),
        arity=2,
        kinds="f",
        written=lambda x, like, *, arg: x,
    )
)  # a value with the gradient of another one, which is not computed


def _cast_meaning(x: np.ndarray, *, node: Node) -> np.ndarray:
    return hostmath.cast(x, node.arg)


def _cast_vjp(g: Node, y: Node, x: Node, *, arg: Any) -> tuple[Node | None, ...]:
    return (cast(g, arg=x.dtype) if x.dtype.kind == "f" else None,)


cast: Op = register(Op("cast", Lowering.POINTWISE, _cast, _cast_meaning, _cast_vjp))

# -- unary math on floats -----------------------------------------------------------------------
_TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)
_LN2, _LN10 = math.log(2.0), math.log(10.0)


def _unary(
    name: str,
    numpy: Callable[..., np.ndarray],
    vjp: Rule,
    saves: tuple[int, ...] = X,
    domain: tuple[float, float] = (-2.0, 2.0),
    ulp: float = 2,
    c: str | None = None,
) -> Op:
    text = c or "v_" + name + "_{t}({0})"
    return _op(name, hostmath.wide(numpy), text, vjp, saves, kinds="f", domain=domain, ulp=ulp)


exp: Op = _unary("exp", np.exp, lambda g, y, x: (mul(g, y),), Y)
exp2: Op = _unary("exp2", np.exp2, lambda g, y, x: (mul(g, mul(y, lit(_LN2, g))),), Y)
expm1: Op = _unary("expm1", np.expm1, lambda g, y, x: (mul(g, add(y, lit(1, g))),), Y)
log: Op = _unary("log", np.log, lambda g, y, x: (div(g, x),), domain=(0.1, 3.0))
log2: Op = _unary(
    "log2", np.log2, lambda g, y, x: (div(g, mul(x, lit(_LN2, g))),), domain=(0.1, 3.0)
)
log10: Op = _unary(
    "log10", np.log10, lambda g, y, x: (div(g, mul(x, lit(_LN10, g))),), domain=(0.1, 3.0)
)
log1p: Op = _unary(
    "log1p", np.log1p, lambda g, y, x: (div(g, add(x, lit(1, g))),), domain=(-0.7, 3.0)
)
sqrt: Op = _unary(
    "sqrt", np.sqrt, lambda g, y, x: (div(g, mul(y, lit(2, g))),), Y, domain=(0.1, 3.0), ulp=0.5
)
rsqrt: Op = _unary(
    "rsqrt",
    hostmath.rsqrt,
    lambda g, y, x: (mul(lit(-0.5, g), mul(g, mul(y, mul(y, y)))),),
    Y,
    domain=(0.2, 3.0),
    ulp=1,
)
reciprocal: Op = _unary(
    "reciprocal",
    np.reciprocal,
    lambda g, y, x: (neg(mul(g, mul(y, y))),),
    Y,
    domain=(0.3, 3.0),
    ulp=0.5,
    c="(1 / {0})",
)
sin: Op = _unary("sin", np.sin, lambda g, y, x: (mul(g, cos(x)),))
cos: Op = _unary("cos", np.cos, lambda g, y, x: (neg(mul(g, sin(x))),))
tan: Op = _unary(
    "tan", np.tan, lambda g, y, x: (mul(g, add(mul(y, y), lit(1, g))),), Y, domain=(-1.2, 1.2)
)
sinh: Op = _unary("sinh", np.sinh, lambda g, y, x: (mul(g, cosh(x)),))
cosh: Op = _unary("cosh", np.cosh, lambda g, y, x: (mul(g, sinh(x)),))
tanh: Op = _unary("tanh", np.tanh, lambda g, y, x: (mul(g, sub(lit(1, g), mul(y, y))),), Y)
asin: Op = _unary(
    "asin",
    np.arcsin,
    lambda g, y, x: (mul(g, rsqrt(sub(lit(1, g), mul(x, x)))),),
    domain=(-0.8, 0.8),
)
acos: Op = _unary(
    "acos",
    np.arccos,
    lambda g, y, x: (neg(mul(g, rsqrt(sub(lit(1, g), mul(x, x))))),),
    domain=(-0.8, 0.8),
)
atan: Op = _unary("atan", np.arctan, lambda g, y, x: (div(g, add(mul(x, x), lit(1, g))),))
asinh: Op = _unary("asinh", np.arcsinh, lambda g, y, x: (mul(g, rsqrt(add(mul(x, x), lit(1, g)))),))
acosh: Op = _unary(
    "acosh",
    np.arccosh,
    lambda g, y, x: (mul(g, rsqrt(sub(mul(x, x), lit(1, g)))),),
    domain=(1.2, 3.0),
)
atanh: Op = _unary(
    "atanh", np.arctanh, lambda g, y, x: (div(g, sub(lit(1, g), mul(x, x))),), domain=(-0.8, 0.8)
)
sigmoid: Op = _unary(
    "sigmoid", hostmath.sigmoid, lambda g, y, x: (mul(g, mul(sub(lit(1, g), y), y)),), Y
)
erf: Op = _unary(
    "erf",
    hostmath.erf,
    lambda g, y, x: (mul(g, mul(lit(_TWO_OVER_SQRT_PI, g), exp(neg(mul(x, x))))),),
)
erfc: Op = _unary(
    "erfc",
    hostmath.erfc,
    lambda g, y, x: (mul(g, mul(lit(-_TWO_OVER_SQRT_PI, g), exp(neg(mul(x, x))))),),
)
atan2: Op = _op(
    "atan2",
    hostmath.wide(np.arctan2),
    "v_atan2_{t}({0}, {1})",
    lambda g, y, a, b: _atan2_vjp(g, a, b),
    (0, 1),
    arity=2,
    kinds="f",
    domain=(0.3, 2.0),
    ulp=2,
)

# -- unary, piecewise constant or piecewise linear ----------------------------------------------
absolute: Op = _op(
    "abs",
    np.absolute,
    "v_abs_{t}({0})",
    lambda g, y, x: (mul(g, sign(x)),),
    X,
    kinds="uif",
    domain=(0.2, 2.0),
)
sign: Op = _op(
    "sign",
    hostmath.sign,
    {"b": "{0}", "": "v_sign_{t}({0})"},
    lambda g, y, x: (None,),
    domain=(0.2, 2.0),
)
floor: Op = _op(
    "floor", np.floor, "v_floor_{t}({0})", lambda g, y, x: (None,), kinds="f", domain=(0.1, 0.9)
)
ceil: Op = _op(
    "ceil", np.ceil, "v_ceil_{t}({0})", lambda g, y, x: (None,), kinds="f", domain=(0.1, 0.9)
)
trunc: Op = _op(
    "trunc", np.trunc, "v_trunc_{t}({0})", lambda g, y, x: (None,), kinds="f", domain=(0.1, 0.9)
)
rint: Op = _op(
    "round", np.rint, "v_round_{t}({0})", lambda g, y, x: (None,), kinds="f", domain=(0.1, 0.4)
)


def _pick(g: Node, a: Node, b: Node, not_a: Node, not_b: Node) -> tuple[Node, Node]:
    """Gradient of maximum/minimum: to the chosen source, halved between equals, and where one is
    NaN to both (as PyTorch)."""
    half = div(g, lit(2, g))
    tie = eq(a, b)
    none = _zero(g)
    return (
        where(tie, half, where(not_a, none, g)),
        where(tie, half, where(not_b, none, g)),
    )


def _power_vjp(g: Node, y: Node, a: Node, b: Node) -> tuple[Node, Node]:
    """b * a**(b-1), 0 where b is 0; y * log(a), 0 where a is 0 and b >= 0."""
    zero, one = lit(0, g), lit(1, g)
    base = where(eq(b, zero), zero, mul(g, mul(b, power(a, sub(b, one)))))
    flat = bit_and(eq(a, zero), le(zero, b))
    exponent = where(flat, zero, mul(g, mul(y, log(a))))
    return base, exponent


def _atan2_vjp(g: Node, a: Node, b: Node) -> tuple[Node, Node]:
    size = add(mul(a, a), mul(b, b))
    origin = eq(size, _zero(size))  # where there is no angle, nor a gradient: 0, as PyTorch's
    scale = where(origin, _zero(g), div(g, where(origin, lit(1, size), size)))
    return mul(scale, b), neg(mul(scale, a))
