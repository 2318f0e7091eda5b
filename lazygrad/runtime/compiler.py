"""The C compiler: found once, asked for a shared library, its results kept by content.

Owns: which compiler and flags are used, the CPU features they mean, and the cache key of a
translation unit. Must not know: what is in the text. A candidate that fails is passed over for the
next one; where none works, `compiler()` is None and the interpreter takes over.
"""

from __future__ import annotations

import functools
import importlib
import os
import platform
import re
import shutil
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path

from lazygrad.codegen.target import Target
from lazygrad.config import config
from lazygrad.ir.structure import digest
from lazygrad.runtime import cache
from lazygrad.runtime.stats import stats

# -ffp-contract=off: otherwise a*b+c is fused inside a kernel and not across two, and the same
# program gives other bits when it is fused. Never -ffast-math.
FLAGS = (
    "-std=gnu11",
    "-O2",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fwrapv",
    "-fno-strict-aliasing",
    "-fPIC",
    "-shared",
    "-w",
    "-pipe",
)


def available_threads() -> int:
    """`LAZYGRAD_NUM_THREADS`, else `OMP_NUM_THREADS`, else the CPUs this process may use."""
    if config.num_threads > 0:
        return config.num_threads
    text = os.environ.get("OMP_NUM_THREADS", "")
    if text.isdigit() and int(text) > 0:
        return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Compiler:
    """A working C compiler. `identity` names its path, version and target for cache keys."""

    path: str
    identity: str
    march: tuple[str, ...]


class CompileError(RuntimeError):
    """The C compiler refused generated text: the text and its words are kept."""

    def __init__(self, message: str, source: str, log: str):
        super().__init__(message)
        self.source = source
        self.log = log


class BrokenCompiler(CompileError):
    """The compiler fails on any text: it is passed over from now on."""


_broken: set[str] = set()  # paths of compilers that failed on the simplest text


def candidates() -> list[str]:
    """Compilers to try, in order."""
    names = [config.cc, os.environ.get("CC", ""), "cc", "gcc", "clang"]
    return [n for n in dict.fromkeys(names) if n]


def loads() -> bool:
    """Whether cffi is there to load what is compiled."""
    try:
        importlib.import_module("_cffi_backend")
    except ImportError:
        return False
    return True


@functools.cache
def compiler() -> Compiler | None:
    """The first candidate that exists, or None; None too where cffi, which loads what it makes, is
    not installed."""
    if not loads():
        return None
    for name in candidates():
        path = shutil.which(name)
        if path is None or path in _broken:
            continue
        real = os.path.realpath(path)
        try:
            found = os.stat(real)
            # the version is asked for only where a file's identity could not tell it apart
            identity = f"{real}:{found.st_size}:{found.st_mtime_ns}"
        except OSError:
            continue
        march = ("-march=native",) if platform.machine() in ("x86_64", "AMD64") else ()
        return Compiler(path, identity, march)
    return None


