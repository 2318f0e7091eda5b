"""Finished programs on disk, so that a new process plans nothing that an earlier one has planned.

Owns: the key of a stored program, its reading and writing. Must not know: how programs are made;
in particular it imports nothing that planning needs, so that a warm start is quick.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from lazygrad.ir.structure import Structure, digest
from lazygrad.runtime import cache
from lazygrad.runtime.device import device
from lazygrad.runtime.plans import Plan
from lazygrad.runtime.program import Program

FILE = "program.json"


@functools.cache
def code_version() -> str:
    """Identity of the code that plans and generates: a cached program is only for the same."""
    package = Path(__file__).parent.parent
    files = sorted(
        p
        for folder in ("ir", "codegen", "runtime")
        for p in (package / folder).rglob("*.*")
        if p.suffix in (".py", ".j2", ".h", ".c", ".cuh")
    )
    return digest(*[f"{p.name}:{s.st_size}:{s.st_mtime_ns}" for p in files for s in [p.stat()]])


def _key(name: str, *of: Any) -> str:
    where = device(name)
    return digest("program", *of, where.name, *where.identity(), code_version())


Kept = TypeVar("Kept")


def _read(key: str, made: Callable[[str], tuple[Kept, Program]]) -> Kept | None:
    """What an entry's text makes, if the functions of its program are there."""
    folder = cache.find(key, FILE)
    if folder is None:
        return None
    try:
        found, program = made((folder / FILE).read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError, OSError):
        cache.drop(key)
        return None
    if not all(cache.intact(path) for path, _, _ in program.functions if path):
        cache.drop(key)
        return None
    return found


def _write(key: str, program: Program, text: Callable[[], str]) -> None:
    """Store what is said of a program; those with ops that run on the host are not stored."""
    if not program.host_nodes:
        said = text()
        cache.make(key, lambda folder: _fill(folder, said))


def _fill(folder: Path, text: str) -> None:
    (folder / FILE).write_text(text, encoding="utf-8")


def find(structure: Structure) -> tuple[Program, list[int]] | None:
    """The stored program of this structure, and which of its outputs each wanted one is."""

    def made(text: str) -> tuple[tuple[Program, list[int]], Program]:
        raw = json.loads(text)
        program = device(structure.device).program.from_json(raw["program"])
        return (program, raw["outputs"]), program

    return _read(_key(structure.device, structure.key), made)


def keep(structure: Structure, program: Program, output_of: list[int]) -> None:
    """Store a program that is for this structure alone."""
    key = _key(structure.device, structure.key)
    _write(key, program, lambda: json.dumps({"outputs": output_of, "program": program.to_json()}))


def find_plan(name: str, bones: Any, number: int) -> Plan | None:
    """A stored plan of a skeleton on a device: of the several that may be, this one, from 0 on."""

    def made(text: str) -> tuple[Plan, Program]:
        plan = Plan.from_json(text)
        return plan, plan.program

    return _read(_key(name, "any sizes", bones, str(number)), made)


def keep_plan(name: str, bones: Any, number: int, plan: Plan) -> None:
    """Store a plan; it is found as this number of its skeleton's."""
    _write(_key(name, "any sizes", bones, str(number)), plan.program, plan.to_json)
