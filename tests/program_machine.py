"""Random programs, run by lazygrad under three regimes and by PyTorch, to be found equal.

A program is a list of Python statements over `T` (lazygrad or torch), `np` and the names made by
earlier statements. It is written while it runs: the next statement is chosen by looking at the
shapes and dtypes that the first machine has. Statements may fail: then all must fail alike.

    python -m tests.program_machine --programs 50000 --seed 0

(with `--device cuda` on that device, and by the interpreter on the host for comparison)
finds failing programs, shrinks them by leaving statements out, and prints them; `--first` goes on
where a run was stopped. Owns: the
language, the machines, what is compared. Must not know: lazygrad's insides.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # where this is not run by pytest

import on_device

import lazygrad
from lazygrad.config import config

Rng = random.Random
FLOATS = ("float32", "float64")
INTEGERS = ("int64", "int32", "uint8", "int16", "int8")
NAME = re.compile(r"\b[tnp]\d+\b")
# Where PyTorch's text says which rule was broken, lazygrad's has to say the same.
PHRASES = (
    "a leaf Variable that requires grad",
    "a view of a leaf Variable",
    "modified by an inplace",
    "a second time",
    "does not require grad",
    "is a view and is being modified",
    "more than one element of the written-to",
    "created in no_grad mode",
    "implicitly created only for scalar",
    "Can't call numpy()",
    "only Tensors of floating point",
    "change requires_grad flags",
    "can't be cast to",
    "not have been used in the graph",
    "view size is not compatible",
    "is at version",
    "can't retain_grad",
    "doesn't match the broadcast shape",
)
OVERLAP = re.compile("some elements of the input tensor|its base or another view of its base")
# Rounding may differ in these, so nothing that jumps is made of their results.
INEXACT = (
    "tanh",
    "sigmoid",
    "exp",
    "softmax",
    "mean",
    "std",
    "var",
    "sqrt",
    "/",
    "div",
    ".grad",
    "autograd.grad",
    "rsqrt",
    "log",
    "prod",
    "norm",
)

# Statements with these names change the state of a machine's random numbers.
DRAWS = {
    "bernoulli",
    "bernoulli_",
    "dropout",
    "manual_seed",
    "normal_",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randperm",
    "uniform_",
}

# -- the language -------------------------------------------------------------------------------


class Seen:
    """Objects that were seen, known by themselves: an address alone serves again, and then the
    next statement hangs on where memory was free. None is kept alive."""

    def __init__(self) -> None:
        self._refs: dict[int, weakref.ref[Any]] = {}

    def update(self, objects: Iterable[Any]) -> None:
        for it in objects:
            self._refs[id(it)] = weakref.ref(it)

    def __contains__(self, it: object) -> bool:
        ref = self._refs.get(id(it))
        return ref is not None and ref() is it


class Writer:
    """Chooses statements. Looks at the namespace of a machine, never changes it."""

    def __init__(self, rng: Rng, names: dict[str, Any], chance: bool = False):
        self.rng = rng
        self.names = names
        self.count = 0
        self.chance = chance  # whether random numbers may show: no two libraries draw the same
        self.rough = Seen()  # storages whose values may be rounded differently
        self.leaves = Seen()

    def fresh(self, kind: str = "t") -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def tensors(self, test: Callable[[Any], bool] = lambda t: True) -> list[str]:
        return [k for k, v in self.names.items() if isinstance(v, lazygrad.Tensor) and test(v)]

    def any(self, test: Callable[[Any], bool] = lambda t: True) -> str:
        """The name of a tensor, rather a late one; of one that passes the test where there is."""
        found = self.tensors(test) or self.tensors()
        if len(found) > 1 and self.rng.random() < 0.4:
            return found[-1]
        return self.rng.choice(found)

    def exact(self) -> str:
        return self.any(lambda t: not self.is_rough(t))

    def is_rough(self, t: Any) -> bool:
        return t._storage in self.rough

    def note(self, text: str) -> None:
        """After a statement: what may be rounded differently from now on."""
        named = [self.names.get(name) for name in NAME.findall(text)]
        known = [t for t in named if isinstance(t, lazygrad.Tensor)]
        if "requires_grad" in text:
            self.leaves.update(known)
        if any(word in text for word in INEXACT) or any(map(self.is_rough, known)):
            self.rough.update(t._storage for t in known)

    # -- parts of statements

    def shape(self, rank: int | None = None) -> tuple[int, ...]:
        rank = self.rng.choice((0, 1, 1, 2, 2, 2, 3)) if rank is None else rank
        return tuple(
            self.rng.choice((1, 2, 2, 3, 3, 4, 0 if self.rng.random() < 0.08 else 2))
            for _ in range(rank)
        )

    def dtype(self) -> str:
        rng = self.rng
        return rng.choice((*FLOATS, *FLOATS[:1] * 4, *INTEGERS, "int64", "bool"))

    def number(self, t: Any = None) -> str:
        whole = t is not None and not t.is_floating_point() and self.rng.random() < 0.9
        return self.rng.choice(("2", "3", "1", "0") if whole else ("2", "-1", "0.5", "1.5", "3"))

    def dim(self, t: Any) -> int:
        rank = max(t.dim(), 1)
        return self.rng.randrange(-rank, rank + (self.rng.random() < 0.03))

    def like(self, t: Any) -> str:
        """A tensor that may be combined with t, or a number."""
        rng = self.rng
        if rng.random() < 0.25:
            return self.number(t)
        if rng.random() < 0.2:
            return self.any()
        return self.any(lambda o: fits(tuple(o.shape), tuple(t.shape)))

    def span(self, extent: int) -> str:
        rng = self.rng
        kind = rng.randrange(6)
        if kind == 0 or extent < 2:
            return ":"
        start, stop = sorted((rng.randrange(extent), rng.randrange(extent + 1)))
        if kind == 1:
            return f"{start}:"
        if kind == 2:
            return f":{stop}"
        if kind == 3:
            return f"-{max(extent - start, 1)}:"
        return (
            f"{start}:{max(stop, start + (rng.random() < 0.9))}:{rng.choice((1, 2, 2, 3))}"
            if kind == 4
            else f"::{rng.choice((2, 2, 3))}"
        )

    def index(self, t: Any, advanced: float) -> str:
        rng = self.rng
        items: list[str] = []
        shape = tuple(t.shape)
        same = self.tensors(
            lambda m: m.dtype is lazygrad.bool and tuple(m.shape) == shape and not self.is_rough(m)
        )
        if rng.random() < advanced:
            if rng.random() < 0.3 and same:
                return rng.choice(same)
            if rng.random() < 0.4 and not self.is_rough(t) and t.dtype is not lazygrad.bool:
                return f"{self.name_of(t)} > {rng.choice('0125')}"
        for extent in shape[: rng.randint(1, len(shape)) if shape else 0]:
            roll = rng.random()
            if roll < advanced * 0.5 and extent:
                size = rng.randint(1, 3)
                inside = [rng.randrange(-extent, extent) for _ in range(size)]
                kind = rng.choice(("T.tensor({})", "{}", "np.array({})", "T.tensor([{}])", "mask"))
                if kind == "mask":
                    chosen = [rng.random() < 0.6 for _ in range(extent)]
                    kind, inside = rng.choice(("T.tensor({})", "{}")), chosen
                elif rng.random() < 0.15:
                    kind, inside = "T.tensor({})", inside[:1]
                    items.append(kind.format(inside[0]))  # of rank 0
                    continue
                items.append(kind.format(inside))
            elif roll < 0.45:
                items.append(
                    str(rng.randrange(-extent, extent + (rng.random() < 0.05)) if extent else 0)
                )
            else:
                items.append(self.span(extent))
        if rng.random() < 0.1:
            items.insert(rng.randint(0, len(items)), "None")
        if rng.random() < 0.1:
            items.insert(rng.randint(0, len(items)), "...")
        return ", ".join(items) or "..."

    def writable(self, t: Any) -> bool:
        return t not in self.leaves and not overlaps(t)

    def name_of(self, t: Any) -> str:
        return next(k for k, v in self.names.items() if v is t)

    def other_shape(self, t: Any) -> tuple[int, ...]:
        """A shape with as many elements, mostly."""
        n, rng = t.numel(), self.rng
        options: list[tuple[int, ...]] = [(n,), (-1,), (1, n), (n, 1)]
        options += [(a, n // a) for a in (2, 3, 4) if n and n % a == 0]
        options += [(a, -1, b) for a in (1, 2) for b in (2, 3) if n and n % (a * b) == 0]
        if n == 1:
            options.append(())
        if rng.random() < 0.02:
            return (n + 1,)
        return rng.choice(options)

    # -- statements

    def statement(self) -> str:
        if len(self.tensors()) < 2:
            return self.create()
        kinds, weights = zip(*STATEMENTS)
        return self.of_kind(self.rng.choices(kinds, weights)[0])

    def of_kind(self, kind: Callable[[Writer], str]) -> str:
        """A statement of this kind; another where that would be undefined."""
        text = kind(self)
        return self.create() if self.is_odd(text) else text

    def is_odd(self, text: str) -> bool:
        """What PyTorch leaves undefined: elements read and written by one statement, and the
        history that integers get when they are written from what needs a gradient."""
        if self.mixes(text):
            return True
        if "=" not in text and "copy_" not in text and "fill_" not in text:
            return False
        known = [self.names.get(name) for name in NAME.findall(text)]
        given = [t for t in known if isinstance(t, lazygrad.Tensor)]
        return (
            "= " not in text.split("[")[0]
            and any(t.requires_grad for t in given)
            and any(not t.is_floating_point() for t in given)
        )

    def mixes(self, text: str) -> bool:
        """Whether a tensor is written from another one in the same memory, neither checked."""
        known = [self.names.get(name) for name in NAME.findall(text)]
        given = [t for t in known if isinstance(t, lazygrad.Tensor)]
        if not given or "= " in text.split("[")[0]:
            return False
        shares = [t for t in given[1:] if same_memory(t, given[0])]
        if any(t._storage is not given[0]._storage for t in shares):
            return True
        value = [self.names.get(name) for name in NAME.findall(text.rpartition("] =")[2])]
        if "] =" in text and "[0] =" not in text and any(t is v for t in shares for v in value):
            return True
        return any(t is not given[0] and not dense(t) for t in shares) or (
            any(t is not given[0] for t in shares) and not dense(given[0])
        )

    def create(self) -> str:
        rng, shape, dtype = self.rng, self.shape(), self.dtype()
        count = int(np.prod(shape))
        wants = ", requires_grad=True" if dtype in FLOATS and rng.random() < 0.55 else ""
        name, kind = self.fresh(), rng.random()
        if kind < 0.35:
            values = [rng.randrange(0 if dtype == "uint8" else -4, 6) for _ in range(count)]
            nested = np.array(values).reshape(shape).tolist()
            return f"{name} = T.tensor({nested}, dtype=T.{dtype}{wants})"
        if kind < 0.6:
            made = f"T.arange({count}, dtype=T.{dtype if dtype != 'bool' else 'int64'})"
            tail = ".requires_grad_()" if wants else ""
            return f"{name} = {made}.reshape({shape}){tail}"
        if kind < 0.8:
            made = rng.choice(("zeros", "ones"))
            return f"{name} = T.{made}({shape}, dtype=T.{dtype}{wants})"
        if kind < 0.9:
            return f"{name} = T.full({shape}, {rng.choice((0, 1, 2))}, dtype=T.{dtype}{wants})"
        return (
            f"{name} = T.{rng.choice(('zeros', 'ones', 'empty'))}_like({self.any()})".replace(
                "empty_like", "zeros_like"
            )
            if self.tensors()
            else self.create()
        )

    def array(self) -> str:
        shape, dtype, name = self.shape(), self.dtype(), self.fresh("n")
        text = f"{name} = np.arange({int(np.prod(shape))}).reshape({shape}).astype(np.{dtype})"
        return text.replace("np.bool)", "np.bool_)")

    def arrays(self) -> list[str]:
        return [k for k, v in self.names.items() if isinstance(v, np.ndarray)]

    def from_numpy(self) -> str:
        found = self.arrays()
        if not found:
            return self.array()
        name = self.rng.choice(found)
        view = self.rng.choice(("", "", "", "[::2]", ".T", "[1:]"))
        if not self.names[name].ndim:
            view = ""
        how = self.rng.choice(("from_numpy", "from_numpy", "from_dlpack"))
        if on_device.name() != on_device.HOST:
            how = "from_numpy"  # which copies there: DLPack would make a tensor of the host's
        return f"{self.fresh()} = T.{how}({name}{view})"

    def to_numpy(self) -> str:
        name = self.any(lambda t: not t.requires_grad)
        how = (
            "{}.numpy()",
            "{}.numpy()",
            "{}.detach().numpy()",
            "np.asarray({}.detach())",
            "{}[1:].numpy()",
            "np.from_dlpack({}.detach())",
        )
        if on_device.name() != on_device.HOST:
            how = how[:-1]  # numpy takes no other device's memory
        return f"{self.fresh('n')} = {self.rng.choice(how).format(name)}"

    def write_array(self) -> str:
        found = [k for k in self.arrays() if self.names[k].flags.writeable]
        if not found:
            return self.to_numpy()
        name = self.rng.choice(found)
        array = self.names[name]
        where = "..." if not array.ndim else self.rng.choice(("...", "0", "1:", "::2", "-1"))
        if array.dtype == bool:
            return f"{name}[{where}] = True"
        roll = self.rng.random()
        if roll < 0.15:
            return f"{self.fresh('n')} = {name}[{where}]"
        return f"{name}[{where}] {self.rng.choice(('=', '+='))} {self.rng.choice((3, 7, 1))}"

    def view(self) -> str:
        rng = self.rng
        name = self.any()
        t = self.names[name]
        rank, new = t.dim(), self.fresh()
        options = [
            f"{name}.reshape({self.other_shape(t)})",
            f"{name}.view({self.other_shape(t)})",
            f"{name}.unsqueeze({rng.randint(-rank - 1, rank)})",
            f"{name}.squeeze()",
            f"{name}.flatten()",
            f"{name}.detach()",
            f"{name}.data",
            f"{name}.view_as({name})",
            f"{name}[{self.index(t, 0)}]",
            f"{name}[{self.index(t, 0)}]",
            f"{name}.expand({(rng.choice((1, 2, 3)), *t.shape)})",
        ]
        if rank:
            options += [
                f"{name}.select({self.dim(t)}, 0)",
                f"{name}.squeeze({self.dim(t)})",
                f"{name}.narrow(0, 0, {max(t.shape[0] - 1, 0)})",
                f"{name}.unfold({self.dim(t)}, {rng.choice((1, 2, 2, 3))}, 1)",
                f"{name}.chunk(2, {self.dim(t)})[{rng.choice((0, 0, -1))}]",
                f"{name}.split(1)[0]",
                f"{name}.unbind()[-1]",
            ]
        if rank > 1:
            order = rng.sample(range(rank), rank)
            options += [
                f"{name}.transpose({self.dim(t)}, {self.dim(t)})",
                f"{name}.mT",
                f"{name}.permute({order})",
                f"{name}.diagonal()",
                f"{name}.movedim(0, -1)",
                f"{name}.diagonal({rng.choice((-1, 1))})",
                f"{name}.flatten(0, 1)",
                f"{name}.transpose(0, 1)",
            ]
        if rank == 2:
            options += [f"{name}.T", f"{name}.t()"]
        if 1 in t.shape:
            wide = tuple(rng.choice((2, 3)) if e == 1 else rng.choice((e, -1)) for e in t.shape)
            options += [f"{name}.expand({wide})"] * 2
        return f"{new} = {rng.choice(options)}"

    def elementwise(self) -> str:
        rng, name = self.rng, self.any()
        t, new = self.names[name], self.fresh()
        if rng.random() < 0.55:
            op = rng.choice(("+", "-", "*", "*", "+"))
            return f"{new} = {name} {op} {self.like(t)}"
        roll = rng.random()
        if roll < 0.25:
            exact = self.exact()
            other = self.names[exact]
            op = rng.choice(("<", ">=", "==", "!=", "%", "//"))
            return f"{new} = {exact} {op} {rng.choice('1234') if other.dim() else '2'}"
        if roll < 0.35:
            exact = self.exact()
            return f"{new} = {exact}.to(T.{self.dtype()})"
        if roll < 0.5:
            return (
                f"{new} = {rng.choice(('T.maximum', 'T.minimum', 'T.mul'))}({name}, {self.any()})"
            )
        if roll < 0.6:
            mask = self.any(lambda m: m.dtype is lazygrad.bool)
            return f"{new} = T.where({mask}, {name}, {self.like(t)})"
        if roll < 0.7:
            return f"{new} = T.cat([{name}, {self.any(lambda o: o.shape == t.shape)}])"
        if roll < 0.78:
            return f"{new} = {name}[{self.index(t, 0.8)}]"
        one = (
            "-{0}",
            "{0}.abs()",
            "{0}.relu()",
            "{0}.clone()",
            "{0}.contiguous()",
            "{0} * {0}",
            "{0} ** 2",
            "{0}.clamp(-1, 2)",
            "{0}.tanh()",
            "{0}.sigmoid()",
            "T.stack([{0}, {0}])",
            "{0} / 2",
            "{0}.square()",
            "{0}.flip(0)",
            "{0}.float()",
            "{0}.double()",
            "{0}.sqrt()",
            "{0}.repeat(2, 1)",
            "{0}.clone().T",
            "{0}.sign()",
        )
        return f"{new} = {rng.choice(one).format(name)}"

    def reduction(self) -> str:
        rng, name = self.rng, self.any()
        t, new = self.names[name], self.fresh()
        if rng.random() < 0.3:
            exact = self.exact()
            return f"{new} = {exact}.{rng.choice(('argmax', 'any', 'all', 'max', 'min', 'sum'))}()"
        if rng.random() < 0.15 and t.dim():
            return f"{new} = {name}.cumsum({self.dim(t)})"
        keep = rng.choice(("", ", keepdim=True"))
        what = rng.choice(("sum", "sum", "sum", "amax", "mean", "prod"))
        return f"{new} = {name}.{what}({self.dim(t)}{keep})"

    def product(self) -> str:
        name = self.any(lambda t: 0 < t.dim() < 3 and t.dtype is lazygrad.float32)
        t = self.names[name]
        if not 0 < t.dim() < 3:
            return self.view()
        last = t.shape[-1] if t.dim() else 1
        other = self.any(
            lambda o: (
                0 < o.dim() < 3 and o.dtype is t.dtype and o.shape[max(o.dim() - 2, 0)] == last
            )
        )
        if not 0 < self.names[other].dim() < 3:
            return self.view()
        return f"{self.fresh()} = {name} @ {other}"

    def inplace(self) -> str:
        rng = self.rng
        name = self.any(self.writable if rng.random() < 0.85 else repeats)
        t = self.names[name]
        if not repeats(t):
            return self.create()
        if rng.random() < 0.5:
            op = rng.choice(("add_", "mul_", "sub_", "copy_", "add_", "mul_"))
            other = self.like(t)
            if op == "copy_" and not other.startswith("t"):
                op = "fill_"
            return f"{name}.{op}({other})"
        if rng.random() < 0.35:
            part = self.index(t, 0)
            return f"{name}[{part}] {rng.choice(('+=', '*=', '-='))} {self.number(t)}"
        one = (
            "zero_()",
            "fill_(2)",
            "relu_()",
            "clamp_(-1, 2)",
            "neg_()",
            "abs_()",
            "tanh_()",
            "t_()",
            "unsqueeze_(0)",
            "squeeze_()",
            "square_()",
            "mul_(2)",
            "add_(1, alpha=2)",
            "addcmul_({0}, {0})",
            "masked_fill_({0} > 1, 5)",
            "div_(2)",
            "exponential_",
            "transpose_(0, -1)",
            "index_fill_(0, T.tensor([0]), 3)",
            "fill_diagonal_(7)",
            "lerp_({0}, 0.5)",
            "sigmoid_()",
            "detach_()",
            "pow_(2)",
        )
        what = rng.choice([o for o in one if o != "exponential_"])
        if "index_fill" in what and not t.numel():
            what = "zero_()"
        if "masked_fill" in what:
            name = self.exact()
        return f"{name}.{what.format(name)}"

    def setitem(self) -> str:
        name = self.any(self.writable)
        t = self.names[name]
        if overlaps(t):
            return self.create()
        if self.rng.random() < 0.6:
            return f"{name}[{self.index(t, 0.5)}] = {self.number(t)}"
        if self.rng.random() < 0.3 and t.dim() > 1:
            return f"{name}[0] = {name}[-1]"
        return f"{name}[{self.index(t, 0.4)}] = {self.like(t)}"

    def look(self) -> str:
        rng, new = self.rng, self.fresh("p")
        exact = self.exact()
        how = (
            "repr({})",
            "{}.tolist()",
            "{}.sum().item()",
            "bool({}.any())",
            "str({})",
            "len({})",
            "{}._version",
            "{}.is_contiguous()",
            "{}.storage_offset()",
            "float({}.sum())",
            "[float(x) for x in {}.flatten()]",
            "{}._is_view()",
        )
        return f"{new} = {rng.choice(how).format(exact)}"

    def flag(self) -> str:
        name = self.any(lambda t: t.is_floating_point())
        how = (
            "{}.requires_grad_()",
            "{}.retain_grad()",
            "{}.requires_grad_(False)",
            "{}.grad = None",
            "{}.requires_grad = True",
            "{}.retain_grad()",
            "{0} = {0}.grad.data",
            "{0}.grad.zero_()",
            "{0}.grad.mul_(2)",
            "{0}.data = {0}.data * 2",
            "{0}.data.add_(1)",
            "{0}.data[...] = 3",
        )
        t = self.names[name]
        if overlaps(t):
            how = how[:6]
        text = self.rng.choice(how).format(name)
        # PyTorch counts versions of views together with what they were views of, even after that
        # has got other memory
        if ".data = " in text and (t._version or t._is_view() or self.has_others(t)):
            return self.view()
        if text.endswith(".grad.data"):
            text = text.replace(name, self.fresh(), 1)
        return text

    def backward(self) -> str:
        rng = self.rng
        name = self.any(lambda t: t.requires_grad)
        keep = rng.choice(("", "", "retain_graph=True"))
        roll = rng.random()
        if roll < 0.35:
            return f"{name}.sum().backward({keep})"
        if roll < 0.5:
            return f"({name} * {name}).sum().backward({keep})"
        if roll < 0.6:
            return f"{name}.backward(T.ones_like({name}){', ' if keep else ''}{keep})"
        if roll < 0.68:
            return f"{name}.backward({keep})"
        source = self.any(lambda t: t.requires_grad)
        if roll < 0.85:
            return (
                f"{self.fresh('p')} = [None if g is None else g.tolist() for g in "
                f"T.autograd.grad({name}.sum(), [{source}], allow_unused=True)]"
            )
        return (
            f"{self.fresh()} = T.autograd.grad(({name} * {name}).sum(), {source}, "
            f"create_graph=True)[0].contiguous() * 1"
        )

    def has_others(self, t: Any) -> bool:
        """Whether another tensor lies on the same storage."""
        return bool(self.tensors(lambda o: o is not t and o._storage is t._storage))

    def random(self) -> str:
        """Draws. Where libraries are compared, only such as give the same whatever is drawn."""
        rng, shape, new = self.rng, self.shape(), self.fresh()
        name = self.any(lambda t: t.is_floating_point() and self.writable(t))
        t = self.names[name]
        options = [
            f"{new} = T.randint(3, 4, {shape})",
            f"{new} = T.rand({shape}) < 2",
            f"{new} = T.randperm({rng.randint(0, 5)}).sort()[0]",
            f"{new} = T.randn({shape}).mul(0).abs()",
            f"{new} = T.nn.functional.dropout({name}, {rng.choice((0.0, 1.0))})",
            f"{new} = T.bernoulli(T.ones({shape}))",
            "T.manual_seed(3)",
        ]
        if repeats(t) and t.is_floating_point():
            options += [f"{name}.uniform_(2, 2)", f"{name}.bernoulli_(1.0)"]
        if self.chance:
            options += [
                f"{new} = T.rand({shape}, requires_grad=True)",
                f"{new} = T.randn({shape}, dtype=T.float64)",
                f"{new} = T.randint(-3, 5, {shape})",
                f"{new} = T.randperm({rng.randint(0, 5)})",
                f"{new} = T.nn.functional.dropout({name}, 0.5)",
                f"{new} = T.rand_like({name})",
                f"{new} = T.bernoulli(T.rand({shape}))",
            ]
            if repeats(t) and t.is_floating_point():
                options += [f"{name}.normal_()", f"{name}.uniform_(-1, 1)", f"{name}.bernoulli_()"]
        return rng.choice(options)

    def hook(self) -> str:
        """Something that backward is to run: it changes a gradient, or notes it."""
        rng = self.rng
        name = self.any(may_have_hooks)
        if not may_have_hooks(self.names[name]):
            return self.backward()
        logs = [k for k, v in self.names.items() if k[0] == "p" and v == []]
        if not logs and rng.random() < 0.5:
            return f"{self.fresh('p')} = []"
        note = f"{rng.choice(logs)}.append(g.tolist())" if logs else "None"
        how = (
            f"{name}.register_hook(lambda g: g * 2)",
            f"{name}.register_hook(lambda g: -g)",
            f"{name}.register_hook(lambda g: None)",
            f"{name}.register_hook(lambda g: {note})",
            f"{name}.register_hook(lambda g: {note}).remove()",
            f"{name}.register_post_accumulate_grad_hook(lambda t: t.grad.mul_(2) and None)",
            f"{name}.grad_fn.register_hook(lambda new, old: None)",
            f"{name}.grad_fn.register_prehook(lambda old: None)",
            f"{name}.grad_fn.register_prehook(lambda old: tuple(g * 3 for g in old))",
        )
        return rng.choice(how)

    def delete(self) -> str:
        found = [k for k in self.names if NAME.fullmatch(k)]
        return f"del {self.rng.choice(found)}"

    def without_grad(self) -> str:
        inner = self.rng.choice((Writer.inplace, Writer.view, Writer.elementwise, Writer.setitem))
        return f"with T.no_grad(): {inner(self)}"

    def again(self) -> str:
        """The name of an old tensor for a new one."""
        made = self.rng.choice((Writer.view, Writer.elementwise))(self)
        return made.replace(made.split(" =")[0], self.any(), 1)


STATEMENTS: list[tuple[Callable[[Writer], str], float]] = [
    (Writer.create, 7),
    (Writer.array, 2),
    (Writer.from_numpy, 4),
    (Writer.to_numpy, 5),
    (Writer.write_array, 5),
    (Writer.view, 20),
    (Writer.elementwise, 14),
    (Writer.reduction, 5),
    (Writer.product, 2),
    (Writer.inplace, 16),
    (Writer.setitem, 9),
    (Writer.look, 4),
    (Writer.flag, 5),
    (Writer.backward, 8),
    (Writer.delete, 3),
    (Writer.without_grad, 4),
    (Writer.again, 2),
    (Writer.random, 3),
    (Writer.hook, 3),
]


def fits(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether a may be broadcast to b."""
    return len(a) <= len(b) and all(x in (1, y) for x, y in zip(a[::-1], b[::-1]))


