"""What was saved for the gradient and is written before it: refused exactly where PyTorch refuses.

Each sample call, as a function and in place, runs with every set of operands that want gradients;
then one operand (indices and masks too), or the result, is written in place: its version changes,
its values do not. Then backward is asked for. `python tests/test_versions` records what PyTorch
does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sweeps import Record, copies, differences, floats, named, recorded, sweep, wanting, write

import lazygrad as lg
from lazygrad.autograd.composite import composite
from lazygrad.config import config
from lazygrad.testing.coverage import Library, pytorch, quiet
from lazygrad.testing.samples import Call

GOLDEN = Path(__file__).parent / "golden" / "versions.txt"
RESULT = "result"


def settings(lib: Library, call: Call, inplace: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    """(who wants gradients, who is written): all operands, those that are no floats last. In place
    all floats want gradients."""
    names = floats(lib, call)
    others = [n for n in named(lib, call) if n not in names]
    for wants in [*wanting(lib, call)][-1 if inplace else 0 :]:
        for written in (*names, RESULT, *others):
            yield wants, written


REFUSED: dict[str, set[str]] = {}  # why calls gave no gradient, to be shown beside a difference


def outcome(lib: Library, form: Any, call: Call, wants: tuple[str, ...], written: str) -> str:
    """`!` refused in backward, `.` not, `-` no such gradient."""
    given = copies(lib, call, wants)
    for name in floats(lib, call):
        given[name] = given[name] * 1
    try:
        args, kwargs = eval(call.code, given)
        results = [t for t in lib.tensors(form(*args, **kwargs)) if t.requires_grad]
        for t in results if written == RESULT else [given[written]]:
            with lib.module.no_grad():
                t.logical_not_().logical_not_() if t.dtype is lib.module.bool else t.mul_(1)
        total = sum((t.double().sum() for t in results), lib.module.zeros(()))
    except Exception as error:  # a bad call, or one whose operand may not be written at all
        REFUSED.setdefault(call.text, set()).add(repr(error))
        return "-"
    if not total.requires_grad:
        return "-"
    try:
        total.backward()
    except RuntimeError as error:
        if "modified by an inplace operation" in str(error):
            return "!"
        REFUSED.setdefault(call.text, set()).add(repr(error))
        return "-"
    return "."


def outcomes(lib: Library) -> Record:
    def letters(form: Any, call: Call, inplace: bool) -> str:
        return "".join(outcome(lib, form, call, *pair) for pair in settings(lib, call, inplace))

    with quiet(lib.module):
        return sweep(lib, letters)


@pytest.mark.filterwarnings("ignore")
def test_writes_are_refused_as_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "backend", "interp")  # values do not matter
    ours = outcomes(Library(lg))
    assert len(ours) > 2000
    found = differences(ours, recorded(GOLDEN))
    why = {text: REFUSED[text] for text in REFUSED if any(text in name for name in found)}
    assert found == {}, why


def test_what_is_saved_has_the_name_of_a_parameter() -> None:
    with pytest.raises(TypeError, match="has no parameters weights"):
        composite("AnyBackward0", saves=("weights?x",))(lambda x, *weight: x)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
def test_the_record_is_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    assert outcomes(Library(torch)) == recorded(GOLDEN)


if __name__ == "__main__":
    write(GOLDEN, outcomes(Library(pytorch())))
