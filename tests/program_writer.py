"""The language of random programs: which statement comes next.

A program is a list of Python statements over `T` (lazygrad or torch), `np` and the names made by
earlier statements. It is written while it runs: the next statement is chosen by looking at the
shapes and dtypes that the first machine has. Owns: the statements, and what is left out because
PyTorch does not define it. Must not know: how programs are run and compared (program_machine.py).
"""

from __future__ import annotations

import random
import re
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import on_device

import lazygrad

Rng = random.Random
FLOATS = ("float32", "float64")
INTEGERS = ("int64", "int32", "uint8", "int16", "int8")
NAME = re.compile(r"\b[tnp]\d+\b")
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
            how = "tensor"  # numpy shares the host's memory alone
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
        if on_device.name() != on_device.HOST:  # numpy takes no other device's memory: copies
            how = tuple(f"{taken}.copy()" for taken in how[:-1])
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