def same_memory(a: Any, b: Any) -> bool:
    """Whether two tensors may share memory, be it through an array."""
    if a._storage is b._storage:
        return True
    one, other = a._storage.shared, b._storage.shared
    if one is None or other is None:
        return False
    start, stop = one.buffer.address, one.buffer.address + one.buffer.nbytes
    return bool(start < other.buffer.address + other.buffer.nbytes and other.buffer.address < stop)


def may_have_hooks(t: Any) -> bool:
    """PyTorch crashes on hooks of views that were made, or written to, without gradient."""
    meta = t._meta
    if meta is None or not meta.requires_grad:
        return False
    return meta.base is None or bool(meta.version == t._version)


def overlaps(t: Any) -> bool:
    """Whether elements may share memory: what a write to such a tensor does is not defined."""
    reach = 0
    for stride, extent in sorted((s, e) for s, e in zip(t.stride(), t.shape) if e > 1):
        if stride <= reach:
            return True
        reach += stride * (extent - 1)
    return False


def dense(t: Any) -> bool:
    """Whether the elements fill their span of memory, each place once."""
    span = 1 + sum(s * (e - 1) for s, e in zip(t.stride(), t.shape) if e > 1)
    return not overlaps(t) and span == t.numel()


def repeats(t: Any) -> bool:
    """Whether a tensor is expanded: PyTorch refuses to write to it."""
    return not overlaps(t) or any(s == 0 and e > 1 for s, e in zip(t.stride(), t.shape))


