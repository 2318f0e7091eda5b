"""Templates of calls that were met with other sizes: a new batch size runs no operation's Python.

Owns: what makes two calls the same but for their sizes, and forms: templates whose numbers are
formulas of those. Must not know: any operation. A form comes of a call that is run once more, on
tensors whose shapes are Sizes (ir/sizes.py); nothing is computed in it. What was asked about sizes
on the way has to hold where the form is used, so it gives what the call would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lazygrad.ir.node import About, Node, blank
from lazygrad.ir.ops import SCALAR
from lazygrad.ir.picking import picker
from lazygrad.ir.sizes import Size, Trace, formulas
from lazygrad.ir.skeleton import LEAST, Names, has_sizes, numbers, settled, within
from lazygrad.ir.thread import thread
from lazygrad.ir.views import View
from lazygrad.runtime.stats import stats
from lazygrad.tensor.core import Meta, Tensor
from lazygrad.tensor.drawn import Template, drawn, like_of, number_like
from lazygrad.tensor.history import needs_grad
from lazygrad.tensor.promotion import number_for
from lazygrad.tensor.storage import Storage

LIMIT, EACH = 4096, 4  # families that are kept, and how many forms of each
MANY = 3  # sizes that a family was met with after which each may be one that does not come again
_families: dict[Any, Family] = {}  # named cache: by what is alike but for sizes
_alloc = object.__new__


class Family:
    """Calls that differ in their sizes alone."""

    __slots__ = ("forms", "met", "sizes")

    def __init__(self) -> None:
        self.met = 0  # how many sizes came without a form for them
        self.forms: list[Form] = []
        self.sizes: tuple[int, ...] = ()  # the last ones


class Form:
    """A template whose numbers are formulas of the sizes, and what must hold of these."""

    def __init__(self, trace: Trace, template: Template):
        """`template` is one on Sizes of the trace."""
        extents = [number for step in template.steps for number in _extents(step)]
        self.formulas, self.number = formulas(trace, [*extents, *_others(template)])
        self.template = template
        self.numbers = picker([self.number(extent) for extent in extents])
        self.steps = [self._prepared(step) for step in template.steps]

    def _prepared(self, step: tuple[Any, ...]) -> Any:
        """A step, where the extents of its shape are among the values, and whether its argument
        and value are others for other sizes. The step alone if it has no size."""
        if not has_sizes((step[4], step[5], step[8])):
            return step
        shape = picker([self.number(extent) for extent in step[5]])
        return step, shape, has_sizes((step[4], step[8]))

    def template_for(self, sizes: Sequence[int]) -> Template | None:
        """The template for these sizes. None where it might be another."""
        values = self.formulas.held(sizes)
        if values is None:
            return None

        def of(size: Size) -> Any:
            return values[self.number(size)]

        steps: list[tuple[Any, ...]] = []
        for prepared in self.steps:
            if prepared.__class__ is tuple and len(prepared) == 3:
                (kind, op, single, take, arg, _, dtype, device, value), at, is_sized = prepared
                if is_sized:
                    arg = settled(arg, of)
                    if op is SCALAR:
                        value = number_for(settled(value, of), dtype)
                shape = tuple(at(values))
                steps.append((kind, op, single, take, arg, shape, dtype, device, value))
            else:
                steps.append(prepared)
        traced = self.template
        like = like_of(_node(steps[-1])) if traced.whole else ()
        inside = [
            node and (node if steps[at] is self.steps[at] else number_like(_node(steps[at])))
            for at, node in enumerate(traced.inside)
        ]
        return Template(
            tuple(steps),
            traced.results if traced.whole else _settled_results(traced.results, of),
            traced.alone,
            traced.record,
            traced.whole,
            like,
            traced.kept,
            inside,
            [node for node in inside if node is not None],
            self,
            tuple(self.numbers(values)),
        )


def _settled_results(results: Any, of: Callable[[Size], Any]) -> Any:
    """The results of a template, Sizes in their views replaced."""
    return tuple([(base, at, settled(view, of), has) for base, at, view, has in results])


def _extents(step: tuple[Any, ...]) -> list[Any]:
    """The extents of a node of a template, and the sizes in its argument."""
    found: list[Any] = [*step[5]]
    if step[1].sized:
        numbers(step[4], found.append)
    return found


def _others(template: Template) -> list[Any]:
    """The other Sizes in a template."""
    found: list[Any] = []

    def note(size: Size) -> int:
        found.append(size)
        return 2

    for step in template.steps:
        settled((step[4], step[8]), note)
    _settled_results(template.results, note)
    return found


def _node(step: tuple[Any, ...]) -> Node:
    """A node as a step has it, without sources."""
    _, op, _, _, arg, shape, dtype, device, value = step
    node = blank(op, shape, dtype, device, None)
    node.arg, node.value = arg, value
    return node


def family_of(key: Sequence[Any], tensors: Sequence[Tensor]) -> tuple[Family, tuple[int, ...]]:
    """The family of a call with this key (templates.py), and its sizes."""
    names = Names()
    parts: list[Any] = []
    at = 0
    for part in key:
        kind = part.__class__
        if kind is About:
            dtype, shape, device, op = part.key
            base = tensors[at]._storage.node
            assert base is not None
            parts += (dtype, names[shape], device, op, part.is_needing)
            if tensors[at]._view is not None:
                parts += (names[base.shape], base.op if base.buffer is None else None)
            at += 1
        else:
            parts.append(names[part] if kind is View else part)
    name = tuple(parts)
    family = _families.get(name)
    if family is None:
        if len(_families) >= LIMIT:
            _families.clear()
        family = _families[name] = Family()
    return family, tuple(names.sizes)


def found(family: Family, sizes: tuple[int, ...]) -> Template | bool:
    """A template for a call of these sizes. If there is none, whether one should be made at once:
    sizes that differ each time would not come a second time."""
    for form in family.forms:
        template = form.template_for(sizes)
        if template is not None:
            return template
    if sizes != family.sizes:
        family.sizes = sizes
        family.met += 1
    return family.met >= MANY and len(family.forms) < EACH


def learn(
    family: Family,
    sizes: tuple[int, ...],
    template: Template,
    general: Callable[..., Any],
    args: Any,
    kwargs: Any,
    tensors: Sequence[Tensor],
    nodes: Sequence[Node],
) -> Template:
    """Make a form of a call that has this template, if its family has met other sizes before. Gives
    the template to be used."""
    if not sizes or family.met < 2 or len(family.forms) >= EACH:
        return template
    form = _form(sizes, general, args, kwargs, tensors, nodes)
    made = None if form is None else form.template_for(sizes)
    if form is None or made is None or not _same(made, template):
        family.met = -1 << 62  # not again
        return template
    family.forms.append(form)
    return made


def _form(
    sizes: tuple[int, ...],
    general: Callable[..., Any],
    args: Any,
    kwargs: Any,
    tensors: Sequence[Tensor],
    nodes: Sequence[Node],
) -> Form | None:
    """Run a call on Sizes. None where it cannot be: it asks whether they are of class int, say."""
    trace = Trace(sizes)
    by_value = dict(zip(sizes, trace.sizes))

    def of(extent: int) -> Any:
        return extent if extent < LEAST else by_value[extent]

    with unseen():
        twins = {id(t): _twin(t, node, of) for t, node in zip(tensors, nodes)}

        def swapped(value: Any) -> Any:
            if isinstance(value, Tensor):
                return twins[id(value)][0]
            if type(value) in (list, tuple):
                return type(value)([swapped(one) for one in value])
            return value

        thread.__dict__["value"] += 1  # what is called inside is not looked up
        try:
            result = general(*map(swapped, args), **{k: swapped(v) for k, v in kwargs.items()})
            pairs = [twins[id(t)] for t in tensors]
            template = drawn(result, [t for t, _ in pairs], [node for _, node in pairs])
            if template is None or any(
                has_sizes(step[4]) and not step[1].sized for step in template.steps
            ):
                return None  # a number that is text in the program
            return Form(trace, template)
        except Exception:
            # whatever it is that a Size is not good for, the call itself has just worked
            stats.unsized += 1
            return None
        finally:
            thread.__dict__["value"] -= 1


def _twin(t: Tensor, node: Node, of: Callable[[int], Any]) -> tuple[Tensor, Node]:
    """A tensor like this one, with Sizes for its extents and without values; and its node."""
    base = t._storage.node
    assert base is not None
    made: Tensor = _alloc(Tensor)
    own = valueless(base, of)
    made._storage = Storage(own)
    made._view = made._meta = None
    if t._view is not None:
        made._view = within(t._view, of)
        twin = valueless(node, of)
        made._cached = (own, twin)
        own = twin
    if t._meta is not None and needs_grad(t):
        meta = made._meta = Meta()
        meta.requires_grad = True
    return made, own


def valueless(node: Node, of: Callable[[int], Any]) -> Node:
    """A node with Sizes for extents; where the value is known, nobody can read it."""
    made = blank(node.op, within(node.shape, of), node.dtype, node.device, node.place)
    made.buffer = None if node.buffer is None else UNREADABLE
    return made


UNREADABLE = object()


@contextmanager
def unseen() -> Iterator[None]:
    """What is made meanwhile is not pending work of this thread."""
    now = thread.__dict__
    before = now["recent"], now["most"], now["most_bytes"]
    now["recent"], now["most"], now["most_bytes"] = [], 1 << 62, 1 << 62
    try:
        yield
    finally:
        now["recent"], now["most"], now["most_bytes"] = before


def _same(a: Template, b: Template) -> bool:
    """Whether two templates make the same nodes and records."""

    def told(t: Template) -> Any:
        steps = [(*s[:3], repr(s[3]), *s[4:]) for s in t.steps]
        return steps, t.results, t.alone, t.record, t.whole, t.like, t.kept

    return told(a) == told(b)
