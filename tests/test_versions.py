"""What was saved for the gradient and is written before it: refused exactly where PyTorch refuses.

Each sample call runs with every set of operands that want gradients; then one operand, or the
result, is written in place (its version changes, its values do not), and backward is asked for.
`python tests/test_versions.py` records what PyTorch does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lazygrad as lg
from lazygrad.autograd.composite import composite
from lazygrad.config import config
from lazygrad.testing.coverage import Library, _function, pytorch, quiet
from lazygrad.testing.samples import SAMPLES, Call

GOLDEN = Path(__file__).parent / "golden" / "versions.txt"
RESULT = "result"
DTYPE = "float64"


def settings(lib: Library, call: Call) -> Iterator[tuple[tuple[str, ...], str]]:
    """(who wants gradients, who is written), for the floating operands of a call."""
    names = sorted(
        n for n in call.code.co_names
        if lib.is_tensor(lib.given[DTYPE].get(n)) and lib.given[DTYPE][n].is_floating_point()
    )  # fmt: skip
    wanting = [(n,) for n in names] + ([tuple(names)] if len(names) > 1 else [])
    for wants in wanting:
        for written in (*names, RESULT):
            yield wants, written


def outcome(lib: Library, found: Any, call: Call, wants: tuple[str, ...], written: str) -> str:
    """`!` refused in backward, `.` not, `-` no such gradient."""
    given = dict(lib.given[DTYPE])
    for name in call.code.co_names:
        value = given.get(name)
        if lib.is_tensor(value) and value.is_floating_point():
            given[name] = value.detach().clone().requires_grad_(name in wants) * 1
    try:
        args, kwargs = eval(call.code, given)
        results = [t for t in lib.tensors(found(*args, **kwargs)) if t.requires_grad]
        for t in results if written == RESULT else [given[written]]:
            with lib.module.no_grad():
                t.mul_(1)
        total = sum((t.double().sum() for t in results), lib.module.zeros(()))
    except Exception:  # a bad call, or one whose operand may not be written at all
        return "-"
    if not total.requires_grad:
        return "-"
    try:
        total.backward()
    except RuntimeError as error:
        return "!" if "modified by an inplace operation" in str(error) else "-"
    return "."


def outcomes(lib: Library) -> dict[str, str]:
    found: dict[str, str] = {}
    for sample in SAMPLES:
        if sample.place in ("operator", "index") or sample.name.endswith("_"):
            continue
        if sample.name == "normal":  # its numbers have no gradient
            continue
        form = _function(lib, sample)
        if form is None:
            continue
        for call in sample.calls:
            if DTYPE in call.dtypes:
                pairs = list(settings(lib, call))
                text = "".join(outcome(lib, form, call, *pair) for pair in pairs)
                if text.strip("-"):
                    found[f"{sample.label}({call.text})"] = text
    return found


def differences(ours: dict[str, str], theirs: dict[str, str]) -> dict[str, tuple[str, str]]:
    """What is not refused by both or by neither, of what PyTorch can do."""
    differ = {}
    for call, text in theirs.items():
        mine = ours.get(call, "").ljust(len(text), "-")
        if any(a != b for a, b in zip(mine, text, strict=True) if b != "-"):
            differ[call] = (mine, text)
    return differ


def recorded() -> dict[str, str]:
    lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    return {call: text for call, _, text in (line.partition("\t") for line in lines)}


@pytest.mark.filterwarnings("ignore")
def test_writes_are_refused_as_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "backend", "interp")  # values do not matter
    with quiet(lg):
        ours = outcomes(Library(lg))
    assert len(ours) > 1500
    assert differences(ours, recorded()) == {}


def test_what_is_saved_has_the_name_of_a_parameter() -> None:
    with pytest.raises(TypeError, match="has no parameters weights"):
        composite("AnyBackward0", saves=("weights?x",))(lambda x, *weight: x)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
def test_the_record_is_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    assert outcomes(Library(torch)) == recorded()


if __name__ == "__main__":
    with quiet(lg):
        found = outcomes(Library(pytorch()))
    GOLDEN.write_text("".join(f"{call}\t{text}\n" for call, text in found.items()), "utf-8")