# -- machines -----------------------------------------------------------------------------------


@dataclass
class Machine:
    """One library and one regime."""

    name: str
    module: Any
    regime: str = "end"
    rng: Rng = field(default_factory=lambda: Rng(0))
    names: dict[str, Any] = field(default_factory=dict)
    draws: Any = None  # the state of this machine's random numbers
    exact: bool = True  # whether its floats have the first machine's bits

    def start(self, seed: int) -> Machine:
        made = replace(self, rng=Rng(seed), names={})
        if self.module is lazygrad:
            made.draws = lazygrad.Generator().manual_seed(seed % 2**31).get_state()
        return made

    def run(self, code: Any) -> tuple[str, str] | None:
        """Run one statement. Gives the error's type and text, if any."""
        return self._run(code)

    def look(self, look: Callable[[Machine], Any]) -> Any:
        """What `look` sees of it."""
        return look(self)

    def _run(self, code: Any) -> tuple[str, str] | None:
        space = self.names
        space["T"], space["np"] = self.module, np
        draws = self.draws is not None and not DRAWS.isdisjoint(code.co_names)
        if draws:
            lazygrad.set_rng_state(self.draws)
        try:
            exec(code, space)
        except Exception as error:
            outcome = (type(error).__name__, str(error))
        else:
            outcome = None
        if draws:
            self.draws = lazygrad.get_rng_state()
        for name in [name for name in space if not NAME.fullmatch(name)]:
            del space[name]
        if outcome is None and self.regime != "end":
            try:
                self.flush()
            except Exception as error:
                outcome = (f"later {type(error).__name__}", str(error))
        return outcome

    def flush(self) -> None:
        rng = self.rng
        for t in list(self.names.values()):
            if isinstance(t, lazygrad.Tensor) and (self.regime == "each" or rng.random() < 0.15):
                t.realize()


