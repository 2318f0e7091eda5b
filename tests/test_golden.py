"""Without PyTorch: values, gradients and refusals of every name are those PyTorch was seen to give.

The files are made by `python tests/outcomes.py` and `python tests/bad_input.py`.
"""

from __future__ import annotations

from pathlib import Path

import bad_input
import on_device
import outcomes
import pytest

import lazygrad as lg
from lazygrad.cli.coverage import recorded
from lazygrad.testing import coverage as C
from lazygrad.testing.samples import SAMPLES

DEPARTURES = 8  # bad calls that are refused otherwise than by PyTorch: never to be more


def test_every_sample_call_gives_what_pytorch_gave() -> None:
    golden = outcomes.recorded()
    page = (Path(__file__).parent.parent / "docs" / "coverage.md").read_text(encoding="utf-8")
    gaps = [(gap.name, gap.text) for row in recorded(page).values() for gap in row.gaps]
    assert [sample.label for sample in SAMPLES] == list(golden)
    wrong, count = [], 0
    with C.quiet(lg):
        lib = C.Library(lg)
        for sample in SAMPLES:
            found = dict(outcomes.runs(lib, sample))
            for name, data in golden[sample.label].items():
                call = name.partition(" ")[2]
                if any(at == sample.label and f"`{call}`" in text for at, text in gaps):
                    continue  # a known gap
                text = C.difference(found.get(name, C.ABSENT), outcomes.unpacked(data), 1e-5)
                wrong += [f"{sample.label}, {name}: {text}"] if text else []
                count += data is not None
    assert not wrong, "\n".join(wrong)
    assert count > 5000


def late(ours: str, theirs: str) -> bool:
    """Of two errors in one call, that of an index in a GPU's memory is not seen first."""
    return on_device.name() != on_device.HOST and (ours, theirs) == ("R", "I")


def test_bad_calls_are_refused_as_recorded_and_do_no_harm() -> None:
    wrong = []
    with C.quiet(lg):
        lib = C.Library(lg)
        for sample in bad_input.names():
            if sample.label in (golden := bad_input.recorded()):
                theirs, ours = golden[sample.label]
                now = bad_input.differences(theirs, bad_input.letters(lg, sample, lib))
                rows = zip(now, ours, theirs, strict=True)
                if any(n not in ("-", o) and not late(n, their) for n, o, their in rows):
                    wrong.append(f"{sample.label}: {now}, recorded {ours} beside {theirs}")
                assert (lg.ones(2) + 1).sum().item() == 4
    assert not wrong, "\n".join(wrong)


def test_departures_in_refusals_only_shrink() -> None:
    rows = bad_input.recorded().values()
    assert sum(len(ours) - ours.count("-") for _, ours in rows) <= DEPARTURES
    assert sum(len(theirs) - theirs.count(".") for theirs, _ in rows) > 2000


@pytest.mark.torch
def test_the_golden_refusals_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    lib = C.Library(torch)
    golden = bad_input.recorded()
    for sample in bad_input.names():
        found = bad_input.letters(torch, sample, lib)
        assert not found or found == golden[sample.label][0], sample.label
