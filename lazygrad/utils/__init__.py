"""`lazygrad.utils`: what a training program needs around its tensors.

Owns: nothing itself; see `lazygrad.utils.data` and `lazygrad.utils.dlpack`. Must not know: tensors
or kernels.
"""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("data", "dlpack"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
