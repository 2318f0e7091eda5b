"""The text of a tensor: `tensor([1., 2.])`, to the character what PyTorch prints.

Owns: the print options, how elements are spelled and aligned, which items of a large tensor are
left out, line wrapping, and the `dtype=`/`device=`/`grad_fn=` notes after the values. Must not
know: tensors, dtypes, nodes, devices or anything else of lazygrad; it is handed a numpy array and
plain names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class PrintOptions:
    """What `set_printoptions` sets. `sci_mode` None lets the values of each tensor decide."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}

_current = PrintOptions()


def get_printoptions() -> PrintOptions:
    """The options in force."""
    return _current


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors print, as `torch.set_printoptions` does.

    `profile` ("default", "short" or "full") is applied first and the other arguments over it.
    An argument left out keeps its value, except `sci_mode`, which every call sets. As in
    PyTorch, a profile of another name changes nothing.
    """
    global _current
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    changes = dict(_PROFILES.get(profile, {})) if profile is not None else {}
    changes.update((name, value) for name, value in given.items() if value is not None)
    _current = replace(_current, **changes, sci_mode=sci_mode)


def needs_summary(numel: int) -> bool:
    """Whether a tensor of this many elements prints only its edges, with `...` between them."""
    return numel > _current.threshold


def tensor_text(
    values: np.ndarray,
    *,
    dtype: str,
    device: str,
    requires_grad: bool,
    grad_fn: str | None,
    default_dtype: str = "float32",
    prefix: str = "tensor(",
    module: str = "lazygrad",
) -> str:
    """What PyTorch's `repr` gives for a tensor of these values.

    `values` holds bfloat16 as float32 (numpy has no type for it), hence `dtype`, the name to
    print. `requires_grad` shows only where there is no `grad_fn`, which implies it.
    """
    options = _current
    size_shown = values.ndim != 1 if values.size == 0 else options.edgeitems == 0
    # `[]` does not say whether it holds floats, integers or bools, so only one type goes unnamed.
    unnamed = (default_dtype,) if values.size == 0 else (default_dtype, "int64", "bool")

    notes: list[_Note] = []
    if device != "cpu":
        notes.append(_note(f"device='{device}'"))
    if size_shown:
        notes.append(_note(f"size={values.shape}"))
    if dtype not in unnamed:
        # Lines break where PyTorch breaks them, which has the shorter name to fit.
        notes.append(_Note(f"dtype={module}.{dtype}", len(f"dtype=torch.{dtype}")))
    if grad_fn is not None:
        notes.append(_note(f"grad_fn=<{grad_fn}>"))
    elif requires_grad:
        notes.append(_note("requires_grad=True"))

    if values.size == 0:
        body = "[]"
    else:
        edge = options.edgeitems if needs_summary(values.size) else None
        sample = values if edge is None else _edges(values, edge)
        style = _style_of(sample, options)
        body = _Layout(style, edge, options.linewidth).block(values, len(prefix))
    return _with_notes(prefix + body, notes, len(prefix), options.linewidth)


def _edges(values: np.ndarray, edge: int) -> np.ndarray:
    """The elements of `values` that a summary shows: the first and last `edge` along each axis."""
    for axis, size in enumerate(values.shape):
        if size > 2 * edge:
            shown = [*range(edge), *range(size - edge, size)]
            values = values.take(np.array(shown, dtype=np.intp), axis=axis)
    return values


@dataclass(frozen=True)
class _Style:
    """How the elements of one tensor are spelled, and the width they are all padded to."""

    spell: Callable[[Any], str]
    width: int

    def text(self, element: Any) -> str:
        return self.spell(element).rjust(self.width)


def _style_of(sample: np.ndarray, options: PrintOptions) -> _Style:
    if sample.dtype.kind != "f":
        return _Style(str, max(map(len, map(str, sample.ravel().tolist())), default=1))

    # In double, so that the ratio below neither overflows (float16) nor rounds.
    flat = sample.ravel().astype(np.float64)
    # Zeros, infinities and NaNs have no say in the style: they are spelled in whatever the
    # others need, and may stick out where those are narrow.
    telling = flat[np.isfinite(flat) & (flat != 0)]
    if telling.size == 0:
        return _Style(_spell_whole, 1)

    magnitudes = np.abs(telling)
    low, high = float(magnitudes.min()), float(magnitudes.max())
    whole = bool((telling == np.ceil(telling)).all())
    scientific = options.sci_mode
    if scientific is None:
        scientific = high / low > 1000 or high > 1e8 or low < 1e-4
    spell: Callable[[float], str]
    if scientific:
        spell = _speller("e", options.precision)
    elif whole:
        spell = _spell_whole
    else:
        spell = _speller("f", options.precision)
    return _Style(spell, max(map(len, map(spell, telling.tolist()))))


def _speller(kind: str, precision: int) -> Callable[[float], str]:
    spec = f".{precision}{kind}"
    return lambda x: format(x, spec)


def _spell_whole(x: float) -> str:
    """A float without a fraction: the point alone tells it from an integer."""
    return f"{x:.0f}." if math.isfinite(x) else f"{x:.0f}"


@dataclass(frozen=True)
class _Layout:
    """Lays elements out in brackets and lines; `edge` is None where every element is shown."""

    style: _Style
    edge: int | None
    linewidth: int

    def block(self, values: np.ndarray, indent: int) -> str:
        """The text of `values`, whose first character stands in column `indent`."""
        if values.ndim == 0:
            return self.style.text(values.item())
        if values.ndim == 1:
            return self._row(values, indent)
        rows = self._shown(values, lambda part: [self.block(v, indent + 1) for v in part], "...")
        return "[" + ("," + "\n" * (values.ndim - 1) + " " * (indent + 1)).join(rows) + "]"

    def _row(self, values: np.ndarray, indent: int) -> str:
        cell = self.style.width + len(", ")
        per_line = max(1, (self.linewidth - indent) // cell)
        # A row's mark has a space before it, unless it stands alone.
        mark = " ..." if self.edge else "..."
        items = self._shown(values, lambda part: list(map(self.style.text, part.tolist())), mark)
        lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"

    def _shown(
        self, values: np.ndarray, texts: Callable[[np.ndarray], list[str]], mark: str
    ) -> list[str]:
        """The texts of the items along the first axis, with `mark` for those left out."""
        size = len(values)
        if self.edge is None or (self.edge and size <= 2 * self.edge):
            return texts(values)
        return [*texts(values[: self.edge]), mark, *texts(values[size - self.edge :])]


@dataclass(frozen=True)
class _Note:
    """A `name=value` after the values, and the columns it counts for where lines are broken."""

    text: str
    width: int


def _note(text: str) -> _Note:
    return _Note(text, len(text))


def _with_notes(text: str, notes: list[_Note], indent: int, linewidth: int) -> str:
    """`text`, the notes and the closing bracket; a note that does not fit starts a line."""
    # PyTorch counts two characters past the values' last line: one is for the comma or bracket
    # to come, the other for nothing.
    column = len(text) - text.rfind("\n") + 1
    for note in notes:
        if column + len(", ") + note.width > linewidth:
            text += ",\n" + " " * indent + note.text
            column = indent + note.width
        else:
            text += ", " + note.text
            column += len(", ") + note.width
    return text + ")"
