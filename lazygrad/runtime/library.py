"""The bridge to C: cffi in ABI mode, one shared FFI object, libraries opened by path.

Owns: the declarations shared with `c/runtime.c` and the opening of compiled units. Must not know:
what kernels compute.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lazygrad.runtime import compiler

CDEF = """
typedef void (*lg_kernel)(char **p, const int64_t *d, int64_t lo, int64_t hi);
typedef struct { int64_t items; int32_t nptr; int32_t slot0; int64_t dim0; } lg_instance;
typedef struct { lg_kernel fn; int64_t first, count; int64_t grain; } lg_step;
typedef struct {
  const lg_step *steps; int64_t nsteps; const lg_instance *inst;
  const int32_t *slot; const int64_t *offset; const int64_t *dims;
} lg_program;
int lg_run(const lg_program *prog, char *const *slots, int64_t *times);
void lg_set_threads(int64_t n);
int64_t lg_get_threads(void);
extern const lg_kernel lg_table[];
"""
RUNTIME = Path(__file__).parent / "c" / "runtime.c"
# its threads outlive whoever closes the library
RUNTIME_FLAGS = ("-lpthread", *(("-Wl,-z,nodelete",) if sys.platform == "linux" else ()))


@functools.cache
def ffi() -> Any:
    """The FFI object, from `_bridge.py`: CDEF as cffi writes it out, so that nothing is parsed."""
    from lazygrad.runtime._bridge import ffi as made

    return made


def write_bridge(path: Path) -> None:
    """Write `_bridge.py` anew after a change of CDEF (a test compares the two)."""
    import cffi

    builder = cffi.FFI()
    builder.cdef(CDEF)
    builder.set_source("lazygrad.runtime._bridge", None)
    builder.emit_python_code(str(path))


@functools.cache
def runtime_source() -> str:
    return RUNTIME.read_text(encoding="utf-8")


@functools.cache
def runtime() -> Any:
    """The C runtime, compiled once per machine. Raises CompileError."""
    path = compiler.build(runtime_source(), RUNTIME_FLAGS)
    opened = ffi().dlopen(str(path))
    opened.lg_set_threads(compiler.available_threads())
    return opened


def use_threads(count: int) -> None:
    """Tell the C runtime, if it has been loaded: it asks when it is."""
    if runtime.cache_info().currsize:
        runtime().lg_set_threads(count)


@contextmanager
def prepared() -> Iterator[None]:
    """Have the C runtime ready at the end of the block, made at the same time as the block runs."""
    if runtime.cache_info().currsize:
        yield
        return
    helper = threading.Thread(target=_try_runtime, daemon=True)
    helper.start()
    try:
        yield
    finally:
        helper.join()
    runtime()


def _try_runtime() -> None:
    with contextlib.suppress(compiler.CompileError):  # the caller's own call reports it
        runtime()


@functools.cache
def open_unit(path: str) -> Any:
    return ffi().dlopen(path)


@functools.cache
def kernels(path: str, count: int) -> list[Any]:
    """The functions of a compiled unit, in the order of its table."""
    table = open_unit(path).lg_table
    return [table[i] for i in range(count)]
