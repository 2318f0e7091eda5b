"""Jacobians, Hessians and products with them.

Owns: the functions of `autograd.functional`. Must not know: records or nodes; all is said with
`autograd.grad`. `strict=True` raises where a result does not depend on an input, instead of giving
zeros. Forward mode is not there: the strategy of that name is taken, and gives the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lazygrad.autograd.engine import grad
from lazygrad.autograd.modes import enable_grad
from lazygrad.tensor import Tensor, zeros_like
from lazygrad.tensor.joining import stack

Function = Callable[..., Any]

_NOT_ALLOWED = "This is not allowed in strict mode."
_OUTPUT = (
    "Output {} of the user-provided function does not require gradients. The outputs must be "
    "computed in a differentiable manner from the input when running in strict mode."
)
_INPUT = f"The output of the user-provided function is independent of input {{}}. {_NOT_ALLOWED}"
_ONE_INPUT = (
    f"Output {{out}} of the user-provided function is independent of input {{}}. {_NOT_ALLOWED}"
)
_JACOBIAN = (
    "While computing the hessian, found that the jacobian of the user-provided function with "
    f"respect to input {{}} is independent of the input. {_NOT_ALLOWED} You should ensure that "
    "your function is twice differentiable and that the jacobian depends on the inputs (this "
    "would be violated by a linear function for example)."
)

# -- what goes in and out -----------------------------------------------------------------------


def _tensors(value: Any, what: str, function: str) -> tuple[tuple[Tensor, ...], bool]:
    """A tensor or a tuple of them as a tuple, and which of both it was."""
    many = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for number, t in enumerate(many):
        if not isinstance(t, Tensor):
            which = f"value at index {number}" if isinstance(value, tuple) else "given " + what
            raise TypeError(
                f"The {what} given to {function} must be either a Tensor or a tuple of Tensors but "
                f"the {which} has type {type(t)}."
            )
    return many, isinstance(value, (tuple, list))


def _inputs(inputs: Any, function: str, create_graph: bool) -> tuple[tuple[Tensor, ...], bool]:
    many, was_tuple = _tensors(inputs, "inputs", function)
    if create_graph:
        return tuple(
            t.view_as(t) if t.requires_grad else t.detach().requires_grad_() for t in many
        ), was_tuple
    return tuple(t.detach().requires_grad_() for t in many), was_tuple


def _outputs(value: Any, function: str, strict: bool) -> tuple[tuple[Tensor, ...], bool]:
    many, was_tuple = _tensors(value, "outputs of the user-provided function", function)
    _check_depend(many, _OUTPUT, strict)
    return many, was_tuple


def _vector(v: Any, like: Sequence[Tensor], default: str) -> tuple[Tensor, ...]:
    """The vector to multiply with: ones for a single element where none is given."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                f"The vector v can only be None if {default} a single Tensor with a single element."
            )
        return (like[0].new_ones(like[0].shape),)
    many, was_tuple = _tensors(v, "v", "this function")
    if len(many) != len(like):
        raise RuntimeError(
            f"v is a tuple of invalid length: should be {len(like)} but got {len(many)}."
        )
    for number, (part, other) in enumerate(zip(many, like)):
        if part.shape != other.shape:
            entry = f"Entry {number} in " if was_tuple else ""
            raise RuntimeError(
                f"{entry}v has invalid size: should be {other.shape} but got {part.shape}."
            )
    return many


def _check_depend(tensors: Sequence[Tensor], words: str, strict: bool) -> None:
    for number, t in enumerate(tensors):
        if strict and not t.requires_grad:
            raise RuntimeError(words.format(number))


def _done(values: Any, create_graph: bool) -> tuple[Any, ...]:
    return tuple(v if create_graph else v.detach() for v in values)


def _back(values: tuple[Any, ...], was_tuple: bool) -> Any:
    return values if was_tuple else values[0]


def _grad(outs: Any, ins: Any, seeds: Any, create: bool, strict: str = "") -> tuple[Any, ...]:
    """Gradients, zeros where there are none; with `strict` words that is an error."""
    got: Sequence[Any] = (None,) * len(ins)
    pairs = [(o, s) for o, s in zip(outs, seeds) if o.requires_grad]
    if pairs:
        got = grad(
            [o for o, _ in pairs],
            ins,
            [s for _, s in pairs],
            retain_graph=True,
            create_graph=create,
            allow_unused=True,
        )
    for number, g in enumerate(got):
        if strict and g is None:
            raise RuntimeError(strict.format(number))
    return tuple(zeros_like(i) if g is None else g for g, i in zip(got, ins))


# -- products -----------------------------------------------------------------------------------


