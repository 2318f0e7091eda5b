"""Sizes that remember how they came about: what a plan computes with them holds for others too.

Owns: `Size`, a number with the expression it is the value of, and `Trace`, which writes down the
expressions and what planning asked about them. Must not know: graphs, kernels or programs. Planning
runs on Sizes as on integers; each comparison is answered with the values at hand and recorded.
Where other values give the same answers, planning would take the same way: its results are then the
same expressions of those values. Whatever needs the number itself (an index, a text) pins it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lazygrad.ir.picking import picker

Number = int | float
Step = tuple[str, int, int]  # an operation, and the numbers of the expressions it is of

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "max": max,
    "min": min,
}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
_OPPOSITE = {"<": ">=", "<=": ">", "==": "!=", "!=": "==", ">=": "<", ">": "<="}
_MARK = "\ue000"  # a Size as text: no text that is compiled may have one
_OWN = 0x51ED27  # hashes of Sizes differ from those of integers: tables must not mix the two


class SizeInText(Exception):
    """A text that was to hold for all sizes has one written into it."""


def without_sizes(text: str) -> str:
    """The text. Raises SizeInText where a Size is written in it."""
    if _MARK in text:
        raise SizeInText(text)
    return text


def larger(a: Any, b: Any) -> Any:
    """The larger of two, which nobody has asked about where they are Sizes."""
    return _joined("max", a, b)


def smaller(a: Any, b: Any) -> Any:
    """The smaller of two, which nobody has asked about where they are Sizes."""
    return _joined("min", a, b)


def _joined(op: str, a: Any, b: Any) -> Any:
    size = a if a.__class__ is Size else b
    if size.__class__ is Size:
        return size.trace.make(op, size.trace.at(a), size.trace.at(b))
    return int(_ARITHMETIC[op](a, b))


class Trace:
    """Expressions of some sizes, and what was asked about them."""

    def __init__(self, values: Sequence[int]):
        """`values`: of the sizes, different ones, all of them 2 and more."""
        self.values: list[Number] = list(values)
        self.count = len(values)
        self.steps: dict[Step, int] = {}  # the expression that each makes
        self.constants: dict[tuple[type, Number], int] = {}  # 1 is not 1.0
        self.fixed: set[int] = set()  # their numbers
        self.asked: dict[Step, None] = {}  # what held
        self.hashed: dict[Number, int] = {}  # an expression for each value that tables were asked
        self.sizes = [Size(self, at, value) for at, value in enumerate(values)]
        self.unknown: dict[int, int] = {}  # those that come `later`

    def constant(self, value: Number) -> int:
        key = (value.__class__, value)
        at = self.constants.get(key)
        if at is None:
            at = self.constants[key] = len(self.values)
            self.fixed.add(at)
            self.values.append(value)
        return at

    def at(self, number: Size | Number) -> int:
        return number.at if isinstance(number, Size) else self.constant(number)

    def make(self, op: str, a: int, b: int) -> Size:
        step = (op, a, b)
        at = self.steps.get(step)
        if at is None:
            at = self.steps[step] = len(self.values)
            self.values.append(_ARITHMETIC[op](self.values[a], self.values[b]))
        return Size(self, at, self.values[at])

    def later(self, count: int) -> list[Any]:
        """So many numbers that are made from others by whoever evaluates the trace: nothing may be
        asked about them."""
        assert not self.unknown, "there are numbers for later already"
        first = len(self.values)
        self.values += [0] * count
        self.unknown = {first + number: number for number in range(count)}
        return [Size(self, at, 0) for at in self.unknown]

    def ask(self, op: str, a: int, b: int) -> bool:
        """The answer with the values at hand, which is recorded."""
        assert a not in self.unknown and b not in self.unknown, "this number is not known yet"
        holds = _COMPARISONS[op](self.values[a], self.values[b])
        if a != b and not self._always(a, b, op):
            self.asked.setdefault((op if holds else _OPPOSITE[op], a, b))
        return holds

    def _always(self, a: int, b: int, op: str) -> bool:
        """Whether all sizes give this answer: they are different from each other, 0 and 1."""
        if a >= self.count:
            return False
        if b < self.count:
            return op in ("==", "!=")
        return b in self.fixed and (
            (self.values[b] < 2 and op in ("==", "!=", ">", "<="))
            or (self.values[b] <= 2 and op in ("<", ">="))
        )

    def pin(self, size: Size) -> int:
        """The number itself: whatever depends on it holds for no other."""
        value: int = size.value
        self.ask("==", size.at, self.constant(value))
        return value


class Size:
    """A number as a function of sizes. Not an int: whoever needs one asks, and so is seen."""

    __slots__ = ("at", "trace", "value")

    def __init__(self, trace: Trace, at: int, value: Any):
        self.trace = trace
        self.at = at
        self.value = value

    # -- arithmetic -------------------------------------------------------------------------------
    def __add__(self, other: Any) -> Any:
        if other.__class__ is not Size and other == 0:
            return self
        return self.trace.make("+", self.at, self.trace.at(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if other.__class__ is not Size and other == 0:
            return self
        return self.trace.make("-", self.at, self.trace.at(other))

    def __rsub__(self, other: Any) -> Any:
        return self.trace.make("-", self.trace.constant(other), self.at)

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, Size | int | float):
            return NotImplemented
        if other.__class__ is not Size:
            if other == 1:
                return self
            if other == 0:
                return 0
        return self.trace.make("*", self.at, self.trace.at(other))

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        if other.__class__ is not Size and other == 1:
            return self
        return self.trace.make("//", self.at, self.trace.at(other))

    def __rfloordiv__(self, other: Any) -> Any:
        return self.trace.make("//", self.trace.constant(other), self.at)

    def __truediv__(self, other: Any) -> Any:
        return self.trace.make("/", self.at, self.trace.at(other))

    def __rtruediv__(self, other: Any) -> Any:
        return self.trace.make("/", self.trace.constant(other), self.at)

    def __mod__(self, other: Any) -> Any:
        return self.trace.make("%", self.at, self.trace.at(other))

    def __rmod__(self, other: Any) -> Any:
        return self.trace.make("%", self.trace.constant(other), self.at)

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Any, Any]:
        return other // self, other % self

    def __neg__(self) -> Any:
        return 0 - self

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    # -- questions --------------------------------------------------------------------------------
    def __eq__(self, other: object) -> bool:
        if isinstance(other, Size):
            return self.trace is other.trace and self.trace.ask("==", self.at, other.at)
        if not isinstance(other, int | float):
            return False
        return self.trace.ask("==", self.at, self.trace.constant(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: Any) -> bool:
        return self.trace.ask("<", self.at, self.trace.at(other))

    def __le__(self, other: Any) -> bool:
        return self.trace.ask("<=", self.at, self.trace.at(other))

    def __gt__(self, other: Any) -> bool:
        return self.trace.ask(">", self.at, self.trace.at(other))

    def __ge__(self, other: Any) -> bool:
        return self.trace.ask(">=", self.at, self.trace.at(other))

    def __bool__(self) -> bool:
        return self != 0

    def __hash__(self) -> int:
        """What a table finds under a Size holds while the same values that it was asked for are
        equal; 0, 1 and -1 it may have been asked for as integers."""
        if -1 <= self.value <= 1:
            return hash(self.trace.pin(self))
        self.trace.hashed.setdefault(self.value, self.at)
        return hash((self.value, _OWN))

    # -- the number itself ------------------------------------------------------------------------
    def __index__(self) -> int:
        return self.trace.pin(self)

    __int__ = __index__

    def __float__(self) -> float:
        return float(self.trace.pin(self))

    def __repr__(self) -> str:
        return f"{_MARK}{self.at}{_MARK}"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)


class Formulas:
    """What a trace has found, for any sizes: numbers as plain data.

    `steps` make the values of all expressions, from those of the sizes and constants that come
    first; `later` steps need the numbers that somebody else makes from those before. `asked` is
    what must hold; the expressions in `different` differ from each other, and from 0, 1 and -1.
    What depends on no size that is another than in the last case that held is not looked at again.
    """

    def __init__(
        self,
        count: int,
        constants: Sequence[Number],
        steps: Sequence[Step],
        unknown: int,
        later: Sequence[Step],
        asked: Sequence[Step],
        different: Sequence[int],
    ):
        """`count`, `unknown`: how many sizes there are, and numbers that come later."""
        self.count = count
        self.constants = list(constants)
        self.steps = list(steps)
        self.unknown = unknown
        self.later = list(later)
        self.asked = list(asked)
        self.different = list(different)
        self._first = count + len(self.constants)  # what the steps make begins here,
        self._then = self._first + len(self.steps)  # and what comes later here
        self._different = picker(self.different)
        self._make_later = [(_ARITHMETIC[op], a, b) for op, a, b in self.later]
        self._asked_later = [
            (_COMPARISONS[op], a, b) for op, a, b in self.asked if max(a, b) >= self._then
        ]
        self._ways: dict[tuple[int, ...], _Way] = {}
        self._last: list[Any] = [None] * count  # values that held

    def held(
        self, sizes: Sequence[int], unknown: Callable[[list[Any]], Sequence[int]] | None = None
    ) -> list[Any] | None:
        """The values of all expressions for these sizes; None where planning would get other
        answers than it got when it was traced. `unknown` makes the numbers that come later."""
        last = self._last
        changed = tuple([at for at, size in enumerate(sizes) if last[at] != size])
        way = self._ways.get(changed)
        if way is None:
            way = self._ways[changed] = _Way(self, changed)
        values = last[: self._then]
        if len(last) == self.count:
            values += self.constants
            values += [0] * len(self.steps)
        values[: self.count] = sizes
        try:
            for at, make, a, b in way.steps:
                values[at] = make(values[a], values[b])
        except ZeroDivisionError:  # by what is not zero where the formulas hold
            return None
        for holds, a, b in way.asked:
            if not holds(values[a], values[b]):
                return None
        if unknown is not None:
            values += unknown(values)
            append = values.append
            for make, a, b in self._make_later:
                append(make(values[a], values[b]))
            for holds, a, b in self._asked_later:
                if not holds(values[a], values[b]):
                    return None
        found = {-1, 0, 1, *self._different(values)}
        if len(found) != len(self.different) + 3:
            return None
        self._last = values
        return values

    def to_json(self) -> list[Any]:
        """What `Formulas` takes."""
        made = self.count, self.constants, self.steps, self.unknown, self.later
        return [*made, self.asked, self.different]

    def broken(self, sizes: Sequence[int], unknown: Sequence[int] = ()) -> list[str]:
        """The answers that would be others, as text."""
        values: list[Any] = [*sizes, *self.constants]
        for op, a, b in self.steps:
            values.append(_ARITHMETIC[op](values[a], values[b]))
        values += unknown
        return [
            f"{values[a]} {op} {values[b]}"
            for op, a, b in self.asked
            if max(a, b) < len(values) and not _COMPARISONS[op](values[a], values[b])
        ]


class _Way:
    """What has to be looked at when these sizes, by number, have changed."""

    __slots__ = ("asked", "steps")

    def __init__(self, of: Formulas, changed: Iterable[int]):
        touched = set(changed)
        self.steps: list[tuple[int, Callable[..., Any], int, int]] = []
        for at, (op, a, b) in enumerate(of.steps, of._first):
            if a in touched or b in touched:
                touched.add(at)
                self.steps.append((at, _ARITHMETIC[op], a, b))
        self.asked = [
            (_COMPARISONS[op], a, b)
            for op, a, b in of.asked
            if (a in touched or b in touched) and max(a, b) < of._then
        ]


def formulas(trace: Trace, wanted: Iterable[Any]) -> tuple[Formulas, Callable[[Any], int]]:
    """What a trace has found of these numbers, and what gives the number of a wanted Size or
    constant among its values. What neither they nor the answers depend on is left out."""
    used = {trace.at(number) for number in wanted}  # constants too are among the values
    used.update(trace.hashed.values())
    for _, a, b in trace.asked:
        used |= {a, b}
    for (_, a, b), at in reversed(trace.steps.items()):
        if at in used:
            used |= {a, b}
    steps = [(step, at) for step, at in trace.steps.items() if at in used]
    late = min(trace.unknown, default=len(trace.values))
    before, after = ([one for one in steps if (one[1] < late) is early] for early in (True, False))
    order = [*range(trace.count), *trace.constants.values(), *(at for _, at in before)]
    order += [*trace.unknown, *(at for _, at in after)]
    place = {at: number for number, at in enumerate(order)}

    def number(value: Any) -> int:
        if value.__class__ is Size:
            return place[value.at]
        return place[trace.constants[value.__class__, value]]

    def moved(steps: Iterable[Step]) -> list[Step]:
        return [(op, place[a], place[b]) for op, a, b in steps]

    made = Formulas(
        trace.count,
        [value for _, value in trace.constants],
        moved(step for step, _ in before),
        len(trace.unknown),
        moved(step for step, _ in after),
        moved(trace.asked),
        [place[at] for at in trace.hashed.values()],
    )
    return made, number
