"""Bad input of `nn.functional`: refused with PyTorch's type of exception and its words.

One line of nn_errors.json a case: a call, the exception and the first line of its text, from
PyTorch 2.13. Where torch is installed it is asked again.
"""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

CASES = json.loads((Path(__file__).parent / "nn_errors.json").read_text(encoding="utf-8"))

SHAPES = {
    "x": (3, 4), "y": (3, 4), "a": (2, 3, 4), "b": (3,), "im": (2, 2, 4, 4), "k": (3, 2, 3, 3),
    "kt": (2, 3, 3, 3), "ln": (2, 2, 6), "vol": (1, 1, 3, 3, 3), "cols": (1, 8, 9),
    "vim": (2, 3, 4, 5),
}  # fmt: skip


def outcome(library: Any, call: str) -> tuple[str | None, str]:
    """The exception's type and words; None if there was none."""
    names: dict[str, Any] = {"F": library.nn.functional}
    for name, shape in SHAPES.items():
        values = 0.5 + 0.4 * np.sin(np.arange(math.prod(shape))).reshape(shape)
        names[name] = library.tensor(values.tolist())
    names["t"] = library.tensor([1, 0, 3])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            eval(call, names)
    except Exception as problem:
        words = str(problem).strip().split("\n")[0].replace(library.__name__ + ".", "torch.")
        return type(problem).__name__, words
    return None, ""


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_refused_as_pytorch_refuses(case: list[str]) -> None:
    call, kind, words = case
    assert outcome(lg, call) == (kind, words)


@pytest.mark.torch
def test_the_list_is_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    assert [[call, *outcome(torch, call)] for call, _, _ in CASES] == CASES
