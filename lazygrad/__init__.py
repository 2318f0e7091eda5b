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

# parts that are loaded when first used, to keep the import short: the module, and what of it
_LATER = {
    "cuda": "lazygrad.tensor.cuda",
    "debug": "lazygrad.debug",
    "jit": "lazygrad.recorded:jit",
    "linalg": "lazygrad.tensor.linalg",
    "load": "lazygrad.serialization:load",
    "nn": "lazygrad.nn",
    "optim": "lazygrad.optim",
    "random": "lazygrad.tensor.random",
    "save": "lazygrad.serialization:save",
    "serialization": "lazygrad.serialization",
    "special": "lazygrad.tensor.special",
    "testing": "lazygrad.testing",
    "utils": "lazygrad.utils",
}
# layers' functions that PyTorch has among the tensors' too, with the same arguments
_LAYERS = """
adaptive_avg_pool1d adaptive_max_pool1d alpha_dropout avg_pool1d bilinear celu celu_ conv1d conv2d
conv3d conv_transpose1d conv_transpose2d conv_transpose3d cosine_similarity group_norm hardshrink
layer_norm max_pool1d max_pool2d max_pool3d pairwise_distance pixel_shuffle pixel_unshuffle prelu
relu_ rms_norm selu selu_ threshold threshold_
"""
_LATER |= {name: f"lazygrad.nn.functional:{name}" for name in _LAYERS.split()}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'lazygrad' has no attribute {name!r}")
    module, _, attribute = _LATER[name].partition(":")
    found = importlib.import_module(module)
    globals()[name] = getattr(found, attribute) if attribute else found
    return globals()[name]


if _config.debug:
    from lazygrad import debug

    debug.install()

__all__ = [*_names, "autograd", "get_num_threads", "set_num_threads", "tensor", *_LATER]
