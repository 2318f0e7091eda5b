"""Hooks on what records save: `autograd.graph.saved_tensors_hooks` and what is made with them.

Owns: the blocks in which a thread has such hooks. Must not know: which values a record saves, or
how gradients are made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from lazygrad.autograd.modes import mode, set_watched


class saved_tensors_hooks:
    """In a block, pack_hook(tensor) makes what a record saves instead of each tensor, and
    unpack_hook(packed) gives a tensor of its values back when the gradient is computed.

    The innermost block counts. Raises RuntimeError where hooks are disabled.
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        if mode.no_packs is not None:
            raise RuntimeError(mode.no_packs)
        mode.packs = (*mode.packs, (self.pack_hook, self.unpack_hook))
        set_watched()

    def __exit__(self, *error: Any) -> None:
        mode.packs = mode.packs[:-1]
        set_watched()


class save_on_cpu(saved_tensors_hooks):
    """In a block, what records save is copied to the host's memory, and back for the gradient."""

    def __init__(self, pin_memory: bool = False, device_type: str | None = None) -> None:
        def pack(tensor: Any) -> Any:
            return tensor.device, tensor.cpu()

        def unpack(packed: Any) -> Any:
            device, tensor = packed
            return tensor.to(device)

        super().__init__(pack, unpack)


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """In a block, hooks on saved tensors raise RuntimeError with this message."""
    if mode.packs:
        raise RuntimeError(error_message)
    before, mode.no_packs = mode.no_packs, error_message
    try:
        yield
    finally:
        mode.no_packs = before


__all__ = ["disable_saved_tensors_hooks", "save_on_cpu", "saved_tensors_hooks"]
