"""The tensor modules as autograd sees them: bound when first used, as they import autograd.

Owns: the binding. Must not know: anything of them. An import statement inside a function costs
more than what most of these functions do.
"""

from __future__ import annotations

import importlib
from typing import Any


class _Tensors:
    """`tensors.core` is `lazygrad.tensor.core`, and so on."""

    def __getattr__(self, name: str) -> Any:
        module = importlib.import_module(f"lazygrad.tensor.{name}")
        setattr(self, name, module)
        return module


tensors = _Tensors()
