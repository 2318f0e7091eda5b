"""The names and defaults of PyTorch's arguments, tried on the sample calls.

Owns: which arguments of each name PyTorch was seen to take by keyword, and with which default
(golden/argument_names.txt, written by `python tests/argument_names.py`), and how a sample call is
written with them. Must not know: what the calls give.

A line is a form (F: function, M: method, I: in-place), the name, the number of its call, and the
keywords that stand for its positions, or an argument that was left out and its default.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lazygrad.testing import coverage as C
from lazygrad.testing.samples import SAMPLES, Call, Sample, namespace

PAGE = Path(__file__).parent / "golden" / "argument_names.txt"
_LINE = re.compile(r"(\w) (.+) (\d+) ((?:named|with) .*)$")
FORMS = {"F": C._function, "M": C._method, "I": C._inplace}
# numpy's names, which most of PyTorch's functions take too; a method's `other` has one name here
_NUMPY = {
    "F": {"dim": "axis", "keepdim": "keepdims", "input": "x", "other": "x2"},
    "M": {"dim": "axis", "keepdim": "keepdims"},
    "I": {"dim": "axis", "keepdim": "keepdims", "other": "x2"},
}
# PyTorch names these for other layouts and devices, or keeps them for its compiler
_OTHERS = {
    "layout",
    "pin_memory",
    "memory_format",
    "out",
    "out_dtype",
    "_stacklevel",
    "implicit",
    "scale",
    "input_scale",
}


def calls(sample: Sample, form: str) -> tuple[Call, ...]:
    return sample.calls if form == "F" else sample.method_calls


def attempt(lib: C.Library, form: Any, call: Call, line: str) -> C.Outcome:
    """The outcome of a call, written as the line says; of the call itself if it says nothing."""
    first, _, rest = line.partition(" ")

    def action() -> Any:
        args, kwargs = eval(call.code, lib.given["float64"])
        if first == "with":
            name, _, default = rest.partition("=")
            kwargs = kwargs | {name: eval(default, {"L": lib.module, "inf": float("inf")})}
        elif first == "named":
            names = rest.split(",")
            start = len(args) - len(names)
            args, kwargs = args[:start], kwargs | dict(zip(names, args[start:]))
        return form(*args, **kwargs)

    return lib.attempt(action, call.rule)


# -- the record ----------------------------------------------------------------------------------


def _signatures(torch: Any, sample: Sample, form: str) -> Iterator[list[tuple[str, str]]]:
    """For each overload: the names of its arguments and the defaults, as text."""
    place, name = sample.place, sample.name + ("_" if form == "I" else "")
    found = _parameters(getattr(namespace(torch, place), sample.name, None))
    if found and form == "F":
        yield [(p.name, "" if p.default is p.empty else repr(p.default)) for p in found]
    stem = {"linalg": "linalg_", "": "", "nn.functional": ""}.get(place)
    if stem is None:
        return
    for schema in torch._C._jit_get_schemas_for_operator(f"aten::{stem}{name}"):
        own = [a for a in schema.arguments if not a.is_out]
        if any("Dimname" in str(a.type) or str(a.type) in ("t", "List[t]") for a in own):
            continue
        yield [
            (
                "input" if a.name == "self" else a.name,
                repr(a.default_value) if a.has_default_value() else "",
            )
            for a in own
        ]


def _parameters(function: Any) -> list[inspect.Parameter]:
    """What a function that is written in Python takes; nothing of others."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return []
    return [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]


def _as_numpy(line: str, names: dict[str, str]) -> str:
    return re.sub(r"\b\w+(?=[,=]|$)", lambda found: names.get(found[0], found[0]), line)


def _lines(lib: C.Library, torch: Any, sample: Sample, form: str) -> Iterator[str]:
    found = FORMS[form](lib, sample)
    if found is None or sample.place in ("operator", "index"):
        return
    seen = set()
    for number, call in enumerate(calls(sample, form)):
        if "float64" not in call.dtypes:
            continue
        try:
            args, kwargs = eval(call.code, lib.given["float64"])
        except Exception:
            continue
        if form != "F" and not (args and lib.is_tensor(args[0])):
            continue
        plain = attempt(lib, found, call, "")
        if plain.error or plain.absent:
            continue
        for arguments in _signatures(torch, sample, form):
            start = 0 if form == "F" else 1
            names = [name for name, _ in arguments]
            if len(args) > len(names):
                continue
            tried = []
            if len(args) > start:
                tried.append("named " + ",".join(names[start : len(args)]))
            tried += [
                f"with {name}={default}"
                for name, default in arguments[len(args) :]
                if name not in kwargs and name not in _OTHERS and default
            ]
            if sample.place != "nn.functional":
                tried += [_as_numpy(line, _NUMPY[form]) for line in tried]
            for line in tried:
                if line in seen:
                    continue
                again = attempt(lib, found, call, line)
                if not again.error and not C.difference(again, plain):
                    seen.add(line)
                    yield f"{form} {sample.label} {number} {line}"


def lines() -> list[str]:
    torch = importlib.import_module("torch")
    lib = C.Library(torch)
    with C.quiet(importlib.import_module("lazygrad")):
        return [line for s in SAMPLES for form in FORMS for line in _lines(lib, torch, s, form)]


def wrong(lib: C.Library, page: list[str]) -> Iterator[str]:
    """The lines of a record that a library does not take, and what it does with them."""
    known = {sample.label: sample for sample in SAMPLES}
    for line in page:
        form, label, number, how = _LINE.match(line).groups()  # type: ignore[union-attr]
        sample = known[label]
        found, call = FORMS[form](lib, sample), calls(sample, form)[int(number)]
        plain, other = attempt(lib, found, call, ""), attempt(lib, found, call, how)
        if plain.error or other.error or C.difference(other, plain):
            yield f"{line}: `{call.text}` {C.difference(other, plain)} {plain.error}"


if __name__ == "__main__":
    PAGE.write_text("\n".join(lines()) + "\n", encoding="utf-8")
