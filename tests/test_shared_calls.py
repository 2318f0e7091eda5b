"""Every sample call on memory that numpy shares: its result is of the values that were there.

Each call runs twice, on tensors of their own and on tensors that arrays share; after the second
call the arrays are written. What came out is the same, but for views, which see the writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sweeps import copies, floats, named

import lazygrad as lg
from lazygrad.config import config
from lazygrad.tensor import storage
from lazygrad.testing.coverage import Library, _function, _inplace, _method, quiet
from lazygrad.testing.samples import SAMPLES, Call, Sample

OURS = Library(lg)


def outcome(form: Any, call: Call, gradient: bool, shared: list[str]) -> Any:
    """What the call gives, None for a view of what was given; an error's text."""
    wants = tuple(floats(OURS, call)) if gradient else ()
    given = copies(OURS, call, wants)
    lg.manual_seed(0)
    try:
        given |= {n: given[n] * 1 for n in wants}
        handed = [given[name].detach().numpy() for name in shared]
        args, kwargs = eval(call.code, given)
        results = OURS.tensors(form(*args, **kwargs))
        for array in handed:
            array[...] = 0  # for indices too there is such an element
        return [
            None if any(np.shares_memory(values(t), a) for a in handed) else values(t).copy()
            for t in results
        ]
    except Exception as error:
        return str(error)


def values(t: lg.Tensor) -> np.ndarray:
    t = t.detach()
    return (t.float() if t.dtype is lg.bfloat16 else t).numpy()


def cases(sample: Sample) -> Iterator[tuple[Any, Call]]:
    plain = _function(OURS, sample) or _method(OURS, sample)
    for form in (plain, _inplace(OURS, sample)):
        for call in sample.calls if form is not None else ():
            if "float64" in call.dtypes:
                yield form, call


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.label)
def test_a_result_is_of_the_values_that_were_there(
    sample: Sample, gradient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "backend", "interp")
    with quiet(lg):
        for form, call in cases(sample):
            want = outcome(form, call, gradient, [])
            if not isinstance(want, list):
                continue
            for name in named(OURS, call):  # alone: what is read of one settles others too
                got = outcome(form, call, gradient, [name])
                assert isinstance(got, list), (call.text, name, got)
                for a, b in zip(want, got, strict=True):
                    if a is not None and b is not None:
                        text = f"{call.text} with {name} shared"
                        np.testing.assert_allclose(b, a, rtol=1e-12, err_msg=text)


def test_a_view_sees_what_was_written_after_it_was_computed() -> None:
    x = lg.zeros((2, 1), dtype=lg.int64)
    array, row = x.numpy(), x.view((1, 2))
    row.minimum(row)
    array += 3
    assert row.tolist() == [[3, 3]] and (row + 1).tolist() == [[4, 4]]


def test_what_is_read_is_read_no_more_after_the_statement() -> None:
    x = lg.ones(2, 3)
    array, turned = x.numpy(), x.t()
    kept = [turned * 2, x[[0, 1]], turned.exp()]
    later = lg.ones(3) + 1
    assert not storage.reads and later._storage.node.buffer is None
    assert array.any() and kept


@pytest.mark.filterwarnings("ignore")
def test_most_sample_calls_give_something_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are refused, on purpose or for this dtype, and say nothing here."""
    monkeypatch.setattr(config, "backend", "interp")
    with quiet(lg):
        given = [outcome(form, call, False, []) for s in SAMPLES for form, call in cases(s)]
    assert sum(isinstance(one, list) for one in given) > 0.9 * len(given) > 1000
