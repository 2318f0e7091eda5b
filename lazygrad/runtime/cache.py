"""The disk cache: finished work under the digest of everything it was made from.

Owns: the folder, its safety, atomic entries, listing and clearing. Must not know: what entries
mean. An entry is a folder that is written under a private name and renamed when complete, so
that any number of processes may write the same one; whatever is missing or broken is a miss.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lazygrad.config import config

FORMAT = "1"


def root() -> Path:
    """`$LAZYGRAD_CACHE_DIR`, else `$XDG_CACHE_HOME/lazygrad`, else `~/.cache/lazygrad`."""
    if config.cache_dir:
        return Path(config.cache_dir)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "lazygrad"


_private: list[tempfile.TemporaryDirectory[str]] = []  # stands in where the cache cannot be used


def _usable_root() -> Path:
    """The cache folder, made if need be; a private temporary one where it cannot be used."""
    if _private:
        return Path(_private[0].name)
    folder = root() / f"v{FORMAT}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        owner = folder.stat()
        if hasattr(os, "getuid") and owner.st_uid not in (os.getuid(), 0):
            raise OSError(f"it belongs to user {owner.st_uid}")
        if not os.access(folder, os.W_OK):
            raise OSError("it cannot be written to")
    except OSError as error:
        warnings.warn(
            f"lazygrad: the cache folder {folder} cannot be used ({error}); compiled programs are "
            "kept for this process only. Set LAZYGRAD_CACHE_DIR to another folder.",
            RuntimeWarning,
            stacklevel=2,
        )
        _private.append(tempfile.TemporaryDirectory(prefix="lazygrad-"))
        return Path(_private[0].name)
    return folder


def find(key: str, *names: str) -> Path | None:
    """The entry's folder, if it is complete and holds all of `names`."""
    folder = _usable_root() / key[:2] / key
    return folder if all((folder / name).is_file() for name in names) else None


def make(key: str, fill: Callable[[Path], None]) -> Path:
    """Let `fill` write an entry's files into a private folder, then put it in place."""
    base = _usable_root() / key[:2]
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = base / key
    private = Path(tempfile.mkdtemp(prefix=".new-", dir=base))
    try:
        fill(private)
        for _ in range(3):
            try:
                os.rename(private, folder)
                return folder
            except OSError:  # somebody else's entry, or a broken one: take it out of the way
                if folder.is_dir() and all(
                    (folder / f.name).is_file()
                    and (folder / f.name).stat().st_size == f.stat().st_size
                    for f in private.iterdir()
                ):
                    return folder
                shutil.rmtree(folder, ignore_errors=True)
        raise OSError(f"cannot put a cache entry at {folder}")
    finally:
        shutil.rmtree(private, ignore_errors=True)


def drop(key: str) -> None:
    """Remove a broken entry."""
    shutil.rmtree(_usable_root() / key[:2] / key, ignore_errors=True)


@dataclass(frozen=True)
class Entry:
    key: str
    nbytes: int
    modified: float
    files: tuple[str, ...]


def entries() -> list[Entry]:
    """All entries, newest first."""
    found = []
    folder = root() / f"v{FORMAT}"
    for path in folder.glob("??/*"):
        if path.name.startswith("."):
            continue
        files = [f for f in path.iterdir() if f.is_file()]
        size = sum(f.stat().st_size for f in files)
        found.append(
            Entry(path.name, size, path.stat().st_mtime, tuple(sorted(f.name for f in files)))
        )
    return sorted(found, key=lambda e: -e.modified)


def clear() -> int:
    """Remove everything; returns how many entries there were."""
    count = len(entries())
    shutil.rmtree(root() / f"v{FORMAT}", ignore_errors=True)
    return count
