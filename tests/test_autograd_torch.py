"""What autograd does in small programs, beside PyTorch and beside fixed expectations."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autograd_cases import CASES, tried, vec

import lazygrad as lg


def shown(value: Any) -> Any:
    """Values, shapes and flags, for comparison."""
    if isinstance(value, (list, tuple)):
        return [shown(v) for v in value]
    if isinstance(value, float):
        return np.array(value)
    if hasattr(value, "tolist"):
        return [tuple(value.shape), value.requires_grad, np.array(value.tolist())]
    return value


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return bool(np.allclose(a, b, rtol=1e-10, atol=1e-12))
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.torch
@pytest.mark.parametrize("name", CASES)
def test_as_torch(name: str) -> None:
    torch: Any = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = shown(CASES[name](lg)), shown(CASES[name](torch))
    assert same(ours, theirs), f"{ours}\n{theirs}"


# -- autograd.functional ------------------------------------------------------------------------

FUNCTIONAL: dict[str, Callable[..., Any]] = {
    "jacobian": lambda T, F, f, g, s, s2, x, y, v, w: F.jacobian(f, x),
    "jacobian of two": lambda T, F, f, g, s, s2, x, y, v, w: F.jacobian(g, (x, y)),
    "jacobian recorded": lambda T, F, f, g, s, s2, x, y, v, w: F.jacobian(f, x, create_graph=True),
    "vectorized": lambda T, F, f, g, s, s2, x, y, v, w: F.jacobian(g, (x, y), vectorize=True),
    "forward": lambda T, F, f, g, s, s2, x, y, v, w: F.jacobian(
        f, x, vectorize=True, strategy="forward-mode"
    ),
    "forward refused": lambda T, F, f, g, s, s2, x, y, v, w: F.jacobian(
        f, x, strategy="forward-mode"
    ),
    "independent": lambda T, F, f, g, s, s2, x, y, v, w: F.jacobian(lambda x, y: x * 2, (x, y)),
    "strict": lambda T, F, f, g, s, s2, x, y, v, w: F.jacobian(
        lambda x, y: x * 2, (x, y), strict=True
    ),
    "constant": lambda T, F, f, g, s, s2, x, y, v, w: F.jacobian(lambda x: w, x),
    "strict constant": lambda T, F, f, g, s, s2, x, y, v, w: F.jacobian(
        lambda x: w, x, strict=True
    ),
    "no tensor out": lambda T, F, f, g, s, s2, x, y, v, w: F.jacobian(lambda x: 3, x),
    "no tensor in": lambda T, F, f, g, s, s2, x, y, v, w: F.jacobian(f, 3.0),
    "hessian": lambda T, F, f, g, s, s2, x, y, v, w: F.hessian(s, x),
    "hessian of two": lambda T, F, f, g, s, s2, x, y, v, w: F.hessian(s2, (x, y)),
    "hessian recorded": lambda T, F, f, g, s, s2, x, y, v, w: F.hessian(s, x, create_graph=True),
    "hessian of more": lambda T, F, f, g, s, s2, x, y, v, w: F.hessian(f, x),
    "hessian of lines": lambda T, F, f, g, s, s2, x, y, v, w: F.hessian(lambda x: x.sum(), x),
    "hessian strict": lambda T, F, f, g, s, s2, x, y, v, w: F.hessian(
        lambda x: x.sum(), x, strict=True
    ),
    "vjp": lambda T, F, f, g, s, s2, x, y, v, w: F.vjp(f, x, v),
    "vjp of two": lambda T, F, f, g, s, s2, x, y, v, w: F.vjp(g, (x, y), (w, v)),
    "vjp of one": lambda T, F, f, g, s, s2, x, y, v, w: F.vjp(s, x),
    "vjp without v": lambda T, F, f, g, s, s2, x, y, v, w: F.vjp(f, x),
    "vjp with another v": lambda T, F, f, g, s, s2, x, y, v, w: F.vjp(f, x, w),
    "vjp recorded": lambda T, F, f, g, s, s2, x, y, v, w: F.vjp(f, x, v, create_graph=True),
    "vjp strict": lambda T, F, f, g, s, s2, x, y, v, w: F.vjp(
        lambda x, y: x.sum(), (x, y), strict=True
    ),
    "jvp": lambda T, F, f, g, s, s2, x, y, v, w: F.jvp(f, x, v),
    "jvp of two": lambda T, F, f, g, s, s2, x, y, v, w: F.jvp(g, (x, y), (v, w)),
    "jvp without v": lambda T, F, f, g, s, s2, x, y, v, w: F.jvp(f, x),
    "jvp with another v": lambda T, F, f, g, s, s2, x, y, v, w: F.jvp(f, x, w),
    "jvp recorded": lambda T, F, f, g, s, s2, x, y, v, w: F.jvp(f, x, v, create_graph=True),
    "jvp constant": lambda T, F, f, g, s, s2, x, y, v, w: F.jvp(lambda x: w, x, v),
    "jvp strict": lambda T, F, f, g, s, s2, x, y, v, w: F.jvp(lambda x: w, x, v, strict=True),
    "vhp": lambda T, F, f, g, s, s2, x, y, v, w: F.vhp(s, x, v),
    "vhp of two": lambda T, F, f, g, s, s2, x, y, v, w: F.vhp(s2, (x, y), (v, w)),
    "vhp without v": lambda T, F, f, g, s, s2, x, y, v, w: F.vhp(s, x),
    "vhp of more": lambda T, F, f, g, s, s2, x, y, v, w: F.vhp(f, x, v),
    "vhp strict": lambda T, F, f, g, s, s2, x, y, v, w: F.vhp(lambda x: x.sum(), x, v, strict=True),
    "hvp": lambda T, F, f, g, s, s2, x, y, v, w: F.hvp(s, x, v),
    "hvp of two": lambda T, F, f, g, s, s2, x, y, v, w: F.hvp(s2, (x, y), (v, w)),
    "hvp of lines": lambda T, F, f, g, s, s2, x, y, v, w: F.hvp(lambda x: x.sum(), x, v),
}


def functional(T: Any, name: str) -> Any:
    given = [vec(T, *values, grad=False) for values in ((1, 2, 3), (0.5, 0.25))]
    vectors = [vec(T, *values, grad=False) for values in ((1, -1, 2), (3, 1))]

    def f(x: Any) -> Any:
        return x.pow(2) * x.sum()

    def g(x: Any, y: Any) -> Any:
        return x.sum() * y, x.pow(3)

    def s(x: Any) -> Any:
        return x.pow(3).sum()

    def s2(x: Any, y: Any) -> Any:
        return (x.pow(3).sum() * y.sin()).sum()

    return tried(lambda: FUNCTIONAL[name](T, T.autograd.functional, f, g, s, s2, *given, *vectors))


@pytest.mark.torch
@pytest.mark.parametrize("name", FUNCTIONAL)
def test_functional_as_torch(name: str) -> None:
    torch: Any = pytest.importorskip("torch")
    assert same(shown(functional(lg, name)), shown(functional(torch, name)))


def test_functional() -> None:
    x = lg.tensor([1.0, 2.0, 3.0], dtype=lg.float64)
    functions = lg.autograd.functional
    assert functions.jacobian(lambda x: x * x, x).tolist() == np.diag([2.0, 4, 6]).tolist()
    assert (
        functions.hessian(lambda x: x.pow(3).sum(), x).tolist() == np.diag([6.0, 12, 18]).tolist()
    )
    assert functions.jvp(lambda x: x * x, x, x)[1].tolist() == [2, 8, 18]
    assert functions.vhp(lambda x: x.pow(3).sum(), x, x)[1].tolist() == [6, 24, 54]


# -- without an oracle --------------------------------------------------------------------------


def test_batches_of_gradients() -> None:
    x = vec(lg, 1, 2)
    (rows,) = lg.autograd.grad(x * x, x, lg.eye(2, dtype=lg.float64), is_grads_batched=True)
    assert rows.tolist() == [[2, 0], [0, 4]]
    with pytest.raises(RuntimeError, match="first dimension of each grad_output as the batch"):
        lg.autograd.grad(x * x, x, lg.ones(2), is_grads_batched=True)


def test_inference_tensors() -> None:
    x = vec(lg, 1, 2)
    with lg.inference_mode():
        d = lg.ones(2, dtype=lg.float64) * 2
        d.add_(1)
        assert d.is_inference() and d[0].is_inference() and not x[0].is_inference()
    assert d.detach().is_inference() and not (d + 1).is_inference()
    assert (x + d).requires_grad and (d * 2).tolist() == [6, 6]
    for use, words in (
        (lambda: x * d, "cannot be saved for backward"),
        (lambda: d.add_(1), "outside InferenceMode"),
        (lambda: d[:1].zero_(), "outside InferenceMode"),
        (lambda: d.requires_grad_(), "outside InferenceMode"),
        (lambda: d._version, "do not track version counter"),
    ):
        with pytest.raises(RuntimeError, match=words):
            use()
    assert d.clone().requires_grad_().requires_grad


def test_anomaly_mode_names_the_line_of_the_forward_op_of_a_nan() -> None:
    x = vec(lg, 0.0)
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"):
        mode = lg.autograd.detect_anomaly()
    with mode, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        y = x.sqrt() * 0  # this line
        with pytest.raises(RuntimeError, match="'SqrtBackward0' returned nan values in its 0th"):
            y.sum().backward()
    lines = Path(__file__).read_text().split("\n")
    number = 1 + next(i for i, line in enumerate(lines) if line.endswith("# this line"))
    assert f'test_autograd_torch.py", line {number}' in str(seen[-1].message)
    assert "SqrtBackward0" in str(seen[-1].message)
