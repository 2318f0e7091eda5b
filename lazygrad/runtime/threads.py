"""How many threads kernels use.

Owns: `set_num_threads` and `get_num_threads`. Must not know: what runs on them. Results never
depend on it. The pool itself is in `c/runtime.c`; nothing is compiled or started here.
"""

from __future__ import annotations

from lazygrad.config import config
from lazygrad.runtime import compiler, library


def get_num_threads() -> int:
    """The threads that a kernel may use, the caller's included.

    As set last; else `LAZYGRAD_NUM_THREADS`, else `OMP_NUM_THREADS`, else the CPUs that this
    process may run on.
    """
    return compiler.available_threads()


def set_num_threads(num_threads: int) -> None:
    """Use so many threads from the next kernel on, the caller's included.

    Raises TypeError for what is no int, RuntimeError below 1.
    """
    if isinstance(num_threads, bool) or not isinstance(num_threads, int):
        name = type(num_threads).__name__
        raise TypeError(f"set_num_threads expects an int, but got {name}")
    if num_threads < 1:
        raise RuntimeError("set_num_threads expects a positive integer")
    config.num_threads = num_threads
    library.use_threads(num_threads)