class OnHost(Machine):
    """The interpreter on the host, where the other machines are on another device."""

    def run(self, code: Any) -> tuple[str, str] | None:
        with self._there():
            return self._run(code)

    def look(self, look: Callable[[Machine], Any]) -> Any:
        with self._there():
            return look(self)

    @contextmanager
    def _there(self) -> Iterator[None]:
        before = lazygrad.get_default_device(), config.backend
        lazygrad.set_default_device(on_device.HOST)
        config.backend = "interp"
        try:
            yield
        finally:
            lazygrad.set_default_device(before[0])
            config.backend = before[1]


def lazy_machines() -> list[Machine]:
    """lazygrad under its regimes; on another device than the host also there."""
    made = [Machine(regime, lazygrad, regime) for regime in ("end", "each", "random")]
    if on_device.name() != on_device.HOST:
        made.append(OnHost("host", lazygrad, exact=False))
    return made


def torch_machine() -> Machine:
    import torch

    torch.set_num_threads(1)
    return Machine("torch", torch, exact=False)


def picture(machine: Machine) -> dict[str, Any]:
    """What a program can see of every name."""
    return {name: _seen(machine, value) for name, value in machine.names.items()}


def _seen(machine: Machine, value: Any) -> Any:
    try:
        return _picture(machine, value)
    except RuntimeError as error:  # a view that may not be used any more
        return [phrase for phrase in PHRASES if phrase in str(error)] or str(error)


