"""Jacobians, Hessians and products with them.

Owns: the functions of `autograd.functional`. Must not know: records or nodes; all is said with
`autograd.grad`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lazygrad.autograd.engine import grad
from lazygrad.autograd.modes import enable_grad
from lazygrad.tensor import Tensor, zeros_like
from lazygrad.tensor.joining import stack


def _tuple(value: Any) -> tuple[tuple[Any, ...], bool]:
    return (tuple(value), True) if isinstance(value, (tuple, list)) else ((value,), False)


def _inputs(inputs: Any, create_graph: bool) -> tuple[tuple[Tensor, ...], bool]:
    many, was_tuple = _tuple(inputs)
    if create_graph:
        return tuple(
            t.view_as(t) if t.requires_grad else t.detach().requires_grad_() for t in many
        ), was_tuple
    return tuple(t.detach().requires_grad_() for t in many), was_tuple


def _done(values: Any, create_graph: bool) -> tuple[Any, ...]:
    return tuple(v if create_graph else v.detach() for v in values)


def _back(values: tuple[Any, ...], was_tuple: bool) -> Any:
    return values if was_tuple else values[0]


def _grad(outs: Any, ins: Any, seeds: Any, create: bool) -> tuple[Any, ...]:
    if not any(o.requires_grad for o in outs):
        return tuple(zeros_like(i) for i in ins)
    pairs = [(o, s) for o, s in zip(outs, seeds) if o.requires_grad]
    got = grad(
        [o for o, _ in pairs],
        ins,
        [s for _, s in pairs],
        retain_graph=True,
        create_graph=create,
        allow_unused=True,
    )
    return tuple(zeros_like(i) if g is None else g for g, i in zip(got, ins))


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """(outputs, v times the Jacobian)."""
    with enable_grad():
        ins, in_tuple = _inputs(inputs, create_graph)
        outs, out_tuple = _tuple(func(*ins))
        if v is None:
            if len(outs) != 1 or outs[0].numel() != 1:
                raise RuntimeError(
                    "The vector v can only be None if the user-provided function returns a "
                    "single Tensor with a single element."
                )
            seeds: tuple[Any, ...] = (outs[0].new_ones(outs[0].shape),)
        else:
            seeds = _tuple(v)[0]
        got = _grad(outs, ins, seeds, create_graph)
    return (_back(_done(outs, create_graph), out_tuple), _back(_done(got, create_graph), in_tuple))


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """(outputs, the Jacobian times v), by differentiating the vjp with respect to its vector."""
    with enable_grad():
        ins, _ = _inputs(inputs, create_graph)
        outs, out_tuple = _tuple(func(*ins))
        if v is None:
            if len(ins) != 1 or ins[0].numel() != 1:
                raise RuntimeError(
                    "The vector v can only be None if the input to the user-provided function "
                    "is a single Tensor with a single element."
                )
            v = ins[0].new_ones(ins[0].shape)
        seeds = tuple(zeros_like(o).requires_grad_() for o in outs)
        first = _grad(outs, ins, seeds, True)
        got = _grad(first, seeds, _tuple(v)[0], create_graph)
    return (_back(_done(outs, create_graph), out_tuple), _back(_done(got, create_graph), out_tuple))


def _rows_of(out: Tensor, part: list[Any], given: Tensor) -> Tensor:
    """The gradients of out's elements, one under the other."""
    shape = (*out.shape, *given.shape)
    made: Tensor = stack(part).reshape(shape) if part else out.new_zeros(shape)
    return made


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of each output with respect to each input."""
    with enable_grad():
        ins, in_tuple = _inputs(inputs, create_graph)
        outs, out_tuple = _tuple(func(*ins))
        rows = []
        for out in outs:
            flat = out.reshape(-1)
            parts: list[list[Any]] = [[] for _ in ins]
            for element in flat.unbind(0):
                got = _grad((element,), ins, (element.new_ones(()),), create_graph)
                for part, g in zip(parts, got):
                    part.append(g)
            rows.append(tuple(_rows_of(out, part, i) for part, i in zip(parts, ins)))
        rows = [_done(row, create_graph) for row in rows]
    per_out = tuple(_back(row, in_tuple) for row in rows)
    return _back(per_out, out_tuple)


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function with one value."""
    many, in_tuple = _tuple(inputs)

    def first(*ins: Any) -> Any:
        out = func(*ins)
        if not isinstance(out, Tensor) or out.numel() != 1:
            raise RuntimeError(
                "The Tensor returned by the function given to hessian should contain a single "
                "element"
            )
        return jacobian(func, ins, create_graph=True)

    found = jacobian(first, many, create_graph=create_graph)
    return found if in_tuple else found[0][0]


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """(output, v times the Hessian)."""
    with enable_grad():
        ins, in_tuple = _inputs(inputs, create_graph)
        out = func(*ins)
        first = _grad((out,), ins, (out.new_ones(out.shape),), True)
        seeds = _tuple(v)[0] if v is not None else (ins[0].new_ones(ins[0].shape),)
        got = _grad(first, ins, seeds, create_graph)
    return _done((out,), create_graph)[0], _back(_done(got, create_graph), in_tuple)


hvp = vhp
