"""Coverage of PyTorch's interface: each name is called on each dtype and the results compared.

Owns: what is checked (functions and methods, gradients and second gradients, in-place forms,
`out=`, and that what PyTorch refuses is refused with its exception type), how two results are
compared, and the rows and gaps that come of it. Must not know: the names and their arguments
(samples.py), or how rows are shown. Without PyTorch nothing is compared: a check then says whether
the call runs.
"""

from __future__ import annotations

import importlib
import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lazygrad.config import config
from lazygrad.testing.samples import DTYPES, SAMPLES, Call, Sample, inputs, namespace

CHECKS = ("forward", "gradient", "second gradient", "in-place", "out=", "errors")
_TOLERANCE = {"float64": 1e-9, "float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}
MISSING = "no such function"


@dataclass(frozen=True)
class Gap:
    """One check of one name that differs from PyTorch for one dtype."""

    name: str
    check: str
    dtype: str
    text: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.name, self.check, self.dtype


@dataclass
class Row:
    """What was found about a name: a check is yes, gap, or - where there is no such form."""

    name: str
    group: str
    dtypes: list[str] = field(default_factory=list)  # those that work, and agree
    checks: dict[str, str] = field(default_factory=lambda: dict.fromkeys(CHECKS, "-"))
    gaps: list[Gap] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What a call gave: an exception's type and words, or values."""

    error: str = ""
    words: str = ""
    values: tuple[Any, ...] = ()
    absent: bool = False  # there is no such form


ABSENT = Outcome(absent=True)


class Library:
    """PyTorch or lazygrad, as what calls need of it."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.given = {dtype: inputs(module, dtype, self.array) for dtype in DTYPES}

    def array(self, values: np.ndarray, dtype: Any) -> Any:
        return self.module.tensor(values.tolist(), dtype=dtype).reshape(values.shape)

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, self.module.Tensor)

    def leaves(self, dtype: str) -> dict[str, Any]:
        """The inputs, those of floats as new leaves that want gradients."""
        return {
            name: value.detach().clone().requires_grad_()
            if self.is_tensor(value) and value.is_floating_point()
            else value
            for name, value in self.given[dtype].items()
        }

    def tensors(self, result: Any) -> list[Any]:
        """All tensors of a result, in order."""
        if self.is_tensor(result):
            return [result]
        if isinstance(result, (tuple, list)):
            return [t for part in result for t in self.tensors(part)]
        return []

    def plain(self, result: Any, rule: str = "") -> Iterator[Any]:
        """A result as (dtype, shape, values) for each tensor; other values as they are."""
        if self.is_tensor(result):
            kind = str(result.dtype).rpartition(".")[2]
            shape = tuple(result.shape)
            detached = result.detach()
            if getattr(detached, "_is_zerotensor", bool)():  # PyTorch's zeros without memory
                detached = self.module.zeros(shape, dtype=detached.dtype)
            if rule == "shape" or (rule == "order" and kind == "int64" and self.duplicates):
                yield kind, shape, None
            else:
                values = np.array(detached.tolist()).reshape(shape)
                yield kind, shape, np.asarray(np.abs(values)) if rule == "abs" else values
        elif isinstance(result, (tuple, list)):
            yield type(result).__name__ if type(result) in (tuple, list) else "named", len(result)
            for part in result:
                yield from self.plain(part, rule)
        elif isinstance(result, type(self.module.float32)):
            yield "dtype", str(result).rpartition(".")[2]
        else:
            yield type(result).__name__, result

    duplicates = False  # whether the inputs of this dtype have equal elements

    # A second gradient that PyTorch has not: what comes of it then is nobody's model.
    without = re.compile(r"(the )?derivative for '?(aten::)?\w+_backward'? is not implemented")

    def attempt(self, action: Callable[[], Any], rule: str = "") -> Outcome:
        try:
            result = action()
            return ABSENT if result is ABSENT else Outcome(values=tuple(self.plain(result, rule)))
        except Exception as problem:
            words = str(problem).strip().split("\n")[0]
            if self.without.match(words):
                return ABSENT
            return Outcome(error=type(problem).__name__.strip("_"), words=words)


# -- the forms of a name --------------------------------------------------------------------------


def _function(lib: Library, sample: Sample) -> Any:
    found = getattr(namespace(lib.module, sample.place), sample.name, None)
    return found if callable(found) and not sample.name.endswith("_") else None


def _method(lib: Library, sample: Sample) -> Any:
    """The method as a function of the tensor and its arguments; properties too."""
    name = sample.name
    found = None if sample.place else getattr(lib.module.Tensor, name, None)
    if found is None:
        return None
    if name.endswith("_"):
        return _written(lambda t, *args, **kwargs: getattr(t, name)(*args, **kwargs))
    return found if callable(found) else lambda t: getattr(t, name)


def _inplace(lib: Library, sample: Sample) -> Any:
    """The in-place form, on a copy of the first argument."""
    name, place = sample.name, sample.place
    if place == "index":
        return _written(_assign)
    if place == "operator":
        found = getattr(namespace(lib.module, place), "i" + name.strip("_"), None)
        return _written(found) if found else None
    holder = lib.module.Tensor if not place else namespace(lib.module, place)
    found = getattr(holder, f"{name}_", None)
    return _written(found) if found is not None and name[-1] != "_" else None


def _assign(t: Any, key: Any) -> Any:
    t[key] = t.flip(0)[key]
    t[key] = 1
    return t


def _written(function: Any) -> Any:
    """The result of an in-place form, and the tensor that it changed."""

    def run(first: Any, *args: Any, **kwargs: Any) -> Any:
        copy = first.clone()
        result = function(copy, *args, **kwargs)
        return result if result is copy else (result, copy)

    return run


def _with_out(lib: Library, function: Any) -> Any:
    """The form with out=: new tensors of the result's dtypes; None where it has none."""

    def run(*args: Any, **kwargs: Any) -> Any:
        plain = function(*args, **kwargs)
        parts = lib.tensors(plain)
        if not parts or (not lib.is_tensor(plain) and len(parts) != len(plain)):
            return ABSENT
        outs = tuple(lib.module.empty(0, dtype=part.dtype) for part in parts)
        given = outs[0] if lib.is_tensor(plain) else outs
        try:
            function(*args, **kwargs, out=given)
        except TypeError:
            return ABSENT
        return outs

    return run


def _takes_tensor(lib: Library, call: Call, dtype: str) -> bool:
    try:
        args, _ = eval(call.code, lib.given[dtype])
    except Exception:
        return False
    return bool(args) and lib.is_tensor(args[0])


def _value(lib: Library, form: Any, call: Call, dtype: str) -> Outcome:
    def action() -> Any:
        args, kwargs = eval(call.code, lib.given[dtype])
        return form(*args, **kwargs)

    return lib.attempt(action, call.rule)


# -- gradients ------------------------------------------------------------------------------------


def _weights(lib: Library, like: Any, turn: int) -> Any:
    """What the outputs are multiplied by: the same for both libraries."""
    count = math.prod(like.shape)
    values = np.cos(np.arange(count) * 1.3 + turn).reshape(tuple(like.shape))
    return lib.array(values, like.dtype)


def _gradient(lib: Library, form: Any, call: Call, dtype: str, twice: bool) -> Outcome:
    """Gradients of a weighted sum of the results, for every input that the call names."""

    def action() -> Any:
        leaves = lib.leaves(dtype)
        args, kwargs = eval(call.code, leaves)
        wanted = [leaves[n] for n in call.code.co_names if lib.is_tensor(leaves.get(n))]
        wanted = [t for t in wanted if t.requires_grad]
        outs = [t for t in lib.tensors(form(*args, **kwargs)) if t.requires_grad]
        if call.rule == "abs":
            outs = [t.abs() for t in outs]  # what does not depend on the signs
        if not outs or not wanted or call.rule in ("shape", "values"):
            return ABSENT
        weights = [_weights(lib, out, n) for n, out in enumerate(outs)]
        grad = lib.module.autograd.grad
        found = grad(outs, wanted, weights, create_graph=twice, allow_unused=True)
        if not twice:
            return ["no gradient" if g is None else g for g in found]
        again = [(g, n) for n, g in enumerate(found) if g is not None and g.requires_grad]
        weights = [_weights(lib, g, n + 5) for g, n in again]
        found = [None] * len(wanted)
        if again:
            found = grad([g for g, _ in again], wanted, weights, allow_unused=True)
        return [lib.module.zeros_like(t) if g is None else g for t, g in zip(wanted, found)]

    return lib.attempt(action)


# -- comparison -----------------------------------------------------------------------------------


def difference(ours: Outcome, theirs: Outcome, size: float = 0.0) -> str:
    """What a user of PyTorch would find different; empty: nothing. `size` is the tolerance."""
    if theirs.absent or (ours.absent and theirs.error):
        return ""
    if ours.absent:
        return "nothing; PyTorch gives a result"
    if theirs.error:
        if ours.error == theirs.error:
            return ""
        return f"{ours.error or 'a result'}; PyTorch raises {theirs.error}: {theirs.words[:70]}"
    if ours.error:
        return f"{ours.error}: {ours.words[:90]}; PyTorch gives a result"
    if len(ours.values) != len(theirs.values):
        return f"{len(ours.values)} results; PyTorch gives {len(theirs.values)}"
    for a, b in zip(ours.values, theirs.values):
        if a[:2] != b[:2] and not _same_number(a, b):
            return f"{_shown(a)}; PyTorch gives {_shown(b)}"
        if len(a) == 3 and a[2] is not None and b[2] is not None:
            known = _TOLERANCE.get(a[0])  # of floats; other values are equal or not
            wrong = _unequal(a[2], b[2], max(size, known) if known else 0.0)
            if wrong.any():
                at = tuple(int(n) for n in np.argwhere(wrong)[0])
                return f"{a[2][at]:.6g} at {list(at)}; PyTorch gives {b[2][at]:.6g}"
    return ""


def _shown(value: tuple[Any, ...]) -> str:
    if len(value) == 3:
        return f"{value[0]} {list(value[1])}"
    return value[1] if value[0] == "str" else f"{value[0]} {value[1]}"


def _same_number(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    if not a[0] == b[0] == "float":
        return False
    return math.isclose(a[1], b[1], rel_tol=1e-6) or (math.isnan(a[1]) and math.isnan(b[1]))


def _unequal(a: np.ndarray, b: np.ndarray, size: float) -> np.ndarray:
    if not size:
        return np.not_equal(a, b)
    with np.errstate(all="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        return np.logical_not(same | (np.abs(a - b) <= size * (np.abs(b) + 1)))


# -- the measurement ------------------------------------------------------------------------------


@contextmanager
def quiet(library: Any) -> Iterator[None]:
    """The interpreter, without warnings, and the generator's state as it was."""
    backend, config.backend = config.backend, "interp"
    state = library.get_rng_state()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        config.backend = backend
        library.set_rng_state(state)


def pytorch() -> Any:
    """PyTorch's module, or None."""
    try:
        return importlib.import_module("torch")
    except ImportError:
        return None


class _Measure:
    def __init__(self, ours: Library, theirs: Library | None, sample: Sample) -> None:
        self.ours, self.theirs, self.sample = ours, theirs, sample
        self.row = Row(sample.label, sample.group)

    def gap(self, check: str, dtype: str, text: str) -> None:
        if all(g.key != (self.row.name, check, dtype) for g in self.row.gaps):
            self.row.gaps.append(Gap(self.row.name, check, dtype, text))
        self.row.checks[check] = "gap"

    def compare(
        self,
        check: str,
        dtype: str,
        find: Callable[[Library, Sample], Any],
        call: Call,
        run: Callable[..., Outcome],
        *more: Any,
    ) -> bool:
        """Whether a form works for a dtype; what differs is noted."""
        form = find(self.ours, self.sample)
        other = find(self.theirs, self.sample) if self.theirs else form
        if other is None:
            return False
        if form is None:
            if find is _function and check == "forward":
                self.gap(check, dtype, MISSING)
            elif not self.is_missing and (find is _method or check == "in-place"):
                self.gap(check, dtype, "no such method" if find is _method else "no such form")
            return False
        result = run(self.ours, form, call, dtype, *more)
        if self.theirs is None:
            works = not result.error and not result.absent
        else:
            expected = run(self.theirs, other, call, dtype, *more)
            single = "float32" in call.text or call.rule == "single"
            text = difference(result, expected, 1e-5 if single else 0.0)
            failed = "errors" if expected.error else check
            if text:
                what = check if failed == "errors" and check != "forward" else ""
                self.gap(failed, dtype, f"`{call.text}`{' ' * bool(what)}{what}: {text}")
            elif expected.error and self.row.checks["errors"] == "-":
                self.row.checks["errors"] = "yes"
            works = not text and not expected.error and not expected.absent
        if works and self.row.checks[check] == "-":
            self.row.checks[check] = "yes"
        return works

    @property
    def is_missing(self) -> bool:
        return any(g.text == MISSING for g in self.row.gaps)

    def run(self, dtypes: Iterable[str]) -> Row:
        sample, lib = self.sample, self.theirs or self.ours
        for dtype in dtypes:
            self.ours.duplicates = dtype == "bool"
            works = [
                self.compare("forward", dtype, _function, call, _value)
                for call in sample.calls
                if dtype in call.dtypes
            ]
            for call in sample.method_calls:
                if dtype in call.dtypes and _takes_tensor(lib, call, dtype):
                    found = self.compare("forward", dtype, _method, call, _value)
                    works.append(found)
                    self.compare("in-place", dtype, _inplace, call, _value)
            if any(works) and not any(
                g.check == "forward" and g.dtype == dtype for g in self.row.gaps
            ):
                self.row.dtypes.append(dtype)
        if "float64" in dtypes:
            self.derivatives("float64")
        if (
            "float32" in dtypes
            and _function(lib, sample)
            and sample.place not in ("operator", "index")
        ):
            for call in (c for c in sample.calls if "float32" in c.dtypes):
                self.compare("out=", "float32", self.out_form, call, _value)
        return self.row

    @staticmethod
    def out_form(lib: Library, sample: Sample) -> Any:
        found = _function(lib, sample)
        return _with_out(lib, found) if found else None

    def derivatives(self, dtype: str) -> None:
        is_function = _function(self.theirs or self.ours, self.sample) is not None
        find, calls = (
            (_function, self.sample.calls) if is_function else (_method, self.sample.method_calls)
        )
        for call in calls:
            for check, twice in (("gradient", False), ("second gradient", True)):
                self.compare(check, dtype, find, call, _gradient, twice)
        for call in self.sample.method_calls:
            if _takes_tensor(self.ours, call, dtype):
                self.compare("in-place", dtype, _inplace, call, _gradient, False)


def measure(
    reference: Any = None, names: Iterable[str] | None = None, dtypes: Iterable[str] = DTYPES
) -> list[Row]:
    """One row for each name (all, if none are given), against PyTorch's module if it is given."""
    library = importlib.import_module("lazygrad")
    wanted = None if names is None else set(names)
    dtypes = tuple(dtypes)
    with quiet(library):
        ours, theirs = Library(library), Library(reference) if reference else None
        return [
            _Measure(ours, theirs, sample).run(dtypes)
            for sample in SAMPLES
            if wanted is None or sample.label in wanted
        ]
