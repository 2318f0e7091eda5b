"""Indexing and assignment against numpy, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import indexing_cases
import numpy as np
import pytest

import lazygrad as lg

_A = np.arange(24.0).reshape(2, 3, 4)

KEYS: list[Any] = [
    0,
    -1,
    slice(1, None),
    slice(None, None, 2),
    (0, 1),
    (0, 1, 2),
    (slice(None), 1),
    (Ellipsis, 0),
    (0, Ellipsis, 1),
    None,
    (None, 0),
    (slice(None), None, 1),
    (Ellipsis,),
    (slice(0, 0),),
    (slice(-2, 5), slice(1, 3)),
    [0, 1],
    ([0, 1], [1, 2]),
    (slice(None), [0, 2]),
    ([0, 1], slice(None), [1, 3]),
    (slice(None), [0, 1], [1, 3]),
    (0, [0, 2]),
    ([1], 0),
    (Ellipsis, [0, 3, 3]),
    np.array([[0, 1], [1, 0]]),
    (slice(None), np.array([[0], [2]])),
    np.array([True, False]),
    (slice(None), np.array([True, False, True])),
    _A > 5,
    _A[0] > 3,
    (np.array([True, True]), [0, 1]),
    (slice(None), [2, 0], None),
    True,
    False,
    (None, [1, 0]),
    (slice(None), slice(None, None, 2), [0, -1]),
    np.int64(1),
]


def _key(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(map(_key, key))
    return lg.tensor(key) if isinstance(key, (list, np.ndarray)) else key


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_reading_agrees_with_numpy(key: Any) -> None:
    if isinstance(key, np.ndarray) and key.shape == (3, 4):
        with pytest.raises(IndexError, match="does not match the shape"):
            lg.tensor(_A)[_key(key)]
        return
    expected = _A[key]
    got = lg.tensor(_A)[_key(key)]
    assert got.shape == expected.shape and np.array_equal(
        np.array(got.tolist()).reshape(expected.shape), expected
    )


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_writing_agrees_with_numpy(key: Any) -> None:
    if isinstance(key, np.ndarray) and key.shape == (3, 4):
        return
    a, t = _A.copy(), lg.tensor(_A)
    a[key] = -1.0
    t[_key(key)] = -1.0
    assert np.array_equal(t.numpy(), a)
    values = np.arange(float(a[key].size)).reshape(a[key].shape)
    if len(np.unique(np.arange(24).reshape(a.shape)[key])) == values.size:
        a[key] = values
        t[_key(key)] = lg.tensor(values)
        assert np.array_equal(t.numpy(), a)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_gradient_goes_to_what_was_read(key: Any) -> None:
    if isinstance(key, np.ndarray) and key.shape == (3, 4):
        return
    t = lg.tensor(_A, requires_grad=True)
    part = t[_key(key)]
    part.sum().backward()
    expected = np.zeros_like(_A).reshape(-1)
    np.add.at(expected, np.arange(24).reshape(_A.shape)[key].reshape(-1), 1)
    assert t.grad is not None and np.array_equal(t.grad.numpy().reshape(-1), expected)


def test_basic_indexing_is_a_view_and_advanced_a_copy() -> None:
    t = lg.zeros(3, 4)
    t[1][2] = 5
    t[:, ::2][0] = 1
    t[[0, 2]][0] = 9
    assert t.tolist() == [[1, 0, 1, 0], [0, 0, 5, 0], [0, 0, 0, 0]]


def test_accumulating_put() -> None:
    t = lg.zeros(3)
    t.index_put_((lg.tensor([0, 0, 2]),), lg.tensor([1.0, 2.0, 3.0]), accumulate=True)
    assert t.tolist() == [3, 0, 3]


def test_assignment_through_a_mask_of_the_tensor_itself() -> None:
    t = lg.tensor([-1.0, 2.0, -3.0])
    t[t < 0] = 0
    t[t > 1] += 10
    assert t.tolist() == [0, 12, 0]


@pytest.mark.parametrize(
    ("key", "kind", "words"),
    [
        (3, IndexError, "index 3 is out of bounds for dimension 0 with size 3"),
        ((0, 4), IndexError, "index 4 is out of bounds for dimension 1 with size 4"),
        ((0, 0, 0), IndexError, "too many indices for tensor of dimension 2"),
        (0.5, IndexError, "only integers, slices"),
        ("a", TypeError, "invalid data type 'str'"),
        (slice(None, None, -1), ValueError, "step must be greater than zero"),
        ([5], IndexError, "index 5 is out of bounds for dimension 0 with size 3"),
        ([0.5], IndexError, "must be long, int, byte or bool"),
        (([0, 1], [0, 1, 2]), IndexError, "could not be broadcast together"),
    ],
)
def test_bad_indices_are_refused(key: Any, kind: type[Exception], words: str) -> None:
    t = lg.zeros(3, 4)
    with pytest.raises(kind, match=words):
        t[_key(key)]
    with pytest.raises(kind, match=words):
        t[_key(key)] = 1.0
    assert t.tolist() == [[0.0] * 4] * 3


def test_values_that_do_not_fit_are_refused() -> None:
    t = lg.zeros(3, 4)
    with pytest.raises(RuntimeError, match="expanded size of the tensor"):
        t[0] = lg.zeros(3)
    with pytest.raises(RuntimeError, match="cannot be broadcast to indexing result"):
        t[lg.tensor([0, 1])] = lg.zeros(3)
    with pytest.raises(TypeError, match="can't assign a str"):
        t[0] = "a"


def test_one_index_of_a_computed_row_of_one() -> None:
    """Vector lanes past the end of a row are not taken for indices."""
    x = (lg.arange(12.0).reshape(2, 1, 6) + 1).square()
    assert x.index_select(1, lg.tensor([0])).tolist() == x.tolist()


def test_a_write_that_is_refused_for_two_reasons_says_pytorchs_first() -> None:
    part = (lg.ones(1, 3, 2, requires_grad=True) * 1).chunk(2, 0)[-1].squeeze()
    with pytest.raises(RuntimeError, match="function that returns multiple views"):
        part[..., [True, True, False]] = 2
    with pytest.raises(IndexError, match="The shape of the mask"):
        part.detach()[..., [True, True, False]] = 2


EXPRESSIONS = json.loads(indexing_cases.FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", EXPRESSIONS, ids=[case[0] for case in EXPRESSIONS])
def test_expression_is_pytorchs(case: list[Any]) -> None:
    """Reading, writing and the gradient; or the type of the exception."""
    assert indexing_cases.outcome(lg, case[0]) == case


def test_the_file_has_what_pytorch_gives() -> None:
    torch = pytest.importorskip("torch")
    assert [case[0] for case in EXPRESSIONS] == indexing_cases.expressions()
    for case in EXPRESSIONS:
        assert indexing_cases.outcome(torch, case[0]) == case


@pytest.mark.parametrize("index", [(None, 0, [-1]), (0, [0]), (None, [0])])
def test_an_assignment_to_a_view_of_a_leaf_says_so(index: tuple[Any, ...]) -> None:
    x = lg.ones(1, 1, 1, requires_grad=True)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable"):
        x[index] = 3


@pytest.mark.parametrize(
    "name", ["uint8", "int16", "float16", "int32", "float32", "int64", "float64"]
)
def test_whole_vectors_of_indices_are_checked_and_read_as_single_ones(name: str) -> None:
    rng = np.random.default_rng(3)
    table = rng.integers(0, 100, (300, 5))
    x = lg.tensor(table).to(getattr(lg, name))
    at = rng.integers(-300, 300, 67)
    for rows in (x[:, 2], x.t()[1]):
        got = rows[lg.tensor(at) + 0]  # pending: the kernel checks it
        assert got.tolist() == rows.numpy()[at].tolist()
    for place in (0, 20, 66):
        wrong = at.copy()
        wrong[place] = 300
        with pytest.raises(IndexError, match="index 300 is out of bounds"):
            x[:, 2][lg.tensor(wrong) + 0].tolist()
