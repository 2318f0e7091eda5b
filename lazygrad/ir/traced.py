"""Numbers that remember how they came to be, so that they can be worked out again.

Owns: `Traced`, a Python number whose arithmetic is written down as lines of Python, and `Tape`,
the lines. Must not know: tensors, or who reads them. While a tape is open, whatever a traced
number decides (a comparison, an `int()`) becomes a check among the lines: run again, they give
None where the decision would fall otherwise.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

_PLAIN = (int, float)


class Tape:
    """Lines of Python that compute numbers from inputs; closed, its numbers are just numbers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: list[Any] = []  # what lines name as c[0], c[1], ...
        self.inputs: list[str] = []
        self.is_open = True
        self._fixed: set[str] = set()
        self._count = 0

    def _name(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def constant(self, value: Any) -> str:
        """The spelling of any object."""
        self.constants.append(value)
        return f"c[{len(self.constants) - 1}]"

    def argument(self, value: Any) -> Traced:
        """A number that whoever runs the lines hands in; of the same type each time."""
        name = self._name()
        self.inputs.append(name)
        return Traced(self, name, value)

    def read(self, container: Any, key: Any) -> Traced:
        """The number at container[key]; the lines end with None if there is another type."""
        value = container[key]
        name = self._name()
        self.lines.append(f"{name} = {self.constant(container)}[{key!r}]")
        self.lines.append(f"if type({name}) is not {type(value).__name__}: return None")
        return Traced(self, name, value)

    def emit(self, text: str, value: Any) -> Any:
        """Another number, worked out by `text`."""
        if not self.is_open or type(value) not in _PLAIN:
            return value
        name = self._name()
        self.lines.append(f"{name} = {text}")
        return Traced(self, name, value)

    def require(self, text: str, outcome: bool) -> bool:
        """Note that `text` has come out so."""
        if self.is_open:
            line = f"if ({text}) is not {outcome}: return None"
            if line not in self._fixed:
                self._fixed.add(line)
                self.lines.append(line)
        return outcome

    def fix(self, number: Traced) -> Any:
        """The plain value; the lines end with None if it is another one."""
        if self.is_open and number.name not in self._fixed:
            self._fixed.add(number.name)
            wanted = self.constant(number.value)
            self.lines.append(f"if {number.name} != {wanted}: return None")
        return number.value

    def spelled(self, value: Any) -> str:
        """How lines write a number, or a list, tuple or dict of numbers."""
        if type(value) is Traced and value.tape is self:
            return value.name
        if type(value) in (list, tuple):
            parts = "".join(f"{self.spelled(v)}, " for v in value)
            return f"[{parts}]" if type(value) is list else f"({parts})"
        if type(value) is dict:
            pairs = (f"{self.spelled(k)}: {self.spelled(v)}" for k, v in value.items())
            return "{" + ", ".join(pairs) + "}"
        return self.constant(plain(value))

    def function(self, results: list[Any]) -> Callable[..., tuple[Any, ...] | None]:
        """The lines as a function of the inputs that returns the results' values, or None."""
        last = f"return ({''.join(f'{self.spelled(r)}, ' for r in results)})"
        body = "\n    ".join([*self.lines, last])
        scope: dict[str, Any] = {"c": self.constants}
        exec(f"def numbers({', '.join(self.inputs)}):\n    {body}", scope)
        return scope["numbers"]  # type: ignore[no-any-return]


def plain(value: Any) -> Any:
    """The number itself, or a container with the numbers themselves."""
    if type(value) is Traced:
        return value.value
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    if type(value) is dict:
        return {k: plain(v) for k, v in value.items()}
    return value


class Traced:
    """A number of a tape. For all that can be asked, it is an `int` or a `float`."""

    __slots__ = ("name", "tape", "value")
    __array_ufunc__ = None  # numpy's numbers leave operators to this class

    def __init__(self, tape: Tape, name: str, value: Any):
        self.tape = tape
        self.name = name
        self.value = value

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tape.fix(self), name)

    def __bool__(self) -> bool:
        return self.tape.require(f"bool({self.name})", bool(self.value))

    def __hash__(self) -> int:
        return hash(self.tape.fix(self))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (type(self.value), (self.tape.fix(self),))

    def as_float(self) -> Any:
        """As a float, still traced."""
        if type(self.value) is float:
            return self
        return self.tape.emit(f"float({self.name})", float(self.value))


def _operand(value: Any, tape: Tape) -> tuple[str, Any] | None:
    if type(value) is Traced:
        known = value.name if value.tape is tape else tape.constant(value.value)
        return known, value.value
    if isinstance(value, _PLAIN):
        return tape.constant(value), value
    return None


def _binary(symbol: str, function: Callable[[Any, Any], Any]) -> None:
    def forward(self: Traced, other: Any) -> Any:
        side = _operand(other, self.tape)
        if side is None:
            return NotImplemented
        result = function(self.value, side[1])
        return self.tape.emit(f"{self.name} {symbol} {side[0]}", result)

    def backward(self: Traced, other: Any) -> Any:
        side = _operand(other, self.tape)
        if side is None:
            return NotImplemented
        result = function(side[1], self.value)
        return self.tape.emit(f"{side[0]} {symbol} {self.name}", result)

    name = function.__name__.strip("_")
    setattr(Traced, f"__{name}__", forward)
    setattr(Traced, f"__r{name}__", backward)


def _compare(symbol: str, function: Callable[[Any, Any], bool]) -> None:
    def run(self: Traced, other: Any) -> Any:
        side = _operand(other, self.tape)
        if side is None:
            return NotImplemented
        outcome = function(self.value, side[1])
        return self.tape.require(f"{self.name} {symbol} {side[0]}", outcome)

    setattr(Traced, f"__{function.__name__}__", run)


def _unary(text: str, function: Callable[[Any], Any]) -> None:
    def run(self: Traced) -> Any:
        return self.tape.emit(text.format(self.name), function(self.value))

    setattr(Traced, f"__{function.__name__}__", run)


def _exact(name: str) -> None:
    def run(self: Traced, *args: Any) -> Any:
        return getattr(self.tape.fix(self), name)(*args)

    setattr(Traced, name, run)


for _symbol, _function in (
    ("+", operator.add),
    ("-", operator.sub),
    ("*", operator.mul),
    ("/", operator.truediv),
    ("//", operator.floordiv),
    ("%", operator.mod),
    ("**", operator.pow),
):
    _binary(_symbol, _function)
for _symbol, _test in (
    ("==", operator.eq),
    ("!=", operator.ne),
    ("<", operator.lt),
    ("<=", operator.le),
    (">", operator.gt),
    (">=", operator.ge),
):
    _compare(_symbol, _test)
_unary("-{}", operator.neg)
_unary("+{}", operator.pos)
_unary("abs({})", operator.abs)
for _name in (
    *("__float__", "__int__", "__index__", "__trunc__", "__floor__", "__ceil__", "__round__"),
    *("__str__", "__repr__", "__format__", "__divmod__", "__rdivmod__"),
    *("__and__", "__or__", "__xor__", "__rand__", "__ror__", "__rxor__"),
    *("__lshift__", "__rshift__", "__rlshift__", "__rrshift__", "__invert__"),
):
    _exact(_name)
