"""Automatic differentiation: the gradient graph, its engine, and the ways to control it.

Owns: which names users find here. Must not know: any op. The engine and what builds on it are
loaded when first asked for, since they need tensors, which need the graph.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lazygrad.autograd.composite import composite
from lazygrad.autograd.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)

if TYPE_CHECKING:
    from lazygrad.autograd import functional, graph
    from lazygrad.autograd.anomaly import detect_anomaly, set_detect_anomaly
    from lazygrad.autograd.engine import backward, grad
    from lazygrad.autograd.function import Function, once_differentiable
    from lazygrad.autograd.gradcheck import gradcheck, gradgradcheck

_LATER = {
    "Function": "function",
    "FunctionCtx": "function",
    "once_differentiable": "function",
    "backward": "engine",
    "grad": "engine",
    "gradcheck": "gradcheck",
    "gradgradcheck": "gradcheck",
    "detect_anomaly": "anomaly",
    "set_detect_anomaly": "anomaly",
    "is_anomaly_enabled": "anomaly",
}
_MODULES = ("functional", "graph", "function", "engine", "anomaly")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        module = importlib.import_module(f"{__name__}.{_LATER[name]}")
        for other, where in _LATER.items():  # all of a module: gradcheck is its name too
            if where == _LATER[name]:
                globals()[other] = getattr(module, other)
        return globals()[name]
    elif name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    elif name == "Variable":
        from lazygrad.tensor import Tensor as found
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


__all__ = [
    "Function",
    "backward",
    "composite",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
]
