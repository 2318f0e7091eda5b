"""`out=`: which dtypes it may have, that it takes the result's shape, what it must not share."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import out_cases
import pytest

import lazygrad as lg
from lazygrad.testing.coverage import Library, quiet

DEPARTURES = 0  # of more than 5,000 outcomes of calls with `out`: never to be more

X = [[1.0, -2.0], [3.0, 4.0]]
SAME = """
lg.mm(x, x) | lg.gather(x, 0, i) | lg.sort(x) | lg.topk(x, 1) | lg.amax(x, 0)
lg.argmax(x) | lg.all(x) | lg.softmax(x, 0) | lg.where(x > 0, x, x) | lg.tril(x)
lg.index_select(x, 0, i[0]) | lg.abs(x)
lg.floor(x) | lg.masked_select(x, x > 0) | lg.linalg.inv(x) | lg.linalg.norm(x) | lg.take(x, i)
lg.scatter(x, 0, i, x) | lg.clamp(x, 0, 1) | lg.isin(x, x) | lg.nonzero(x) | lg.signbit(x)
lg.kthvalue(x, 1) | lg.cummax(x, 0) | lg.cummin(x, 0)
"""
CAST = """
lg.add(x, x) | lg.exp(x) | lg.cat((x, x)) | lg.eq(x, x) | lg.std(x) | lg.kron(x, x)
"""


def calls(text: str) -> list[str]:
    parts = (part.strip() for part in text.replace("\n", "|").split("|"))
    return [part for part in parts if part]


def run(call: str, dtype: Any = None) -> tuple[Any, Any]:
    """The plain result, and what the same call puts into new `out` tensors."""
    names = {"lg": lg, "x": lg.tensor(X), "i": lg.tensor([[0, 1], [1, 0]])}
    plain = eval(call, names)
    parts = [plain] if isinstance(plain, lg.Tensor) else list(plain)
    outs = [lg.empty(0, dtype=dtype or part.dtype) for part in parts]
    out = outs[0] if isinstance(plain, lg.Tensor) else tuple(outs)
    eval(f"{call[:-1]}, out=out)", names | {"out": out})
    return parts, outs


@pytest.mark.parametrize("call", calls(SAME + CAST))
def test_out_gets_the_result(call: str) -> None:
    for part, out in zip(*run(call), strict=True):
        assert out.shape == part.shape and out.tolist() == part.tolist()


@pytest.mark.parametrize("call", calls(SAME))
def test_out_of_another_dtype_is_refused(call: str) -> None:
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype"):
        run(call, lg.float64)


@pytest.mark.parametrize("call", calls(CAST))
def test_out_takes_what_the_result_can_be_cast_to(call: str) -> None:
    (part,), (out,) = run(call, lg.float64)
    assert out.dtype is lg.float64 and out.tolist() == part.double().tolist()
    if call != "lg.eq(x, x)":
        with pytest.raises((RuntimeError, TypeError), match="can't be cast"):
            run(call, lg.int64)


def test_another_shape_warns_where_elements_are_lost() -> None:
    x = lg.tensor(X)
    with pytest.warns(UserWarning, match="was resized"):
        out = lg.zeros(3)
        lg.add(x, x, out=out)
    assert out.shape == (2, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lg.ones(2, 2, out=lg.zeros(3)).tolist() == [[1, 1], [1, 1]]
        assert lg.full((2,), 7, out=lg.empty(0, dtype=lg.int64)).tolist() == [7, 7]


def test_memory_that_is_still_read_is_refused() -> None:
    x = lg.arange(6.0)
    with pytest.raises(RuntimeError, match="refer to a single memory location"):
        lg.add(x[:4], 1, out=x[1:5])
    with pytest.raises(RuntimeError, match="refers to a single memory location"):
        lg.add(x, 1, out=lg.zeros(1).expand(6))
    assert lg.add(x, 1, out=x).tolist() == [1, 2, 3, 4, 5, 6]


def test_out_is_not_differentiated() -> None:
    x = lg.tensor(X, requires_grad=True)
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        lg.exp(x, out=lg.empty(0))
    with lg.no_grad():
        assert lg.exp(x, out=lg.empty(0)).requires_grad is False


@pytest.mark.parametrize("out", [3, "text", (lg.zeros(1),), [3]])
def test_out_that_is_no_tensor(out: Any) -> None:
    with pytest.raises(TypeError, match="argument 'out'"):
        lg.exp(lg.ones(1), out=out)


def recorded_letters() -> Any:
    with quiet(lg), np.errstate(all="ignore"):
        yield from out_cases.rows(Library(lg), out_cases.recorded())


def test_what_becomes_of_each_out_is_as_recorded() -> None:
    golden, count = out_cases.recorded(), 0
    for name, number, found in recorded_letters():
        theirs, ours = golden[name, number]
        now = out_cases.differences(theirs, found)
        worse = [(n, o) for n, o in zip(now, ours, strict=True) if n != "-" and n != o]
        assert not worse, f"{name}, call {number}: {now}, recorded {ours} beside {theirs}"
        count += len(theirs)
    assert count > 5000


def test_departures_from_pytorch_only_shrink() -> None:
    rows = out_cases.recorded().values()
    assert sum(len(ours) - ours.count("-") for _, ours in rows) <= DEPARTURES


@pytest.mark.torch
def test_the_golden_outcomes_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    golden = out_cases.recorded()
    with quiet(lg), np.errstate(all="ignore"):
        for name, number, found in out_cases.rows(Library(torch), golden):
            assert found == golden[name, number][0], (name, number)


@pytest.mark.parametrize("name", ["sum", "prod", "cumsum", "cumprod", "mean", "nansum"])
def test_sums_are_computed_in_the_dtype_of_out(name: str) -> None:
    x, function = lg.tensor([[1.7, 2.6], [3.5, 4.4]]), getattr(lg, name)
    out = lg.empty(0, dtype=lg.float64)
    assert function(x, 0, out=out).tolist() == function(x, 0, dtype=lg.float64).tolist()
    if name in ("sum", "prod"):
        whole = function(x, 0, out=lg.empty(0, dtype=lg.int64))
        assert whole.tolist() == function(x.long(), 0).tolist()


def test_sums_and_products_that_are_truth_values() -> None:
    x = lg.tensor([[1.0, 0.0], [2.0, 0.0]])
    assert lg.sum(x, 0, dtype=lg.bool).tolist() == [True, False]
    assert lg.prod(x, 1, dtype=lg.bool).tolist() == [False, False]
    assert lg.sum(x, 0, out=lg.empty(0, dtype=lg.bool)).tolist() == [True, False]


def test_out_takes_the_layout_of_the_result() -> None:
    x = lg.arange(12.0).view(3, 4).t()
    assert lg.exp(x, out=lg.empty(0)).stride() == (1, 4)
    assert lg.exp(x, out=lg.zeros(4, 3)).stride() == (3, 1)


def test_results_that_autograd_follows_into_out() -> None:
    x = lg.tensor(X, requires_grad=True)
    out = lg.empty(0)
    lg.inner(x, x, out=out)
    assert out.grad_fn.name() == "CopyBackwards"
    out.sum().backward()
    assert x.grad.tolist() == (2 * x.detach().sum(0)).expand(2, 2).tolist()
    lg.softmax(x, 0, out=(out := lg.empty(0)))
    with pytest.raises(RuntimeError, match="derivative for aten::softmax"):
        out.sum().backward()
    truth = lg.zeros(2, 2, requires_grad=True)
    assert lg.eq(x, 1, out=truth) is truth and truth.is_leaf and truth.sum().item() == 1


@pytest.mark.torch
def test_out_of_a_vector_and_a_matrix_is_one_row_as_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    for function in (lambda L: L.matmul, lambda L: L.nn.functional.linear):
        found = []
        for L in (lg, torch):
            memory, x = L.zeros(3, 2), L.ones(3)
            with pytest.warns(UserWarning, match="was resized"):
                out = function(L)(x, L.eye(3) * 2, out=memory[:, 0])
            found.append((memory.tolist(), tuple(out.shape), tuple(out.stride())))
        assert found[0] == found[1]


@pytest.mark.torch
@pytest.mark.parametrize("n", [0, 1, 2, -1])
def test_out_of_a_power_as_in_pytorch(n: int) -> None:
    torch = pytest.importorskip("torch")

    def outcome(L: Any, leaf: bool, dtype: str) -> Any:
        x = L.tensor(X, requires_grad=leaf)
        try:
            out = L.matrix_power(x, n, out=L.empty(0, dtype=getattr(L, dtype)))
        except RuntimeError:
            return [], "refused"
        return out.tolist(), out.grad_fn and out.grad_fn.name().rpartition("::")[2]

    for leaf in (False, True):
        for dtype in ("float32", "float64"):
            ours, theirs = outcome(lg, leaf, dtype), outcome(torch, leaf, dtype)
            assert ours[1] == theirs[1]
            np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
