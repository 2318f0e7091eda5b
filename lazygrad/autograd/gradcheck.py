"""gradcheck and gradgradcheck: gradients compared with finite differences.

Owns: the numerical Jacobian and its comparison. Must not know: records or nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.autograd.engine import grad
from lazygrad.autograd.modes import no_grad
from lazygrad.tensor import Tensor, randn_like, tensor


class GradcheckError(RuntimeError):
    """A gradient that differs from finite differences."""


def _outputs(function: Callable[..., Any], inputs: Sequence[Any]) -> list[Tensor]:
    result = function(*inputs)
    many = result if isinstance(result, (tuple, list)) else (result,)
    return [t for t in many if isinstance(t, Tensor) and t.is_floating_point()]


def _numerical(
    function: Callable[..., Any], inputs: Sequence[Any], at: int, eps: float
) -> list[np.ndarray]:
    """d outputs / d inputs[at], (input elements, output elements), by central differences."""
    base = np.array(inputs[at].detach().tolist(), np.float64).reshape(inputs[at].shape)
    flat = base.reshape(-1)
    rows: list[list[np.ndarray]] = []
    for i in range(flat.size):
        ends = []
        for step in (eps, -eps):
            moved = flat.copy()
            moved[i] += step
            given = list(inputs)
            given[at] = tensor(moved.reshape(base.shape), dtype=inputs[at].dtype)
            with no_grad():
                ends.append(
                    [
                        np.array(o.tolist(), np.float64).reshape(-1)
                        for o in _outputs(function, given)
                    ]
                )
        rows.append([(a - b) / (2 * eps) for a, b in zip(*ends)])
    count = len(_outputs(function, inputs))
    return [np.array([row[n] for row in rows]) for n in range(count)]


def _analytical(
    out: Tensor, inputs: Sequence[Tensor], allow_unused: bool = True
) -> list[np.ndarray]:
    flat = out.reshape(-1)
    columns: list[list[np.ndarray]] = [[] for _ in inputs]
    for element in flat.unbind(0):
        got = grad(element, inputs, retain_graph=True, allow_unused=True)
        for column, g, i in zip(columns, got, inputs):
            column.append(
                np.zeros(i.numel()) if g is None else np.array(g.tolist(), np.float64).reshape(-1)
            )
    return [np.array(c).T if c else np.zeros((i.numel(), 0)) for c, i in zip(columns, inputs)]


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of `func` agree with finite differences."""
    given = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    places = [i for i, t in enumerate(given) if isinstance(t, Tensor) and t.requires_grad]
    if not places:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the "
            "them have requires_grad=True."
        )
    outs = _outputs(func, given)
    numerical = {at: _numerical(func, given, at, eps) for at in places}
    for number, out in enumerate(outs):
        leaves = [given[at] for at in places]
        analytical = (
            _analytical(out, leaves)
            if out.requires_grad
            else [np.zeros((leaf.numel(), out.numel())) for leaf in leaves]
        )
        for at, found in zip(places, analytical):
            wanted = numerical[at][number].reshape(found.shape)
            if not np.allclose(found, wanted, rtol, atol, equal_nan=True):
                if raise_exception:
                    raise GradcheckError(
                        f"Jacobian mismatch for output {number} with respect to input {at},\n"
                        f"numerical:{wanted}\nanalytical:{found}\n"
                    )
                return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    **options: Any,
) -> bool:
    """gradcheck of the gradients themselves."""
    given = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    outs = _outputs(func, given)
    if grad_outputs is None:
        seeds = [randn_like(o.detach()).requires_grad_() for o in outs]
    else:
        seeds = list(grad_outputs) if isinstance(grad_outputs, (tuple, list)) else [grad_outputs]
    count = len(seeds)

    def first(*args: Any) -> tuple[Any, ...]:
        ins, given_seeds = args[:-count], args[-count:]
        ins = tuple(
            t.detach().requires_grad_()
            if isinstance(t, Tensor)
            and not t.requires_grad
            and t.is_floating_point()
            and original.requires_grad
            else t
            for t, original in zip(ins, given)
        )
        from lazygrad.autograd.modes import enable_grad

        with enable_grad():
            made = _outputs(func, ins)
            wanted = [t for t in ins if isinstance(t, Tensor) and t.requires_grad]
            got = grad(made, wanted, given_seeds, create_graph=True, allow_unused=True)
        return tuple(g for g in got if g is not None)

    return gradcheck(
        first, (*given, *seeds), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception
    )