def version(found: Compiler) -> str:
    """What the compiler says of itself."""
    done = subprocess.run([found.path, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or ["unknown"])[0]


@functools.cache
def cpu_features() -> tuple[str, ...]:
    """The CPU's features by name: a cached binary is only for CPUs with the same list."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return (platform.machine(), platform.processor())
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return (platform.machine(), *(sorted(found.group(1).split()) if found else ()))


_OF_A_GROUP = 96 << 20  # the largest cache that eight cores share alone


@functools.cache
def cache_bytes() -> int:
    """How much of the caches one computation can count on."""
    sizes: dict[int, int] = {}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        text = (index / "size").read_text(encoding="utf-8").strip()
        if text[:-1].isdigit() and text[-1] in "KM":
            level = int((index / "level").read_text(encoding="utf-8"))
            sizes[level] = int(text[:-1]) << (10 if text[-1] == "K" else 20)
    return counted_on(sizes)


def counted_on(sizes: dict[int, int]) -> int:
    """Bytes of cache to count on, of caches of these sizes by their levels; 32 MB where none is
    known.

    A last level beyond what a group of eight cores has (96 MB) is shared by dozens, though a
    virtual machine shows but a few of them, and what is stored goes to memory anyway: on such an
    Intel CPU (300 MB), results of 2 MB and more are quicker made past the caches, also where
    they are read soon. So twice the second level counts there.
    """
    largest = max(sizes.values(), default=32 << 20)
    return largest if largest <= _OF_A_GROUP else 2 * sizes.get(2, 1 << 20)


@functools.cache
def target() -> Target:
    """The CPU that this process runs on."""
    features = cpu_features()
    width = 16
    if "avx2" in features and "fma" in features:
        width = 32
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= set(features):
        width = 64
    return Target(config.vector_bytes or width, available_threads(), features, cache_bytes())


def _works(found: Compiler) -> bool:
    """Whether the compiler makes a library of the simplest text."""
    command = [found.path, "-shared", "-fPIC", "-x", "c", "-", "-o", os.devnull]
    done = subprocess.run(command, input="int x;\n", capture_output=True, text=True, check=False)
    return done.returncode == 0


def unit_key(source: str, found: Compiler, extra: tuple[str, ...]) -> str:
    return digest(source, found.identity, " ".join((*FLAGS, *found.march, *extra)), cpu_features())


def required() -> Compiler:
    """The compiler. Raises BrokenCompiler where none is left, as another thread may have found."""
    found = compiler()
    if found is None:
        raise BrokenCompiler("no C compiler is left", "", "")
    return found


def build(source: str, extra: tuple[str, ...] = ("-nostdlib",)) -> Path:
    """A shared library of this C text, from the cache or compiled now.

    Raises CompileError when the compiler refuses the text, BrokenCompiler when it refuses all.
    """
    found = required()
    key = unit_key(source, found, extra)
    folder = cache.find(key, "unit.so", "unit.c")
    if folder is not None:
        return folder / "unit.so"

    def fill(private: Path) -> None:
        (private / "unit.c").write_text(source, encoding="utf-8")
        command = [found.path, *FLAGS, *found.march, "unit.c", "-o", "unit.so", *extra, "-lm"]
        done = subprocess.run(command, cwd=private, capture_output=True, text=True, check=False)
        if done.returncode:
            what = f"{found.path} failed with code {done.returncode}:\n{_head(done.stderr)}"
            if _works(found):
                raise CompileError(what, source, done.stderr)
            _broken.add(found.path)
            compiler.cache_clear()
            raise BrokenCompiler(what, source, done.stderr)
        stats.compiles += 1

    return cache.make(key, fill) / "unit.so"


def assembly(source: str) -> str:
    """What the compiler makes of the text. Raises CompileError."""
    found = compiler()
    if found is None:
        raise CompileError("no C compiler was found", source, "")
    flags = [f for f in FLAGS if f not in ("-shared", "-pipe")]
    command = [found.path, *flags, *found.march, "-S", "-x", "c", "-", "-o", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CompileError(f"{found.path} failed:\n{_head(done.stderr)}", source, done.stderr)
    return done.stdout


def _head(log: str) -> str:
    return "\n".join(log.splitlines()[:12])


_warned: list[bool] = []


def warn_no_compiler() -> None:
    """Once: say that the interpreter has taken over, and what would help."""
    if not _warned:
        _warned.append(True)
        missing, remedy = "cffi is not installed", "Install cffi (pip install cffi)."
        if loads():
            missing = f"no C compiler was found (tried {', '.join(candidates())})"
            remedy = "Install gcc or clang, or set CC to a compiler's path."
        warnings.warn(
            f"lazygrad: {missing}, so programs run on the numpy interpreter, which is slower. "
            f"{remedy}",
            RuntimeWarning,
            stacklevel=2,
        )


def function_assembly(text: str, symbols: list[str]) -> dict[str, str]:
    """The instructions and labels of these functions, without the assembler's directives."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines():
        label = line[:-1] if line.endswith(":") else ""
        if label in symbols:
            current = found.setdefault(label, [])
        elif line.lstrip().startswith(".size"):
            current = None
        word = line.strip()
        if current is not None and not _is_directive(word):
            current.append(line)
    return {symbol: "\n".join(lines) for symbol, lines in found.items()}


def _is_directive(word: str) -> bool:
    """Lines that neither do anything nor are jumped to."""
    if word.endswith(":"):
        return word.startswith((".LF", ".LV"))
    return word.startswith(".")