def vjp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(outputs, v times the Jacobian). `v` has the shapes of the outputs."""
    with enable_grad():
        ins, in_tuple = _inputs(inputs, "vjp", create_graph)
        outs, out_tuple = _outputs(func(*ins), "vjp", strict)
        seeds = _vector(v, outs, "the user-provided function returns")
        got = _grad(outs, ins, seeds, create_graph, _INPUT if strict else "")
    return _back(_done(outs, create_graph), out_tuple), _back(_done(got, create_graph), in_tuple)


def jvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(outputs, the Jacobian times v), by differentiating the vjp with respect to its vector.

    `v` has the shapes of the inputs.
    """
    with enable_grad():
        ins, _ = _inputs(inputs, "jvp", create_graph)
        seeds = _vector(v, ins, "the input to the user-provided function is")
        outs, out_tuple = _outputs(func(*ins), "jvp", strict)
        weights = tuple(zeros_like(o).requires_grad_() for o in outs)
        first = _grad(outs, ins, weights, True, _INPUT if strict else "")
        got = _grad(first, weights, seeds, create_graph)
    return _back(_done(outs, create_graph), out_tuple), _back(_done(got, create_graph), out_tuple)


def _hessian_product(
    name: str, func: Function, inputs: Any, v: Any, create_graph: bool, strict: bool
) -> tuple[Any, Any]:
    with enable_grad():
        ins, in_tuple = _inputs(inputs, name, create_graph)
        seeds = _vector(v, ins, "the input to the user-provided function is")
        out = _one_element(func(*ins), name, strict)
        first = _grad((out,), ins, (out.new_ones(out.shape),), True, _INPUT if strict else "")
        _check_depend(first, _JACOBIAN, strict)
        got = _grad(first, ins, seeds, create_graph, _JACOBIAN if strict else "")
    return _done((out,), create_graph)[0], _back(_done(got, create_graph), in_tuple)


def _one_element(value: Any, name: str, strict: bool) -> Tensor:
    outs, was_tuple = _outputs(value, name, strict)
    if was_tuple:
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if outs[0].numel() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {name} should contain a single element"
        )
    return outs[0]


def vhp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(output, v times the Hessian). `v` has the shapes of the inputs."""
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(output, the Hessian times v): the same as `vhp`, as Hessians are symmetric."""
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


# -- whole matrices -----------------------------------------------------------------------------


def _rows_of(out: Tensor, part: list[Any], given: Tensor) -> Tensor:
    """The gradients of out's elements, one under the other."""
    shape = (*out.shape, *given.shape)
    made: Tensor = stack(part).reshape(shape) if part else out.new_zeros(shape)
    return made


def jacobian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of each output with respect to each input: of shape (*output, *input)."""
    _check_strategy(strategy, vectorize, strict)
    with enable_grad():
        ins, in_tuple = _inputs(inputs, "jacobian", create_graph)
        outs, out_tuple = _outputs(func(*ins), "jacobian", strict)
        rows = []
        for number, out in enumerate(outs):
            words = _ONE_INPUT.replace("{out}", str(number)) if strict else ""
            parts: list[list[Any]] = [[] for _ in ins]
            for element in out.reshape(-1).unbind(0):
                got = _grad((element,), ins, (element.new_ones(()),), create_graph, words)
                for part, g in zip(parts, got):
                    part.append(g)
            rows.append(tuple(_rows_of(out, part, i) for part, i in zip(parts, ins)))
        rows = [_done(row, create_graph) for row in rows]
    per_out = tuple(_back(row, in_tuple) for row in rows)
    return _back(per_out, out_tuple)


def _check_strategy(strategy: str, vectorize: bool, strict: bool) -> None:
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your '
            'function has more outputs than inputs, "forward-mode" tends to be more performant. '
            'Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode" and strict:
        raise RuntimeError('`strict=True` and `strategy="forward-mode"` are not supported together')
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian is only "
            "implemented for `vectorize=True`."
        )
    if vectorize and strict:
        raise RuntimeError("`strict=True` and `vectorized=True` are not supported together")


def hessian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function with one element: of shape (*input, *input)."""
    many, in_tuple = _tensors(inputs, "inputs", "hessian")

    def first(*ins: Any) -> Any:
        out = _one_element(func(*ins), "hessian", strict)
        found = _grad((out,), ins, (out.new_ones(out.shape),), True, _INPUT if strict else "")
        _check_depend(found, _JACOBIAN, strict)
        return found

    found = jacobian(first, many, create_graph, strict, vectorize, strategy=outer_jacobian_strategy)
    return found if in_tuple else found[0][0]


__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]
