"""Sweeps over all sample calls with sets of operands that want gradients, and their records.

A record has a line for each call: a letter for each thing that was tried with it. Owns: which
calls there are, who wants gradients, and what two records differ in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lazygrad.testing.coverage import Library, _function, _inplace, _method
from lazygrad.testing.samples import SAMPLES, Call

DTYPE = "float64"
Record = dict[str, str]


def named(lib: Library, call: Call) -> list[str]:
    """The tensors that a call names."""
    return sorted(n for n in call.code.co_names if lib.is_tensor(lib.given[DTYPE].get(n)))


def floats(lib: Library, call: Call) -> list[str]:
    return [n for n in named(lib, call) if lib.given[DTYPE][n].is_floating_point()]


def wanting(lib: Library, call: Call) -> Iterator[tuple[str, ...]]:
    """Who wants gradients: each floating operand of a call alone, and all."""
    names = floats(lib, call)
    yield from ((n,) for n in names)
    if len(names) > 1:
        yield tuple(names)


def copies(lib: Library, call: Call, wants: tuple[str, ...]) -> dict[str, Any]:
    """The inputs, those that a call names as new tensors, some of which want gradients."""
    given = dict(lib.given[DTYPE])
    for name in named(lib, call):
        given[name] = given[name].detach().clone()
        if given[name].is_floating_point():
            given[name].requires_grad_(name in wants)
    return given


def sweep(lib: Library, letters: Callable[[Any, Call, bool], str]) -> Record:
    """What `letters` gives for each form (a function or method, or in place) and each call."""
    found: Record = {}
    for sample in SAMPLES:
        if sample.name == "normal":  # its numbers have no gradient
            continue
        plain = _function(lib, sample) or _method(lib, sample)
        for inplace, form in ((False, plain), (True, _inplace(lib, sample))):
            for call in sample.calls if form is not None else ():
                # where values alone are compared, PyTorch has no gradient, or one that fails
                asked = DTYPE in call.dtypes and call.rule != "values"
                text = letters(form, call, inplace) if asked else ""
                if text.strip("-"):
                    found[f"{sample.label}{'_' * inplace}({call.text})"] = text
    return found


def differences(ours: Record, theirs: Record) -> dict[str, tuple[str, str]]:
    """What is not refused by both or by neither, of what PyTorch can do."""
    differ = {}
    for call, text in theirs.items():
        mine = ours.get(call, "").ljust(len(text), "-")
        if any(a != b for a, b in zip(mine, text, strict=True) if b != "-"):
            differ[call] = (mine, text)
    return differ


def recorded(golden: Path) -> Record:
    lines = golden.read_text(encoding="utf-8").splitlines()
    return {call: text for call, _, text in (line.partition("\t") for line in lines)}


def write(golden: Path, found: Record) -> None:
    golden.write_text("".join(f"{call}\t{text}\n" for call, text in found.items()), "utf-8")
