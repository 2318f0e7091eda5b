"""PyTorch's tensors and autograd, lazily: what is recorded is fused, compiled and run when read.

Owns: the public names. Must not know: anything else.
"""

from __future__ import annotations

import importlib
from typing import Any

from lazygrad import autograd, tensor
from lazygrad.config import config as _config
from lazygrad.runtime.threads import get_num_threads, set_num_threads
from lazygrad.tensor import *  # noqa: F403
from lazygrad.tensor import __all__ as _names

__version__ = "0.1.0"

_LATER = ("jit", "nn", "optim", "utils", "cuda", "random", "linalg", "special", "testing", "debug")


def __getattr__(name: str) -> Any:
    """Parts that are loaded when first used, to keep the import short."""
    if name in _LATER:
        where = {
            "cuda": "lazygrad.tensor.cuda",
            "random": "lazygrad.tensor.random",
            "linalg": "lazygrad.tensor.linalg",
            "jit": "lazygrad.recorded",
        }.get(name, f"lazygrad.{name}")
        found = importlib.import_module(where)
        found = globals()[name] = found.jit if name == "jit" else found
        return found
    raise AttributeError(f"module 'lazygrad' has no attribute {name!r}")


if _config.debug:
    from lazygrad import debug

    debug.install()

__all__ = [*_names, "autograd", "get_num_threads", "set_num_threads", "tensor", *_LATER]
