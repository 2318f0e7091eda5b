"""How results lie in memory: `view`, `is_contiguous` and whoever shares it see the strides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.runtime import compiler
from lazygrad.runtime.stats import stats
from lazygrad.testing.coverage import Library, _function, _method, quiet
from lazygrad.testing.samples import SAMPLES

F = lg.nn.functional


def turned(*shape: int) -> lg.Tensor:
    """A tensor whose axes lie in memory the other way round."""
    return lg.randn(*shape[::-1]).permute(*range(len(shape))[::-1])


@pytest.mark.parametrize(
    "result",
    [
        lambda: F.conv2d(lg.randn(2, 4, 5, 5), lg.randn(4, 1, 3, 3), groups=4),
        lambda: F.conv1d(lg.randn(2, 4, 8), lg.randn(6, 2, 3), lg.randn(6), groups=2),
        lambda: F.batch_norm(turned(2, 3, 4, 4), lg.zeros(3), lg.ones(3)),
        lambda: F.batch_norm(turned(2, 3, 4, 4), None, None, training=True),
        lambda: F.layer_norm(turned(3, 4), (4,)),
        lambda: F.group_norm(turned(3, 4), 2, lg.ones(4)),
        lambda: F.rms_norm(turned(3, 4), (4,)),
        lambda: F.embedding(turned(2, 4).long() * 0, lg.randn(3, 5), padding_idx=1),
        lambda: F.one_hot(turned(2, 4).long() * 0, 3),
        lambda: F.nll_loss(turned(2, 3, 4), lg.zeros(2, 4).long(), reduction="none"),
        lambda: lg.index_add(turned(3, 4), 0, lg.tensor([0]), lg.ones(1, 4)),
        lambda: lg.baddbmm(turned(2, 3, 3), lg.randn(2, 3, 4), lg.randn(2, 4, 3)),
    ],
)
def test_what_kernels_of_pytorch_make_is_row_major(result: Any) -> None:
    made = result()
    assert made.is_contiguous() and made.view(-1).tolist() == made.flatten().tolist()
    assert not made._is_view()


@pytest.mark.parametrize("name", ["sort", "argsort", "frac", "signbit", "nan_to_num", "logit"])
def test_elementwise_results_lie_as_their_operand(name: str) -> None:
    made = getattr(lg, name)(turned(3, 4))
    for t in [made] if isinstance(made, lg.Tensor) else made:
        assert t.stride() == (1, 3)


ARRAY = np.arange(24.0).reshape(2, 3, 4)
COPIES = [
    (ARRAY.T, (1, 4, 12)),
    (ARRAY.transpose(2, 0, 1), (1, 12, 4)),
    (ARRAY[:, ::2], (8, 4, 1)),
    (ARRAY[:, :, ::2].transpose(1, 0, 2), (2, 6, 1)),
    (np.broadcast_to(ARRAY, (2, 2, 3, 4)), (24, 12, 4, 1)),
    (ARRAY[:, :1].T, (1, 4, 4)),
    (np.zeros((0, 3)), (0, 0)),
    (ARRAY[:, :0].T, (1, 4, 12)),
]


@pytest.mark.parametrize(("array", "strides"), COPIES)
@pytest.mark.parametrize("make", [lg.tensor, lg.Tensor, lg.ones(1).new_tensor])
def test_a_copy_of_an_array_lies_as_the_array(make: Any, array: Any, strides: Any) -> None:
    made = make(array)
    assert made.stride() == strides and not made._is_view() and made.is_leaf
    assert made.tolist() == array.tolist()


@pytest.mark.parametrize("make", [lg.tensor, lg.as_tensor, lg.from_numpy])
@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (ARRAY[::-1], ValueError, "At least one stride in the given numpy array is negative"),
        (ARRAY.astype(">f8"), ValueError, "byte order different from the native byte order"),
        (np.zeros(3, "i4,i1")["f0"], ValueError, "not a multiple of the element byte size"),
        (np.array(["a"]), TypeError, "can't convert np.ndarray of type numpy.str_"),
    ],
)
def test_arrays_that_no_tensor_can_be_on(make: Any, array: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        make(array)


@pytest.mark.parametrize("name", ["rand_like", "randn_like", "full_like", "randint_like"])
def test_new_tensors_lie_as_the_one_they_are_like(name: str) -> None:
    made = getattr(lg, name)(turned(3, 4), *([2] if "r" in name[:1] and "int" in name else []),
                             **({"fill_value": 1} if name == "full_like" else {}))  # fmt: skip
    assert made.stride() == (1, 3)


def test_matrices_of_lapack_lie_column_by_column() -> None:
    a = lg.eye(3, dtype=lg.float64) * 2 + 0.1
    assert lg.linalg.inv(a).stride() == (1, 3)
    assert lg.linalg.qr(lg.randn(4, 3)).Q.stride() == (1, 4)
    assert lg.linalg.inv(lg.stack([a, a])).stride() == (9, 1, 3)
    np.testing.assert_allclose((lg.linalg.inv(a) @ a).numpy(), np.eye(3), atol=1e-14)


def strides(lib: Library, found: Any, call: Any, dtype: str, transposed: bool) -> list[Any] | None:
    given = dict(lib.given[dtype])
    for name, value in given.items():
        if transposed and lib.is_tensor(value) and value.ndim > 1:
            order = tuple(range(value.ndim))[::-1]
            given[name] = value.permute(order).contiguous().permute(order)
    try:
        args, kwargs = eval(call.code, given)
        results = lib.tensors(found(*args, **kwargs))
    except Exception:
        return None
    return [
        tuple(s for s, e in zip(t.stride(), t.shape) if e > 1) if t.numel() else () for t in results
    ]


# results of a transposed input, or made by a decomposition
OTHER_STRIDES = {
    "F.binary_cross_entropy", "matrix_power", "linalg.matrix_power", "linalg.pinv", "pinverse",
    "linalg.lstsq", "addr", "renorm", "conj_physical", "float_power", "unique_consecutive",
    "F.pixel_unshuffle",
}  # fmt: skip


@pytest.mark.torch
def test_strides_are_pytorchs() -> None:  # but for OTHER_STRIDES: docs/guide.md
    torch = pytest.importorskip("torch")
    wrong, count = set(), 0
    with quiet(lg):
        ours, theirs = Library(lg), Library(torch)
        for sample in SAMPLES:
            if sample.place in ("operator", "index") or sample.name.endswith("_"):
                continue
            for find, calls in ((_function, sample.calls), (_method, sample.method_calls)):
                forms = find(ours, sample), find(theirs, sample)
                if None in forms:
                    continue
                for call in (c for c in calls if "float32" in c.dtypes):
                    for transposed in (False, True):
                        a = strides(ours, forms[0], call, "float32", transposed)
                        b = strides(theirs, forms[1], call, "float32", transposed)
                        count += 1
                        if a is not None and b is not None and a != b:
                            wrong.add(sample.label)
    assert wrong <= OTHER_STRIDES
    assert count > 1000


def test_an_axis_of_one_element_keeps_the_step_of_what_it_is_cut_from() -> None:
    """Random program 31125 of seed 7: a view in place of its own memory is no partial overlap."""
    column = lg.arange(4.0).reshape(2, 2)[0:1, 1]
    view = column.reshape((1,))
    assert column.stride() == view.stride() == (2,) and column.view(1, 1).stride() == (2, 2)
    assert view.sub_(column).tolist() == [0.0]


def test_a_view_of_what_is_computed_is_not_copied_to_be_there() -> None:
    x = (lg.arange(6.0).reshape(2, 3) + 1).realize()
    before = stats.kernels
    for view in (x.T, x[1:], x.T + 0):
        view.realize()
    assert stats.kernels - before == 1  # the sum


@pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler")
@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: a.T + b,
        lambda a, b: (lg.tanh(a.T * b) + 1) * a.T,
        lambda a, b: lg.exp(a.reshape(4, 5, 6).permute(2, 0, 1)),
        lambda a, b: lg.exp(a).flip(0, 1),
    ],
)
def test_what_is_moved_after_it_is_computed_is_computed_where_it_goes(function: Any) -> None:
    """One kernel, no copy, for numpy and for a recorded function."""
    a, b = lg.rand(12, 10).realize(), lg.rand(10, 12).realize()
    before = stats.kernels
    plain = function(a, b).numpy()
    assert stats.kernels - before == 1
    recorded = lg.jit(function)
    recorded(a, b)
    before = stats.kernels
    again = recorded(a, b)
    assert stats.kernels - before == 1
    assert again.numpy().strides == plain.strides and (again.numpy() == plain).all()
