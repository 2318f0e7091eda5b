"""What users attach to records: hooks, kept gradients, notes.

Owns: where these are kept, how a hook is taken away again, and what hooks made of one saved tensor.
Must not know: when hooks run.
Few records have any of them, so a record has one slot for them all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from lazygrad.autograd.late import tensors
from lazygrad.autograd.modes import mode, no_grad, set_watched

_numbers = itertools.count()


class RemovableHandle:
    """Takes a hook away again."""

    def __init__(self, hooks: dict[int, Any]):
        self._hooks = hooks
        self.id = next(_numbers)

    def remove(self) -> None:
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: Any) -> None:
        self.remove()


def add_hook(hooks: dict[int, Any], hook: Callable[..., Any]) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


class Extras:
    """What few records have."""

    __slots__ = ("notes", "packs", "post_hooks", "pre_hooks", "retained", "stack", "tensor_hooks")

    def __init__(self) -> None:
        self.tensor_hooks: dict[int, dict[int, Callable[..., Any]]] | None = None
        self.pre_hooks: dict[int, Callable[..., Any]] | None = None
        self.post_hooks: dict[int, Callable[..., Any]] | None = None
        self.retained: dict[int, Any] | None = None  # output number -> tensor that keeps its grad
        self.notes: dict[Any, Any] | None = None
        self.packs = False  # whether what it saves was packed by hooks
        self.stack: str | None = None  # where it was made, in anomaly mode

    def watches(self) -> bool:
        """Whether somebody sees gradients on their way."""
        return bool(
            self.tensor_hooks or self.retained or self.pre_hooks or self.post_hooks or self.packs
        )


def extra(name: str) -> Any:
    """A property of records that is kept in their `extras`, None where there are none."""

    def get(record: Any) -> Any:
        extras = record.extras
        return None if extras is None else getattr(extras, name)

    def put(record: Any, value: Any) -> None:
        if record.extras is None:
            if value is None:
                return
            record.extras = Extras()
        setattr(record.extras, name, value)

    return property(get, put)


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
