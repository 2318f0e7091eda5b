"""Configuration: every setting, read once from the environment.

Owns: the names, defaults and meanings of all `LAZYGRAD_*` variables. Must not know: anything else
of lazygrad. `config` may also be changed from Python.
"""

from __future__ import annotations

import difflib
import os
import warnings
from dataclasses import dataclass, field, fields


def _setting(default: object, meaning: str) -> object:
    return field(default=default, metadata={"meaning": meaning})


@dataclass
class Config:
    """One attribute per variable: `LAZYGRAD_DEBUG` is `config.debug`."""

    debug: int = _setting(0, "2: one line per kernel run; 4: also the generated source")  # type: ignore[assignment]
    backend: str = _setting("", "interp: run everything by the numpy interpreter")  # type: ignore[assignment]
    cache_dir: str = _setting("", "folder of the disk cache")  # type: ignore[assignment]
    cc: str = _setting("", "C compiler to use before $CC, cc, gcc and clang")  # type: ignore[assignment]
    nvcc: str = _setting("", "CUDA compiler to use before those of $CUDA_HOME and $PATH")  # type: ignore[assignment]
    pool: int = _setting(1, "0: GPU buffers are allocated one by one, for memory checkers")  # type: ignore[assignment]
    tf32: int = _setting(0, "1: float32 matrix products on tensor cores, 10 bits of mantissa")  # type: ignore[assignment]
    num_threads: int = _setting(0, "threads for kernels; 0: as many as CPUs may be used")  # type: ignore[assignment]
    max_pending: int = _setting(4096, "nodes planned as one program; longer graphs are cut")  # type: ignore[assignment]
    max_pending_ops: int = _setting(4096, "pending nodes after which recording computes them")  # type: ignore[assignment]
    max_pending_bytes: int = _setting(1 << 28, "bytes that only pending nodes may hold")  # type: ignore[assignment]
    validate: int = _setting(0, "1: compare every program with the numpy interpreter")  # type: ignore[assignment]
    vector_bytes: int = _setting(0, "width of vectors in generated code; 0: the CPU's")  # type: ignore[assignment]
    traceback: str = _setting("", "full: show lazygrad's own frames in errors")  # type: ignore[assignment]


PREFIX = "LAZYGRAD_"


def _read() -> Config:
    known = {f.name: f for f in fields(Config)}
    values: dict[str, object] = {}
    for variable, text in os.environ.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable[len(PREFIX) :].lower()
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {PREFIX}{close[0].upper()}?" if close else ""
            warnings.warn(f"unknown variable {variable}{hint}", stacklevel=2)
            continue
        try:
            values[name] = int(text) if isinstance(known[name].default, int) else text
        except ValueError:
            warnings.warn(f"{variable}={text!r} is not a number; ignored", stacklevel=2)
    return Config(**values)  # type: ignore[arg-type]


config = _read()
