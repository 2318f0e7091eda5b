"""Compiled templates in the disk cache, for processes that have something new to generate.

Owns: their entries. Must not know: templates, or what is made of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lazygrad.ir.structure import digest
from lazygrad.runtime import cache
from lazygrad.runtime.store import code_version

FILE = "template.bin"


def _key(name: str) -> str:
    return digest("template", name, sys.version, sys.implementation.cache_tag, code_version())


def find(name: str) -> bytes | None:
    """The compiled template of this name, if it is there as it was written."""
    folder = cache.find(_key(name), FILE)
    if folder is None:
        return None
    try:
        return (folder / FILE).read_bytes()
    except OSError:
        return None


def keep(name: str, content: bytes) -> None:
    """Keep a compiled template."""

    def fill(folder: Path) -> None:
        (folder / FILE).write_bytes(content)

    cache.make(_key(name), fill)
