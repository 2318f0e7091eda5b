"""What is left behind when generated code is at fault: a file to report, or to look into.

Owns: the text and the place of such files. Must not know: what went wrong. A file holds the graph,
the C source, and the words of whoever complained; below `repro` in the folder of the disk cache.
"""

from __future__ import annotations

from pathlib import Path

from lazygrad.ir.printer import graph_record, graph_text
from lazygrad.ir.structure import Structure, digest
from lazygrad.runtime import cache, compiler


def _source(shape: Structure) -> str:
    """The C of the whole program, planned anew."""
    from lazygrad.runtime.build import plan

    _, code = plan(shape)
    return code.device.unit_text(list(code.all().values()))


def write(shape: Structure, log: str, source: str | None = None) -> Path:
    """Write graph, source (of the whole program, unless given) and log to a file: its path."""
    found = compiler.compiler()
    head = "no compiler" if found is None else f"{found.path}: {compiler.version(found)}"
    parts = {
        "what happened": log,
        "compiler": f"{head}\nflags: {' '.join(compiler.FLAGS)}\n{compiler.target()}",
        "graph": graph_text(graph_record(shape.order, shape.outputs)),
        "source": _source(shape) if source is None else source,
    }
    text = "\n".join(f"==== {title} ====\n{part.rstrip()}\n" for title, part in parts.items())
    folder = cache.root() / "repro"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{digest(text)[:16]}.txt"
    path.write_text(text, encoding="utf-8")
    return path
