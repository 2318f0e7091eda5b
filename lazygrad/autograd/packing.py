"""Hooks on what records save: `autograd.graph.saved_tensors_hooks` and what is made with them.

Owns: the hooks of a thread, and what they made of one saved tensor. Must not know: which values a
record saves, or how gradients are made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from lazygrad.autograd.late import tensors
from lazygrad.autograd.modes import mode, no_grad, set_watched


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

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
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


class Packed:
    """What a hook made of one saved tensor."""

    __slots__ = ("made", "unpack")

    def __init__(self, tensor: Any) -> None:
        """Raises RuntimeError if the hook writes to the tensor."""
        pack, self.unpack = mode.packs[-1]
        version = tensor._version
        outer, mode.packs = mode.packs, ()  # what a hook computes is not packed again
        set_watched()
        try:
            with no_grad():
                self.made = pack(tensor)
        finally:
            mode.packs = outer
            set_watched()
        if tensor._version != version:
            raise RuntimeError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as "
                "input to pack hook cannot be modified by in-place operations as this can lead to "
                "unexpected side-effects."
            )

    def tensor(self) -> Any:
        """The values again. Raises TypeError if the hook gives no tensor."""
        found = self.unpack(self.made)
        if not isinstance(found, tensors.core.Tensor):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                f"{type(found).__name__}"
            )
        return found


__all__ = ["disable_saved_tensors_hooks", "save_on_cpu", "saved_tensors_hooks"]
