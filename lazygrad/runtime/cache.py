"""The disk cache: finished work under the digest of everything it was made from.

Owns: the folder, its safety, atomic entries, listing and clearing. Must not know: what entries
mean. An entry is a folder that is written under a private name and renamed when complete, so
that any number of processes may write the same one; whatever is missing or broken is a miss: each
entry holds the digests of its files, which are compared before one is used.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lazygrad.config import config

FORMAT = "2"
SUMS = "sums"  # per file of an entry: digest and name


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
        return _without_cache(folder, error)
    return folder


def _without_cache(folder: Path, error: OSError) -> Path:
    """Go on in a temporary folder, after one warning."""
    warnings.warn(
        f"lazygrad: the cache folder {folder} cannot be used ({error}); compiled programs are "
        "kept for this process only. Set LAZYGRAD_CACHE_DIR to another folder.",
        RuntimeWarning,
        stacklevel=2,
    )
    _private.append(tempfile.TemporaryDirectory(prefix="lazygrad-"))
    return Path(_private[0].name)


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _sums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    return {name: sum_ for sum_, _, name in (line.partition(" ") for line in lines)}


def _is_intact(folder: Path, names: Iterable[str]) -> bool:
    """Whether the entry holds these files as they were written."""
    sums = _sums(folder)
    try:
        return all(sums.get(name) == _digest(folder / name) for name in names)
    except OSError:
        return False


_checked: dict[str, tuple[int, int]] = {}  # named cache: file -> (size, time) when it was intact


def intact(path: str) -> bool:
    """Whether a file of an entry, named by its path, is as it was written."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    state = (found.st_size, found.st_mtime_ns)
    if _checked.get(path) != state:
        if not _is_intact(Path(path).parent, [Path(path).name]):
            return False
        _checked[path] = state
    return True


def find(key: str, *names: str) -> Path | None:
    """The entry's folder, if it is complete and holds all of `names`."""
    folder = _usable_root() / key[:2] / key
    return folder if _is_intact(folder, names) else None


def make(key: str, fill: Callable[[Path], None]) -> Path:
    """Let `fill` write an entry's files into a private folder, then put it in place.

    Where the folder is full, or cannot be written to any more, a temporary one takes its place.
    """
    folder = _usable_root()
    try:
        return _make(folder, key, fill)
    except OSError as error:
        if _private:
            raise
        return _make(_without_cache(folder, error), key, fill)


def _make(root: Path, key: str, fill: Callable[[Path], None]) -> Path:
    base = root / key[:2]
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = base / key
    private = Path(tempfile.mkdtemp(prefix=".new-", dir=base))
    try:
        fill(private)
        names = sorted(f.name for f in private.iterdir())
        lines = [f"{_digest(private / name)} {name}\n" for name in names]
        (private / SUMS).write_text("".join(lines), encoding="utf-8")
        for _ in range(3):
            try:
                os.rename(private, folder)
                return folder
            except OSError:  # somebody else's entry, or a broken one: take it out of the way
                if _is_intact(folder, names):
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
        files = [f for f in path.iterdir() if f.is_file() and f.name != SUMS]
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