def traits(machine: Machine) -> dict[str, Any]:
    """What can be seen of every tensor without computing it."""
    tensors = ((k, v) for k, v in machine.names.items() if isinstance(v, machine.module.Tensor))
    return {name: _traits(value) for name, value in tensors}


def _traits(value: Any) -> dict[str, Any]:
    return {
        "dtype": str(value.dtype).split(".")[1],
        "shape": tuple(value.shape),
        "stride": [s for s, e in zip(value.stride(), value.shape) if e > 1 and value.numel()],
        "offset": value.storage_offset(),
        "requires_grad": value.requires_grad,
        "version": value._version,
        "is_view": value._is_view(),
    }


def _picture(machine: Machine, value: Any) -> Any:
    if not isinstance(value, machine.module.Tensor):
        if isinstance(value, str):
            return value.replace("dtype=torch.", "dtype=lazygrad.")
        return np.array(value) if isinstance(value, np.ndarray) else value
    grad = value.grad if value.is_leaf or value.retains_grad else None
    return _traits(value) | {
        "value": value.detach().numpy().copy()
        if machine.regime == "end"
        else np.array(value.tolist(), str(value.dtype).split(".")[1]).reshape(tuple(value.shape)),
        "is_leaf": value.is_leaf,
        "grad_fn": None if value.grad_fn is None else value.grad_fn.name().split("::")[-1],
        "grad": None if grad is None else grad.detach().numpy().copy(),
    }


