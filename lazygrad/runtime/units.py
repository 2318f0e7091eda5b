"""Translation units: which kernels are compiled already, and compiling those that are not.

Owns: the table of a unit, the record on disk of where each kernel's functions are, and the
compiling of matrix products beside the planning. Must not know: schedules. Imports nothing that
planning needs, so that a compiler can be at work while that is loaded.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lazygrad.codegen.target import Target
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node
from lazygrad.ir.ops import Lowering
from lazygrad.ir.structure import digest
from lazygrad.runtime import cache, compiler
from lazygrad.runtime.stats import stats
from lazygrad.runtime.store import code_version

UNIT_HEAD = """typedef void (*lg_kernel)(char **p, const i64 *d, i64 lo, i64 hi);
__attribute__((visibility("default"))) const lg_kernel lg_table[] = {%s};
"""

Where = tuple[str, int, int]  # unit path, size of its table, position in it


@dataclass(frozen=True)
class Text:
    """The functions of one kernel, and flags that it is compiled with beyond the usual ones."""

    body: str
    symbols: tuple[str, ...]
    flags: tuple[str, ...] = ()


_functions: dict[str, Where] = {}  # named cache: kernel key and symbol -> where


def unit_text(texts: Iterable[Text], target: Target) -> str:
    """A complete C source with a table of all functions."""
    from lazygrad.codegen.cpu import translation_unit

    kernels = list(texts)
    symbols = ", ".join(s for text in kernels for s in text.symbols)
    return translation_unit([t.body for t in kernels], target) + UNIT_HEAD % symbols


def _key(text: Text, target: Target) -> str:
    found = compiler.required()
    flags = " ".join((*compiler.FLAGS, *found.march))
    return digest(
        "kernel",
        text.body,
        str(target.vector_bytes),
        found.identity,
        code_version(),
        flags,
        compiler.cpu_features(),
    )


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


def compile_missing(texts: Iterable[Text], target: Target) -> None:
    """Compile, in one unit, the kernels of `texts` that no unit has yet. Raises CompileError."""
    missing = {}
    for text in texts:
        key = _key(text, target)
        if _known(key, text):
            stats.kernel_hits += 1
        else:
            missing[key] = text
    if not missing:
        return
    flags = dict.fromkeys(flag for text in missing.values() for flag in text.flags)
    with stats.stage("compile"):
        unit = unit_text(missing.values(), target)
        path = str(compiler.build(unit, ("-nostdlib", *flags)))
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


def where(texts: Iterable[Text], target: Target) -> dict[str, Where]:
    """Where each function is, after all of them were compiled."""
    return {s: _functions[_key(text, target) + s] for text in texts for s in text.symbols}


def matmul_symbol(dtype: DType) -> str:
    return f"lg_matmul_{dtype.short}"


def matmul_text(dtype: DType, target: Target) -> Text:
    """The matrix product of a dtype: one text for all programs."""
    from lazygrad.codegen.gemm import gemm_source

    symbol = matmul_symbol(dtype)
    # every vector and multiply-add is spelled out: -O1 gives the same speed in 2/3 of the time
    return Text(gemm_source(dtype.short, symbol, target.vector_bytes), (symbol,), ("-O1",))


class Compilation:
    """Compiling that goes on beside other work: one unit for each call of `start`."""

    def __init__(self, target: Target):
        self.target = target
        self.threads: list[threading.Thread] = []
        self.errors: list[Exception] = []

    def start(self, texts: Callable[[], Iterable[Text]]) -> None:
        """Compile what `texts()` gives, on another thread."""
        thread = threading.Thread(target=self._run, args=(texts,), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _run(self, texts: Callable[[], Iterable[Text]]) -> None:
        try:
            compile_missing(texts(), self.target)
        except Exception as error:  # told to whoever waits for the result
            self.errors.append(error)

    def matmuls(self, nodes: Iterable[Node]) -> None:
        """Start with the matrix products of these nodes: their text is known from the dtype."""
        kinds = (n.dtype for n in nodes if n.buffer is None and n.op.lowering is Lowering.CONTRACT)
        for dtype in dict.fromkeys(kinds):
            self.start(lambda dtype=dtype: [matmul_text(dtype, self.target)])  # type: ignore[misc]

    def wait(self) -> None:
        """Raises what the compiling raised."""
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]
