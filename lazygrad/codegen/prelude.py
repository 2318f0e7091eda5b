"""The C text that generated CPU kernels start with: the files below, a library of vector functions
without a header, are cut into chunks, of which `prelude` returns the needed ones and what they
depend on, for the lane counts asked for: only that, to keep the compiler's time low.

A chunk begins with a line `//@ NAME [T=a,b,c] [S=a,b,c] : DEP DEP ...`.  In names, dependencies and
text `xV` stands for the lane count (`x16`), `NV` for the bare number, `xH` and `NH` for half of it.
With T= or S= the chunk is a pattern, instantiated for each type (each pair of different ones), in
which `@T` and `@S` are the types and `@I`, `@U` and `@B` the signed integer of T's size (the type
of T's masks), the unsigned one and the size of T in bits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import product
from pathlib import Path

_SOURCES = tuple(
    Path(__file__).parent / "c" / name for name in ("vmath.h", "vmath64.h", "random.h", "kernel.h")
)
_MARK = re.compile(r"^//@ *(\S+)((?: +[TS]=\S+)*) *:(.*)$", re.MULTILINE)


def _instance(text: str, types: dict[str, str]) -> str:
    """`text` with the type tokens of a pattern replaced."""
    for token, name in types.items():
        text = text.replace("@" + token, name)
    bits = re.sub(r"\D", "", types.get("T", ""))
    return text.replace("@I", "i" + bits).replace("@U", "u" + bits).replace("@B", bits)


@cache
def _parsed() -> dict[str, tuple[tuple[str, ...], str]]:
    """Every chunk: its name -> (names it depends on, text), in the order of the file."""
    parts = _MARK.split("\n".join(path.read_text(encoding="utf-8") for path in _SOURCES))
    found: dict[str, tuple[tuple[str, ...], str]] = {}
    for name, pattern, deps, text in zip(
        parts[1::4], parts[2::4], parts[3::4], parts[4::4], strict=True
    ):
        lists = {item[0]: item[2:].split(",") for item in pattern.split()}
        for combo in product(*lists.values()):
            if len(set(combo)) < len(combo):
                continue
            types = dict(zip(lists, combo, strict=True))
            key = _instance(name, types)
            if key in found:
                raise ValueError(f"vmath.h defines {key} twice")
            found[key] = (
                tuple(_instance(deps, types).split()),
                _instance(text, types).strip() + "\n",
            )
    for key, (names, _) in found.items():
        for dep in names:
            if dep.replace("xH", "xV") not in found:
                raise ValueError(f"vmath.h: {key} needs {dep}, which is not defined")
    return found


@cache
def chunks() -> frozenset[str]:
    """The names that `prelude` accepts, the lane count written xV."""
    return frozenset(_parsed())


@cache
def _chunk(name: str, lanes: int) -> tuple[tuple[tuple[str, int], ...], str]:
    """One chunk at a lane count: the chunks it needs and its text."""
    deps, text = _parsed()[name]
    needs = tuple(
        (dep.replace("xH", "xV"), lanes // 2 if "xH" in dep else lanes if "xV" in dep else 0)
        for dep in deps
    )
    for token, value in (("xV", f"x{lanes}"), ("xH", f"x{lanes // 2}")):
        text = text.replace(token, value)
    text = re.sub(r"\bNV\b", str(lanes), text)
    return needs, re.sub(r"\bNH\b", str(lanes // 2), text)


def prelude(names: Iterable[tuple[str, int]], vector_bytes: int) -> str:
    """The text of the chunks `names`, (name with xV, lanes) each, and of all that they need,
    dependencies first, each once, in an order that depends on the set of names only.
    `vector_bytes` is the width of the target's vectors, known to the text as VECTOR_BYTES."""
    if vector_bytes not in (16, 32, 64):
        raise ValueError(f"vectors of {vector_bytes} bytes: expected 16, 32 or 64")
    done: dict[tuple[str, int], str] = {}

    def add(key: tuple[str, int]) -> None:
        if key not in done:
            needs, text = _chunk(*key)
            for need in needs:
                add(need)
            done[key] = text

    add(("base", 0))
    for name, lanes in sorted(set(names)):
        if name not in _parsed():
            raise KeyError(f"vmath.h has no chunk {name}")
        if "xV" in name and (lanes < 2 or lanes > 64 or lanes & (lanes - 1)):
            raise ValueError(f"{name}: {lanes} lanes: expected a power of two from 2 to 64")
        add((name, lanes if "xV" in name else 0))
    return f"#define VECTOR_BYTES {vector_bytes}\n" + "".join(done.values())
