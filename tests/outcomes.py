"""What PyTorch gives for the sample calls, kept in golden/outcomes.jsonl.gz for runs without it.

Owns: how outcomes are written to that file and read from it. Made again by `python
tests/outcomes.py` with PyTorch installed. Must not know: how calls are run or compared.
"""

from __future__ import annotations

import gzip
import importlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lazygrad.testing import coverage as C
from lazygrad.testing.samples import DTYPES, SAMPLES, Call, Sample

PAGE = Path(__file__).parent / "golden" / "outcomes.jsonl.gz"
KINDS = ("float64", "int32", "bool")


def runs(lib: C.Library, sample: Sample) -> Iterator[tuple[str, Any]]:
    """Names of the runs of a sample, and their outcomes: values, and gradients of float64."""
    form, calls = C._function(lib, sample), sample.calls
    if form is None:
        form, calls = C._method(lib, sample), sample.method_calls
    for call in calls if form is not None else ():
        yield from _of_call(lib, form, call)


def _of_call(lib: C.Library, form: Any, call: Call) -> Iterator[tuple[str, Any]]:
    for dtype in KINDS:
        if dtype in call.dtypes:
            lib.duplicates = dtype == "bool"
            yield f"{dtype} {call.text}", C._value(lib, form, call, dtype)
    if call.dtypes == DTYPES:
        yield f"gradient {call.text}", C._gradient(lib, form, call, "float64", False)


def packed(outcome: C.Outcome) -> Any:
    """An outcome as JSON: the exception's type, null for no such form, or the values."""
    if outcome.absent or outcome.error:
        return outcome.error or None
    return [[_plain(part) for part in value] for value in outcome.values]


def _plain(part: Any) -> Any:
    if isinstance(part, np.ndarray):
        return " ".join(f"{v:.6g}" for v in part.reshape(-1).astype(float))
    return list(part) if isinstance(part, tuple) else part


def unpacked(data: Any) -> C.Outcome:
    if data is None:
        return C.ABSENT
    if isinstance(data, str):
        return C.Outcome(error=data)
    return C.Outcome(values=tuple(_value(value) for value in data))


def _value(value: list[Any]) -> tuple[Any, ...]:
    if len(value) == 3:
        kind, shape, data = value
        array = None if data is None else np.array(data.split(), float).reshape(shape)
        return kind, tuple(shape), array
    return tuple(value)


def recorded() -> dict[str, dict[str, Any]]:
    lines = gzip.decompress(PAGE.read_bytes()).decode().splitlines()
    return {line["name"]: line["runs"] for line in map(json.loads, lines)}


def write() -> None:
    lib = C.Library(importlib.import_module("torch"))
    lines = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sample in SAMPLES:
            found = {name: packed(outcome) for name, outcome in runs(lib, sample)}
            lines.append(json.dumps({"name": sample.label, "runs": found}, separators=(",", ":")))
    PAGE.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))


if __name__ == "__main__":
    write()
