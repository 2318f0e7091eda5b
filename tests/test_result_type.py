"""`result_type` of every dtype with every tensor, 0-d tensor and number, as PyTorch's.

golden/result_types.txt has a line for each dtype: the result's number in DTYPES for each partner,
first of a vector, then of a 0-d tensor of that dtype.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lazygrad as lg

DTYPES = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
]
LINES = (Path(__file__).parent / "golden" / "result_types.txt").read_text().split()


def found(library: Any, dtype: str) -> str:
    shapes: list[tuple[int, ...]] = [(2,), ()]

    def ones(shape: tuple[int, ...], name: str) -> Any:
        return library.ones(shape, dtype=getattr(library, name))

    others = [ones(shape, name) for name in DTYPES for shape in shapes] + [True, 2, 2.5]
    kinds = [library.result_type(ones(s, dtype), other) for s in shapes for other in others]
    return "".join(str(DTYPES.index(str(kind).rpartition(".")[2])) for kind in kinds)


@pytest.mark.parametrize(("dtype", "line"), list(zip(DTYPES, LINES, strict=True)))
def test_result_type_is_what_pytorch_gave(dtype: str, line: str) -> None:
    assert found(lg, dtype) == line and len(line) == 46


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "line"), list(zip(DTYPES, LINES, strict=True)))
def test_the_golden_types_are_pytorchs(dtype: str, line: str) -> None:
    assert found(pytest.importorskip("torch"), dtype) == line
