"""Planted faults are about the code as it is: each can still be planted, and its tests exist."""

from __future__ import annotations

import planted_faults
import pytest
from planted_faults import FAULTS, ROOT, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.promise)
def test_a_fault_can_be_planted(fault: Fault) -> None:
    text = (ROOT / "lazygrad" / fault.file).read_text()
    assert text.count(fault.old) == 1 and fault.old != fault.new
    files = [word for word in fault.tests.split() if word.startswith("tests/")]
    assert files and all((ROOT / name).is_file() for name in files)


@pytest.mark.slow
@pytest.mark.parametrize("promise", ["from_numpy shares memory", "format of one number"])
def test_a_planted_fault_is_noticed(promise: str) -> None:
    assert planted_faults.is_noticed(next(f for f in FAULTS if f.promise == promise))
