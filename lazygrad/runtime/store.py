"""Finished programs on disk, so that a new process plans nothing that an earlier one has planned.

Owns: the key of a stored program, its reading and writing. Must not know: how programs are made;
in particular it imports nothing that planning needs, so that a warm start is quick.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

from lazygrad.ir.structure import Structure, digest
from lazygrad.runtime import cache
from lazygrad.runtime.device import device
from lazygrad.runtime.program import Program


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


def _key(structure: Structure) -> str:
    where = device(structure.device)
    return digest("program", structure.key, where.name, *where.identity(), code_version())


def find(structure: Structure) -> tuple[Program, list[int]] | None:
    """The stored program of this structure, and which of its outputs each wanted one is."""
    key = _key(structure)
    folder = cache.find(key, "program.json")
    if folder is None:
        return None
    try:
        raw = json.loads((folder / "program.json").read_text(encoding="utf-8"))
        program = device(structure.device).program.from_json(raw["program"])
    except (ValueError, KeyError, TypeError, OSError):
        cache.drop(key)
        return None
    if not all(cache.intact(path) for path, _, _ in program.functions if path):
        cache.drop(key)
        return None
    return program, raw["outputs"]


def keep(structure: Structure, program: Program, output_of: list[int]) -> None:
    """Store a program; those with ops that run on the host are not stored."""
    if program.host_nodes:
        return
    text = json.dumps({"outputs": output_of, "program": program.to_json()})

    def fill(folder: Path) -> None:
        (folder / "program.json").write_text(text, encoding="utf-8")

    cache.make(_key(structure), fill)
