"""What is left behind when generated code is at fault: a file that names graph, source and log."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.config import config
from lazygrad.runtime import compiler, cpu

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(config, "cache_dir", str(tmp_path))
    return tmp_path


def the_file(text: str, folder: Path) -> str:
    found = re.search(r"are in (\S+\.txt)", text)
    assert found is not None, text
    path = Path(found.group(1))
    assert path.parent == folder / "repro"
    return path.read_text(encoding="utf-8")


def test_text_that_does_not_compile(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = cpu.Backend.unit_text
    broken = lambda *a: real(*a) + "\nnot C at all;\n"  # noqa: E731
    monkeypatch.setattr(cpu.Backend, "unit_text", broken)
    with pytest.raises(compiler.CompileError) as caught:
        (lg.tensor([1.0, 2.0]).cosh() * 1.2345).tolist()
    text = the_file("\n".join(caught.value.__notes__), own_cache)
    for part in ("cosh", "not C at all;", "error:", "void lg_", "test_repro.py:"):
        assert part in text, part


def test_a_result_that_differs(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "validate", 1)
    realize = importlib.import_module("lazygrad.realize")
    real = realize.evaluate

    def wrong(*args: object) -> dict[object, np.ndarray]:
        return {n: v + 1 for n, v in real(*args).items()}  # type: ignore[arg-type]

    monkeypatch.setattr(realize, "evaluate", wrong)
    with pytest.raises(AssertionError, match="differs from the interpreter") as caught:
        (lg.tensor([1.0, 2.0]) * 1.25 + 3).tolist()
    text = the_file(str(caught.value), own_cache)
    assert "void lg_" in text and "differs from the interpreter" in text
