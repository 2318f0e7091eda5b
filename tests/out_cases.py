"""`out=` of every sample call that takes one: what may be given there, and what becomes of it.

Owns: the tensors that are given, and the letter that stands for what the call does. Must not know:
what is right, which PyTorch says (golden/out.txt, written by `python tests/out_cases.py`).
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bad_input import LETTERS

from lazygrad.testing.coverage import Library, _function, quiet
from lazygrad.testing.samples import SAMPLES, Call, Sample

PAGE = Path(__file__).parent / "golden" / "out.txt"
DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool")


def targets(L: Any, shape: tuple[int, ...], dtype: Any) -> Iterator[Callable[[], Any]]:
    """What may be given as `out` for a result of this shape and dtype."""
    yield lambda: L.empty(0, dtype=dtype)
    for name in DTYPES:
        yield lambda name=name: L.empty(0, dtype=getattr(L, name))
    yield lambda: L.zeros(7, dtype=dtype)  # another shape
    yield lambda: L.zeros(shape, dtype=dtype)
    yield lambda: L.zeros(shape, dtype=L.float32, requires_grad=True)
    yield lambda: L.zeros((*shape, 2), dtype=dtype)[..., 0]  # a view
    yield lambda: "text"
    yield lambda: [L.empty(0, dtype=dtype)]


def outcome(call: Callable[[Any], Any], outs: list[Any], given: Any) -> str:
    """A letter for an error (see bad_input); `.` for a result, `w` for one with a warning."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            call(given)
            for out in outs:
                if hasattr(out, "tolist"):
                    out.detach().reshape(-1)[:1].tolist()
        except Exception as problem:
            names = [kind.__name__.strip("_") for kind in type(problem).__mro__]
            return next((LETTERS[name] for name in names if name in LETTERS), "?")
    return "w" if any("resized" in str(note.message) for note in seen) else "."


def parts_of(lib: Library, result: Any) -> list[tuple[tuple[int, ...], str]]:
    found = lib.tensors(result)
    if not found or (not lib.is_tensor(result) and len(found) != len(result)):
        return []
    return [(tuple(t.shape), str(t.dtype).rpartition(".")[2]) for t in found]


def letters(lib: Library, sample: Sample, call: Call, parts: Any, single: bool) -> str:
    """One letter for each target; then for an operand that needs a gradient, and for one that is
    itself the target."""
    L, function = lib.module, _function(lib, sample)
    found = ""
    every = [list(targets(L, shape, getattr(L, dtype))) for shape, dtype in parts]
    for choice in zip(*every):
        outs = [make() for make in choice]
        args, kwargs = eval(call.code, lib.given["float32"])
        given = outs[0] if single else tuple(outs)
        found += outcome(lambda out: function(*args, **kwargs, out=out), outs, given)  # noqa: B023
    for form in (_leaf, _same):
        given = dict(lib.given["float32"])
        args, kwargs = eval(call.code, given)
        name = next((k for k, v in given.items() if args and v is args[0]), "")
        if not name or not args[0].is_floating_point():
            continue
        given[name] = form(args[0])
        args, kwargs = eval(call.code, given)
        outs = [every[n][0]() for n in range(len(parts))]
        if form is _same and (tuple(args[0].shape), "float32") != parts[0]:
            continue
        outs = [args[0], *outs[1:]] if form is _same else outs
        target = outs[0] if single else tuple(outs)
        found += outcome(lambda out: function(*args, **kwargs, out=out), outs, target)  # noqa: B023
    return found


def _leaf(t: Any) -> Any:
    return t.detach().clone().requires_grad_()


def _same(t: Any) -> Any:
    return t.detach().clone()


def samples() -> Iterator[tuple[Sample, int, Call]]:
    for sample in SAMPLES:
        if sample.place not in ("operator", "index"):
            for number, call in enumerate(sample.calls):
                if "float32" in call.dtypes:
                    yield sample, number, call


def plain(lib: Library, sample: Sample, call: Call) -> Any:
    args, kwargs = eval(call.code, lib.given["float32"])
    return _function(lib, sample)(*args, **kwargs)


def recorded() -> dict[tuple[str, int], tuple[str, str]]:
    """For each call PyTorch's letters, and where ours differ."""
    rows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        name, number, theirs, ours = line.split()
        rows[name, int(number)] = theirs, ours
    return rows


def differences(theirs: str, ours: str) -> str:
    """Our letters where they are others than PyTorch's, `-` where they agree."""
    return "".join("-" if a == b else b for a, b in zip(theirs, ours, strict=True))


def rows(lib: Library, wanted: Any = None) -> Iterator[tuple[str, int, str]]:
    """The letters of every call that takes an `out`, or of those that are wanted."""
    for sample, number, call in samples():
        if wanted is not None and (sample.label, number) not in wanted:
            continue
        if _function(lib, sample) is None:
            continue
        try:
            result = plain(lib, sample, call)
        except Exception:
            continue
        parts = parts_of(lib, result)
        if not parts:
            continue
        found = letters(lib, sample, call, parts, lib.is_tensor(result))
        if wanted is not None or found[0] != "T":  # PyTorch's has such a form
            yield sample.label, number, found


def write() -> None:
    library, torch = (importlib.import_module(name) for name in ("lazygrad", "torch"))
    lines = []
    with quiet(library), np.errstate(all="ignore"):
        theirs = {(name, number): found for name, number, found in rows(Library(torch))}
        ours = {(name, number): found for name, number, found in rows(Library(library), theirs)}
    for (name, number), found in theirs.items():
        lines.append(f"{name} {number} {found} {differences(found, ours[name, number])}")
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
