"""Modules that hold modules: `Sequential`, `ModuleList`, `ModuleDict`.

Owns: indexing, slicing, joining and printing of such collections. Must not know: any layer.
Children are kept in the module's own register, under "0", "1", ... or their key.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from itertools import groupby
from operator import index
from typing import Any, Self, overload

from lazygrad.nn.module import Module, _indent

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


class _Ordered(Module):
    """Children numbered from zero."""

    def _wrap(self, place: int) -> str:
        """The key of a child by its position, which may count from the end."""
        size = len(self)
        place = index(place)
        if not -size <= place < size:
            raise IndexError(f"index {place} is out of range")
        return list(self._modules)[place]

    def _set_all(self, modules: Iterable[Module | None]) -> None:
        """Number the children anew."""
        self.__dict__["_modules"] = {str(i): module for i, module in enumerate(modules)}

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._modules.values()))

    @overload
    def __getitem__(self, key: slice) -> Self: ...
    @overload
    def __getitem__(self, key: int) -> Any: ...
    def __getitem__(self, key: int | slice) -> Any:
        if isinstance(key, slice):
            return self._of(list(self._modules.items())[key])
        return self._modules[self._wrap(key)]

    def _of(self, items: list[tuple[str, Any]]) -> Self:
        """A collection of the same class with some of these children."""
        made = type(self)()
        made._set_all(child for _, child in items)
        return made

    def __setitem__(self, key: int, module: Module) -> None:
        setattr(self, self._wrap(key), module)

    def __delitem__(self, key: int | slice) -> None:
        names = list(self._modules)
        for name in names[key] if isinstance(key, slice) else [self._wrap(key)]:
            del self._modules[name]
        self._set_all(list(self._modules.values()))

    def pop(self, key: int | slice) -> Any:
        """Take one child out and return it."""
        taken = self[key]
        del self[key]
        return taken

    def append(self, module: Module) -> Self:
        """Add a child at the end; TypeError if it is no module."""
        self.add_module(str(len(self)), module)
        return self


class Sequential(_Ordered):
    """Modules applied one after the other, given in order or as one ordered dict."""

    def __init__(self, *args: Any) -> None:
        super().__init__()
        items = enumerate(args)
        named = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else items
        for name, module in named:
            self.add_module(str(name), module)

    def _of(self, items: list[tuple[str, Any]]) -> Self:
        return type(self)(dict(items))

    def forward(self, input: Any) -> Any:
        for module in self:
            input = module(input)
        return input

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add children at the end."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, place: int, module: Module) -> Self:
        """Add a child before a position; IndexError past the ends."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        size = len(self)
        if not -size <= place <= size:
            raise IndexError(f"Index out of range: {place}")
        children = list(self)
        children.insert(place, module)
        self._set_all(children)
        return self

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(
                "add operator supports only objects of Sequential class, "
                f"but {type(other)} is given."
            )
        return Sequential(*self, *other)

    def __iadd__(self, other: Sequential) -> Self:
        if not isinstance(other, Sequential):
            raise ValueError(
                "add operator supports only objects of Sequential class, "
                f"but {type(other)} is given."
            )
        return self.extend(list(other))

    def __mul__(self, times: int) -> Sequential:
        if not isinstance(times, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(times)}")
        if times <= 0:
            raise ValueError(f"Non-positive multiplication factor {times} for {type(self)}")
        return Sequential(*(list(self) * times))

    __rmul__ = __mul__


class ModuleList(_Ordered):
    """A list of modules, each of them registered."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add children at the end; TypeError for what cannot be iterated."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                "ModuleList.extend should be called with an iterable, "
                f"but got {type(modules).__name__}"
            )
        for module in modules:
            self.append(module)
        return self

    def insert(self, place: int, module: Module) -> None:
        """Add a child before a position."""
        children = list(self)
        children.insert(place, module)
        self._set_all(children)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *iter(other)])

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)

    def __repr__(self) -> str:
        if not len(self):
            return f"{self._get_name()}()"
        lines = []
        numbered = enumerate(repr(child) for child in self)
        for text, run in groupby(numbered, key=lambda pair: pair[1]):
            places = [place for place, _ in run]
            if len(places) == 1:
                lines.append(f"({places[0]}): {_indent(text)}")
            else:
                first, last = places[0], places[-1]
                lines.append(f"({first}-{last}): {len(places)} x {_indent(text)}")
        body = "\n  ".join(lines)
        return f"{self._get_name()}(\n  {body}\n)"


class ModuleDict(Module):
    """A dict of modules by name, each of them registered."""

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove every child."""
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Take one child out and return it; KeyError if there is none."""
        return self._modules.pop(key)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._modules.keys()

    def items(self) -> ItemsView[str, Any]:
        """Names and children."""
        return self._modules.items()

    def values(self) -> ValuesView[Any]:
        """The children."""
        return self._modules.values()

    def update(self, modules: Any) -> None:
        """Add the children of a mapping or of pairs; those of a name that exists are replaced."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                "ModuleDict.update should be called with an iterable of key/value pairs, "
                f"but got {type(modules).__name__}"
            )
        if isinstance(modules, Mapping | ModuleDict):
            pairs: Iterable[Any] = modules.items()
        else:
            pairs = list(modules)
        for place, pair in enumerate(pairs):
            if not isinstance(pair, Iterable):
                raise TypeError(
                    f"ModuleDict update sequence element #{place} should be Iterable; "
                    f"is {type(pair).__name__}"
                )
            entry = tuple(pair)
            if len(entry) != 2:
                raise ValueError(
                    f"ModuleDict update sequence element #{place} has length {len(entry)}; "
                    "2 is required"
                )
            self[entry[0]] = entry[1]
