"""Translation units: which kernels are compiled already, and compiling those that are not.

Owns: the record on disk of where each kernel's functions are, and the compiling of matrix products
beside the planning. Must not know: schedules. Imports nothing that
planning needs, so that a compiler can be at work while that is loaded.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from lazygrad.codegen.environment import keep_templates
from lazygrad.ir.node import Node
from lazygrad.ir.ops import Lowering
from lazygrad.ir.structure import digest
from lazygrad.runtime import cache, templates
from lazygrad.runtime.device import Device, Text
from lazygrad.runtime.stats import stats
from lazygrad.runtime.store import code_version

SPLIT = 10  # kernels that one compiler makes sooner than two, which both read the same functions
Where = tuple[str, int, int]  # unit path, size of its table, position in it


keep_templates(templates.find, templates.keep)
_functions: dict[str, Where] = {}  # named cache: kernel key and symbol -> where


def _key(text: Text, device: Device) -> str:
    return digest("kernel", text.body, *device.identity(), " ".join(text.flags), code_version())


def _found_on_disk(key: str, text: Text) -> bool:
    folder = cache.find(key, "at.json")
    if folder is None:
        return False
    try:
        path, count, at = json.loads((folder / "at.json").read_text(encoding="utf-8"))
    except (ValueError, OSError):
        cache.drop(key)
        return False
    if not cache.intact(path):
        cache.drop(key)
        return False
    for position, symbol in enumerate(text.symbols):
        _functions[key + symbol] = (path, count, at + position)
    return True


def _known(key: str, text: Text) -> bool:
    return key + text.symbols[0] in _functions or _found_on_disk(key, text)


def compile_missing(texts: Iterable[Text], device: Device) -> None:
    """Compile the kernels of `texts` that no unit has yet: many of them in units side by side.

    Raises CompileError.
    """
    missing = {}
    for text in texts:
        key = _key(text, device)
        if _known(key, text):
            stats.kernel_hits += 1
        else:
            missing[key] = text
    if not missing:
        return
    with stats.stage("compile"):
        compilation = Compilation(device)
        first, *others = shares(missing, device.units_at_once if len(missing) > SPLIT else 1)
        for share in others:
            compilation.run(functools.partial(_compile, share, device))
        try:
            _compile(first, device)
        finally:
            compilation.join()
        compilation.wait()


def shares(missing: dict[str, Text], count: int) -> list[dict[str, Text]]:
    """The texts in `count` parts of about the same length: the longest first, each to the
    shortest part."""
    parts: list[dict[str, Text]] = [{} for _ in range(count)]
    sizes = [0] * count
    for key, text in sorted(missing.items(), key=lambda item: -len(item[1].body)):
        at = sizes.index(min(sizes))
        parts[at][key] = text
        sizes[at] += len(text.body)
    return parts


def _compile(missing: dict[str, Text], device: Device) -> None:
    """Compile texts in one unit, and record where each is."""
    path = device.build_unit(list(missing.values()))
    count = sum(len(text.symbols) for text in missing.values())
    at = 0
    for key, text in missing.items():
        record = json.dumps([path, count, at])

        def fill(folder: Path, record: str = record) -> None:
            (folder / "at.json").write_text(record, encoding="utf-8")

        cache.make(key, fill)
        for symbol in text.symbols:
            _functions[key + symbol] = (path, count, at)
            at += 1


def where(texts: Iterable[Text], device: Device) -> dict[str, Where]:
    """Where each function is, after all of them were compiled."""
    return {s: _functions[_key(text, device) + s] for text in texts for s in text.symbols}


class Compilation:
    """Compiling that goes on beside other work: one unit for each call of `start`."""

    def __init__(self, device: Device):
        self.device = device
        self.threads: list[threading.Thread] = []
        self.errors: list[Exception] = []

    def start(self, texts: Iterable[Text]) -> None:
        """Compile what of `texts` no unit has yet, on another thread."""
        missing = []
        for text in texts:
            if _key(text, self.device) + text.symbols[0] in _functions:
                stats.kernel_hits += 1
            else:
                missing.append(text)
        if missing:
            self.run(lambda: compile_missing(missing, self.device))

    def run(self, work: Callable[[], None]) -> None:
        """Do this on another thread."""
        thread = threading.Thread(target=self._guarded, args=(work,), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # told to whoever waits for the result
            self.errors.append(error)

    def matmuls(self, nodes: Iterable[Node]) -> None:
        """Start with the matrix products of these nodes, if their text is known from the dtype."""
        kinds = (n.dtype for n in nodes if n.buffer is None and n.op.lowering is Lowering.CONTRACT)
        for text in self.device.early_products(list(dict.fromkeys(kinds))):
            self.start([text])

    def join(self) -> None:
        for thread in self.threads:
            thread.join()

    def wait(self) -> None:
        """Raises what the compiling raised."""
        self.join()
        if self.errors:
            raise self.errors[0]
