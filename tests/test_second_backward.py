"""A second backward without `retain_graph`: refused exactly where PyTorch has freed what it reads.

Each sample call, as a function and in place, runs with every set of operands that want gradients;
backward is asked for twice. `python tests/test_second_backward` records what PyTorch does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sweeps import Record, copies, differences, recorded, sweep, wanting, write

import lazygrad as lg
from lazygrad.config import config
from lazygrad.testing.coverage import Library, pytorch, quiet
from lazygrad.testing.samples import Call

GOLDEN = Path(__file__).parent / "golden" / "second_backward.txt"


def outcome(lib: Library, form: Any, call: Call, wants: tuple[str, ...]) -> str:
    """`!` refused the second time, `.` not, `x` fails otherwise, `-` no such gradient."""
    try:
        args, kwargs = eval(call.code, copies(lib, call, wants))
        results = [t for t in lib.tensors(form(*args, **kwargs)) if t.requires_grad]
        total = sum((t.double().sum() for t in results), lib.module.zeros(()))
        total.backward()
    except Exception:  # a bad call, or one without a gradient
        return "-"
    try:
        total.backward()
    except Exception as error:
        return "!" if "a second time" in str(error) else "x"
    return "."


def outcomes(lib: Library) -> Record:
    def letters(form: Any, call: Call, inplace: bool) -> str:
        return "".join(outcome(lib, form, call, wants) for wants in wanting(lib, call))

    with quiet(lib.module):
        return sweep(lib, letters)


@pytest.mark.filterwarnings("ignore")
def test_a_second_backward_is_refused_as_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "backend", "interp")  # values do not matter
    ours = outcomes(Library(lg))
    assert len(ours) > 1500
    assert differences(ours, recorded(GOLDEN)) == {}


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
def test_the_record_is_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    assert outcomes(Library(torch)) == recorded(GOLDEN)


if __name__ == "__main__":
    write(GOLDEN, outcomes(Library(pytorch())))
