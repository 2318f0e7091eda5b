"""What is known of the functions' errors: the page says what was measured, and all is within the
limit. The measurements themselves take half an hour (benchmarks/accuracy.py)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from test_vmath import BOUND, UNARY

ROOT = Path(__file__).parent.parent


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("accuracy", ROOT / "benchmarks" / "accuracy.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


accuracy = script()
KEPT = json.loads(accuracy.KEPT.read_text(encoding="utf-8"))
EXACT = {"floor", "ceil", "trunc", "round", "abs", "sign"}


def test_the_page_says_what_was_measured() -> None:
    assert accuracy.PAGE.read_text(encoding="utf-8") == accuracy.page()


def test_every_function_is_measured() -> None:
    assert set(UNARY) - EXACT == set(accuracy.NAMES)
    assert set(KEPT) == {*accuracy.NAMES, *accuracy.PAIRS}


@pytest.mark.parametrize("name", KEPT)
def test_errors_are_within_the_limit(name: str) -> None:
    for result in KEPT[name].values():
        assert result["ulp"] <= accuracy.LIMIT and result["wrong"] == 0 < result["points"]
    if name in BOUND:  # what the tests of every change allow
        assert KEPT[name]["float32"]["ulp"] <= BOUND[name]


def test_the_worst_arguments_still_give_what_was_measured(tmp_path: Path) -> None:
    """Two cheap functions at the bit patterns around the argument that is kept."""
    names = ["exp2", "log2"]
    made = accuracy.library(names, tmp_path)
    for name in names:
        result = KEPT[name]["float32"]
        start = int(np.float32(result["at"][0]).view(np.uint32)) & ~63
        found = accuracy.exhaustive(made, name, start, start + 64)
        assert (found["ulp"], found["at"]) == (result["ulp"], result["at"])
