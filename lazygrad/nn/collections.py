"""Modules that hold parameters by number or name: `ParameterList`, `ParameterDict`.

Owns: indexing and joining of such collections. Must not know: any layer. Parameters are kept in the
module's own register, under "0", "1", ... or their key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import index
from typing import Any, Self

from lazygrad.nn.module import Module
from lazygrad.nn.parameter import Parameter

__all__ = ["ParameterDict", "ParameterList"]


def as_parameter(value: Any) -> Any:
    return value if value is None or isinstance(value, Parameter) else Parameter(value)


class ParameterList(Module):
    """Parameters numbered from zero; a tensor that is none becomes one."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(values or ())

    def _names(self) -> list[str]:
        return list(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._parameters.values()))

    def __getitem__(self, key: int | slice) -> Any:
        if isinstance(key, slice):
            return type(self)(list(self._parameters.values())[key])
        place = index(key)
        if not -len(self) <= place < len(self):
            raise IndexError(f"index {place} is out of range")
        return list(self._parameters.values())[place]

    def __setitem__(self, key: int, value: Any) -> None:
        self.register_parameter(self._names()[index(key)], as_parameter(value))

    def append(self, value: Any) -> Self:
        """Put a parameter at the end."""
        self.register_parameter(str(len(self)), as_parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Put parameters at the end."""
        for value in values:
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)


class ParameterDict(Module):
    """Parameters by name; a tensor that is none becomes one."""

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self.update(parameters or {})

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._parameters))

    def __contains__(self, key: str) -> bool:
        return key in self._parameters

    def __getitem__(self, key: str) -> Any:
        return self._parameters[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.register_parameter(key, as_parameter(value))

    def __delitem__(self, key: str) -> None:
        del self._parameters[key]

    def update(self, parameters: Any) -> None:
        """Add parameters from a mapping, or from pairs of a name and a parameter."""
        pairs = parameters.items() if hasattr(parameters, "items") else parameters
        for key, value in pairs:
            self[key] = value

    def pop(self, key: str) -> Any:
        """Take a parameter out."""
        value = self[key]
        del self[key]
        return value

    def keys(self) -> Any:
        """The names."""
        return self._parameters.keys()

    def values(self) -> Any:
        """The parameters."""
        return self._parameters.values()

    def items(self) -> Any:
        """Names and parameters."""
        return self._parameters.items()

    def get(self, key: str, default: Any = None) -> Any:
        """A parameter, or the default."""
        return self._parameters.get(key, default)
