"""`lazygrad cache`: looking at the disk cache and emptying it.

Owns: how entries are named for people. Must not know: how entries are made or found.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from lazygrad.cli.output import console, error, print_json, since, table
from lazygrad.ir.printer import size_text
from lazygrad.runtime import cache

_KINDS = {
    "unit.so": "compiled unit",
    "program.json": "program",
    "at.json": "kernel",
    "template.bin": "template",
}


def kind_of(entry: cache.Entry) -> str:
    """What an entry is, by the file that it cannot be without."""
    return next((kind for file, kind in _KINDS.items() if file in entry.files), "other")


def _record(entry: cache.Entry) -> dict[str, Any]:
    return {
        "key": entry.key,
        "kind": kind_of(entry),
        "bytes": entry.nbytes,
        "modified": entry.modified,
        "files": list(entry.files),
    }


def print_entries(as_json: bool) -> None:
    entries = cache.entries()
    if as_json:
        print_json([_record(e) for e in entries])
        return
    if not entries:
        click.echo(f"the cache at {cache.root()} is empty")
        return
    shown = table("key", "kind", "size", "age", "files", right=("size", "age"))
    for entry in entries:
        size, age = size_text(entry.nbytes), since(entry.modified)
        shown.add_row(entry.key, kind_of(entry), size, age, " ".join(entry.files))
    console().print(shown)


def print_info(as_json: bool) -> None:
    entries = cache.entries()
    record: dict[str, Any] = {
        "path": str(cache.root()),
        "format": cache.FORMAT,
        "entries": len(entries),
        "bytes": sum(e.nbytes for e in entries),
        "kinds": dict(Counter(map(kind_of, entries))),
    }
    if as_json:
        print_json(record)
        return
    click.echo(f"path     {record['path']}")
    click.echo(f"format   {record['format']}")
    click.echo(f"entries  {record['entries']}")
    click.echo(f"size     {size_text(record['bytes'])}")
    for kind, count in sorted(record["kinds"].items()):
        click.echo(f"  {kind}: {count}")


def clear(as_json: bool) -> int:
    """Remove all entries. Returns the exit code: 1 if some could not be removed."""
    count = cache.clear()
    left = len(cache.entries())
    if as_json:
        print_json({"path": str(cache.root()), "removed": count - left, "left": left})
    else:
        click.echo(f"removed {count - left} entries from {cache.root()}")
    if left:
        error(f"{left} entries could not be removed")
    return 1 if left else 0
