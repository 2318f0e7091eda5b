"""Bad input made from the sample calls: each argument in turn is replaced by what it must not be.

Owns: the replacements, and the letter that stands for what a call with one of them does. Must not
know: what is right, which PyTorch says (golden/bad_input.txt, written by `python
tests/bad_input.py`).
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lazygrad.testing.coverage import Library, quiet
from lazygrad.testing.samples import SAMPLES, Sample, namespace

PAGE = Path(__file__).parent / "golden" / "bad_input.txt"
LETTERS = {
    "": ".",  # a result
    "RuntimeError": "R",
    "TypeError": "T",
    "IndexError": "I",
    "ValueError": "V",
    "NotImplementedError": "N",
    "LinAlgError": "L",
    "AttributeError": "A",
}


def replacements(lib: Library, value: Any) -> Iterator[Any]:
    """What may stand in the place of a value, and is mostly wrong there."""
    L = lib.module
    if lib.is_tensor(value):
        yield from ("text", None, [[1], "a"])
        yield value[None, None]  # rank
        yield L.ones(5, dtype=value.dtype)  # size
        yield L.ones(0, dtype=value.dtype)  # no elements
        for dtype in (L.float32, L.int64, L.int8, L.bool):
            yield value.to(dtype)
        if not value.is_floating_point():
            yield value + 99  # index out of range
            yield value + -99
        else:
            yield value * float("nan")
            yield -value.abs() - 1
    elif isinstance(value, bool):
        yield "text"
    elif isinstance(value, int):
        yield from (9, -9, 10**12, "text", None, 1.5, (0, 0))
    elif isinstance(value, float):
        yield from ("text", None, -1.0, float("nan"))
    elif isinstance(value, str):
        yield from ("nonsense", 3, None)
    elif isinstance(value, (tuple, list)):
        yield from ((), (9,), (0, 0), ("a",), 3, None)
    elif isinstance(value, type(L.float32)):
        yield from ("text", L.bool)


def variants(lib: Library, sample: Sample) -> Iterator[tuple[Any, list[Any], dict[str, Any]]]:
    """The function (or method) of a sample, with one argument of its first call replaced."""
    calls = sample.calls
    found = getattr(namespace(lib.module, sample.place), sample.name, None)
    if found is None or not callable(found):
        found, calls = getattr(lib.module.Tensor, sample.name, None), sample.method_calls
    if found is None or not callable(found) or sample.name.endswith("_"):
        return
    args, kwargs = eval(calls[0].code, lib.given["float64"])
    is_method = calls is sample.method_calls
    for position, value in enumerate(args):
        for other in replacements(lib, value):
            if not is_method or position or lib.is_tensor(other):
                yield found, [*args[:position], other, *args[position + 1 :]], kwargs
    for key, value in kwargs.items():
        for other in replacements(lib, value):
            yield found, list(args), kwargs | {key: other}
    yield found, [*args, lib.module], kwargs
    yield found, list(args), kwargs | {"nonsense": 1}


def letter(lib: Library, variant: Any) -> str:
    found, args, kwargs = variant
    try:
        result = found(*args, **kwargs)
        for t in lib.tensors(result):  # what is only found out when it is computed counts too
            t.detach().reshape(-1)[:1].tolist()
    except Exception as problem:
        names = [kind.__name__.strip("_") for kind in type(problem).__mro__]
        return next((LETTERS[name] for name in names if name in LETTERS), "?")
    return "."


def names() -> list[Sample]:
    return [s for s in SAMPLES if s.place in ("", "linalg")]


def letters(module: Any, sample: Sample, lib: Library | None = None) -> str:
    """A letter for each bad call of a name."""
    lib = lib or Library(module)
    if hasattr(module, "backends"):  # PyTorch asks opt_einsum where that is installed
        module.backends.opt_einsum.enabled = False
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return "".join(letter(lib, v) for v in variants(lib, sample))


def recorded() -> dict[str, tuple[str, str]]:
    """For each name PyTorch's letters, and where ours differ."""
    rows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        name, theirs, ours = line.split()
        rows[name] = theirs, ours
    return rows


def differences(theirs: str, ours: str) -> str:
    """Our letters where they are others than PyTorch's, `-` where they agree."""
    return "".join("-" if a == b else b for a, b in zip(theirs, ours, strict=True))


def write() -> None:
    library, torch = (importlib.import_module(name) for name in ("lazygrad", "torch"))
    lines = []
    with quiet(library):
        ours, theirs = Library(library), Library(torch)
        for sample in names():
            a, b = letters(torch, sample, theirs), letters(library, sample, ours)
            if a:
                lines.append(f"{sample.label} {a} {differences(a, b)}")
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
