"""What a `Module` leans on: loading a state dict, and the handle of a registered hook.

Owns: which names of a state dict fit a tree of modules, the words of the errors where they do
not, and taking a hook out again. Must not know: layers, ops, or how a module registers.
"""

from __future__ import annotations

import itertools
from collections import namedtuple
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lazygrad.nn.parameter import Parameter
from lazygrad.tensor import Tensor, no_grad

if TYPE_CHECKING:
    from lazygrad.nn.module import Module


class _IncompatibleKeys(namedtuple("_IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` could not place."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook out again, once or often."""

    _ids = itertools.count()

    def __init__(self, hooks: dict[int, Any]) -> None:
        self.id = next(RemovableHandle._ids)
        self._hooks = hooks

    def remove(self) -> None:
        """Take the hook out of its module."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def _load_member(
    module: Module, name: str, member: Tensor, key: str, given: Any, assign: bool
) -> str | None:
    """Copy or assign one entry of a state dict; the error's line if it does not fit."""
    if not isinstance(given, Tensor):
        return (
            f'While copying the parameter named "{key}", expected lazygrad.Tensor or Tensor-like '
            f"object from checkpoint but received {type(given)}"
        )
    if tuple(given.shape) != tuple(member.shape):
        return (
            f"size mismatch for {key}: copying a param with shape {given.shape} from checkpoint, "
            f"the shape in current model is {member.shape}."
        )
    with no_grad():
        if not assign:
            member.copy_(given)
        elif isinstance(member, Parameter):
            module._parameters[name] = (
                given
                if isinstance(given, Parameter)
                else Parameter(given, requires_grad=member.requires_grad)
            )
        else:
            module._buffers[name] = given
    return None


def load(
    root: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool
) -> _IncompatibleKeys:
    """`Module.load_state_dict`, from the module `root` down."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    missing: list[str] = []
    errors: list[str] = []
    known: set[str] = set()
    for path, module in root.named_modules(remove_duplicate=False):
        for name, member in (*module._parameters.items(), *module._buffers.items()):
            if member is None or name in module._non_persistent:
                continue
            key = f"{path}.{name}" if path else name
            known.add(key)
            if key not in state_dict:
                missing.append(key)
                continue
            error = _load_member(module, name, member, key, state_dict[key], assign)
            if error:
                errors.append(error)
    unexpected = [key for key in state_dict if key not in known]
    if strict:
        for words, keys in (("Unexpected", unexpected), ("Missing", missing)):
            if keys:
                quoted = ", ".join(f'"{key}"' for key in keys)
                errors.insert(0, f"{words} key(s) in state_dict: {quoted}. ")
    if errors:
        listed = "\n\t".join(errors)
        raise RuntimeError(f"Error(s) in loading state_dict for {type(root).__name__}:\n\t{listed}")
    return _IncompatibleKeys(missing, unexpected)