def mark(machine: Machine) -> dict[str, Any]:
    """Add another power of two through each tensor: whose memory is whose then shows."""
    tensors = [t for t in machine.names.values() if isinstance(t, machine.module.Tensor)]
    tensors += [t.grad for t in tensors if t.grad is not None]
    for how in ("zero_", "add_"):
        for number, t in enumerate(tensors):
            if overlaps(t):
                continue
            if how == "zero_":
                t.data.zero_()
            elif str(t.dtype).endswith("bool"):
                t.data.logical_not_()
            else:
                t.data.add_(1 << number % (7 if t.element_size() == 1 else 14))
    return {
        name: v.detach().numpy().copy() if isinstance(v, machine.module.Tensor) else v.copy()
        for name, v in machine.names.items()
        if (hasattr(v, "shape") and hasattr(v, "copy")) or isinstance(v, machine.module.Tensor)
    }


# -- comparison ---------------------------------------------------------------------------------


def differs(a: Any, b: Any, bits: bool, path: str = "") -> str | None:
    """Where two pictures differ, or None."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return f"{path}: {sorted(a)} and {sorted(b)}"
        found = (differs(a[k], b[k], bits, f"{path}.{k}") for k in a)
        return next((f for f in found if f), None)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        found = (differs(x, y, bits, f"{path}[{i}]") for i, (x, y) in enumerate(zip(a, b)))
        return next((f for f in found if f), None)
    if isinstance(a, (np.ndarray, float)) and isinstance(b, (np.ndarray, float)):
        return _array_differs(np.asarray(a), np.asarray(b), bits, path)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return f"{path}: {a!r} and {b!r}"
    return None if a == b or (a is b) else f"{path}: {a!r} and {b!r}"


def _array_differs(a: np.ndarray, b: np.ndarray, bits: bool, path: str) -> str | None:
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{path}: {a.dtype}{a.shape} and {b.dtype}{b.shape}"
    same: Any
    if a.dtype.kind != "f":
        same = np.array_equal(a, b)
    elif bits:
        same = np.array_equal(a, b, equal_nan=True) and np.array_equal(
            np.signbit(a) & ~np.isnan(a), np.signbit(b) & ~np.isnan(b)
        )
    else:
        finite = np.abs(a[np.isfinite(a)])
        scale = float(finite.max()) if finite.size else 0.0
        small = 2e-6  # float64 too, since it may have been float32
        same = np.allclose(a, b, rtol=small * 5, atol=small * scale, equal_nan=True)
    return None if same else f"{path}:\n{a}\n{b}"


def error_differs(a: tuple[str, str] | None, b: tuple[str, str] | None) -> str | None:
    """Whether two outcomes of a statement differ: by type, or by the rule that the text names."""
    if a is None or b is None:
        return None if a is b else f"error: {a} and {b}"
    if a[0] != b[0]:
        return f"error: {a} and {b}"
    for phrase in () if OVERLAP.search(a[1] + b[1]) else PHRASES:  # which check is first is free
        if (phrase in a[1]) != (phrase in b[1]):
            return f"error text: {a} and {b}"
    if "is at version" in a[1] and _versions(a[1]) != _versions(b[1]):
        return f"error text: {a} and {b}"
    return None


def _versions(text: str) -> list[str]:
    return re.findall(r"version (\d+)", text)


# -- programs -----------------------------------------------------------------------------------


@dataclass
class Failure:
    """A program that the machines do not agree on, and how."""

    program: list[str]
    where: str

    def __str__(self) -> str:
        return "\n".join(self.program) + f"\n# {self.where}"


class Session:
    """One program on several machines at once."""

    def __init__(self, machines: Sequence[Machine], seed: int):
        self.machines = [m.start(seed) for m in machines]
        self.program: list[str] = []
        self.over = False

    @property
    def names(self) -> dict[str, Any]:
        return self.machines[0].names

    def step(self, text: str) -> str | None:
        """Run one statement everywhere. Gives the difference, if any."""
        self.program.append(text)
        code = compile(text, "<program>", "exec")
        outcomes = [m.run(code) for m in self.machines]
        if any(o and "out of bounds" in o[1] for o in outcomes) and "] " in text:
            self.over = True  # PyTorch has written what came before the bad index
        if any(o and "please report a bug to PyTorch" in o[1] for o in outcomes):
            self.over = True
            return None
        for machine, outcome in zip(self.machines[1:], outcomes[1:]):
            found = error_differs(outcome, outcomes[0])
            if found:
                return f"{machine.name} and {self.machines[0].name}: {found}"
        return None

    def compare(self, looks: Sequence[Callable[[Machine], Any]] = (picture, mark)) -> str | None:
        try:
            return None if self.over else self._compare(looks)
        except Exception as error:
            return f"looking: {type(error).__name__}: {error}"

    def _compare(self, looks: Sequence[Callable[[Machine], Any]]) -> str | None:
        for look in looks:
            first = self.machines[0].look(look)
            for machine in self.machines[1:]:
                found = differs(machine.look(look), first, machine.exact)
                if found:
                    return f"{look.__name__}, {machine.name} and {self.machines[0].name}{found}"
        return None


def written(machines: Sequence[Machine], rng: Rng, seed: int) -> tuple[Session, str | None]:
    """Write and run one program. Gives how the machines differ, if they do."""
    session = Session(machines, seed)
    alike = all(m.module is lazygrad for m in machines)
    writer = Writer(rng, session.names, chance=alike)
    for _ in range(rng.randint(4, 18)):
        text = writer.statement()
        found = session.step(text)
        if found or session.over:
            return session, found
        writer.note(text)
    return session, session.compare()


def random_program(machines: Sequence[Machine], rng: Rng, seed: int = 0) -> Failure | None:
    """Write and run one program. Gives it if it fails."""
    session, found = written(machines, rng, seed)
    return Failure(session.program, found) if found else None


def replay(machines: Sequence[Machine], program: Sequence[str], seed: int = 0) -> Failure | None:
    session = Session(machines, seed)
    for text in program:
        found = session.step(text)
        if found:
            return Failure(session.program, found)
        if session.over:
            return None
    found = session.compare()
    return Failure(session.program, found) if found else None


def shrink(machines: Sequence[Machine], failure: Failure, seed: int = 0) -> Failure:
    """Leave statements out for as long as the program fails in the same manner."""
    kind = _manner(failure)
    at = len(failure.program) - 1
    while at >= 0:
        shorter = failure.program[:at] + failure.program[at + 1 :]
        found = replay(machines, shorter, seed)
        if found and _manner(found) == kind:
            failure = found
            at = min(at, len(failure.program))
        at -= 1
    return failure


def _manner(failure: Failure) -> str:
    """What kind of difference: which look, which attribute; which error."""
    head = failure.where.split("\n")[0]
    head = re.sub(r"[tnp]\d+", "", head)
    if "NameError" in head or "not defined" in head:
        return "name"
    if "error" in head:
        return re.sub(r"[\d\[\](), -]+", " ", head)[:160]
    return head.split(":")[0]


def warm_filters() -> None:
    warnings.simplefilter("ignore")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="go on from this program")
    parser.add_argument("--compiled", action="store_true", help="with C, not by the interpreter")
    parser.add_argument("--no-torch", action="store_true", help="lazygrad's regimes only")
    parser.add_argument("--keep", type=int, default=20, help="stop after so many kinds of failure")
    parser.add_argument("--device", default=on_device.HOST, help="where tensors are made")
    given = parser.parse_args()
    if given.device != on_device.HOST:
        os.environ["TEST_DEVICE"] = given.device
        on_device.install()
    warm_filters()
    if not given.compiled:  # what tensors mean does not depend on it
        config.backend = "interp"
    machines = lazy_machines() + ([] if given.no_torch else [torch_machine()])
    kinds: dict[str, int] = {}
    start, done = time.perf_counter(), 0
    for number in range(given.first, given.programs):
        seed = given.seed * 1_000_003 + number
        failure = random_program(machines, Rng(seed), seed)
        done += 1
        if done % 1000 == 0:
            print(f"{number + 1} programs, {sum(kinds.values())} failures", flush=True)
        if failure:
            kind = _manner(failure)
            kinds[kind] = kinds.get(kind, 0) + 1
            if kinds[kind] == 1:
                print(
                    f"-- program {number} of seed {given.seed}\n"
                    f"{shrink(machines, failure, seed)}\n",
                    flush=True,
                )
            if len(kinds) >= given.keep:
                break
    for kind, count in sorted(kinds.items(), key=lambda item: -item[1]):
        print(f"{count:6} {kind}")
    print(f"{done} programs, {sum(kinds.values())} failures, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
