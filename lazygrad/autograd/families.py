"""Backward passes that were met with other sizes: a new batch size records no gradient either.

Owns: what makes two passes the same but for their sizes, and forms of them: which program a pass
has is a plan (runtime/plans.py) and formulas for its sizes. Must not know: any op's gradient rule.
A form comes of a pass that the engine runs once more, on a copy of the graph whose shapes are Sizes
(ir/sizes.py); nothing is computed in it. What was asked about sizes on the way has to hold where
the form is used, so its program is the one that would be recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from lazygrad.autograd.graph import AccumulateGrad, BaseFn
from lazygrad.autograd.late import tensors
from lazygrad.ir.node import Node, blank, stand_in
from lazygrad.ir.ops.core import REGISTRY, Op
from lazygrad.ir.sizes import Formulas, Size, Trace, formulas, larger
from lazygrad.ir.skeleton import LEAST, Names, has_sizes, settled, skeleton, within
from lazygrad.ir.skeleton import numbers as numbers_in
from lazygrad.ir.structure import Structure, structure
from lazygrad.realize import Ran, dear
from lazygrad.runtime import plans
from lazygrad.runtime.device import device
from lazygrad.runtime.stats import stats

if TYPE_CHECKING:
    from lazygrad.autograd.repeats import Known, Pass

LIMIT, EACH = 512, 4  # families that are kept, and how many forms of each
_families: dict[Any, Family] = {}  # named cache: by what is alike but for sizes
_alloc = object.__new__


class Family:
    """Passes that differ in their sizes alone."""

    __slots__ = ("forms", "sizes")

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes  # the first ones
        self.forms: list[Form] | None = []  # None: there can be none


class Form:
    """A pass whose program is a plan's, for sizes that are formulas of the pass's."""

    def __init__(
        self,
        found: Formulas,
        number: Callable[[Any], int],
        bones: Any,
        sizes: Sequence[Any],
        traced: Structure,
        known: Known,
        ran: Ran,
    ):
        self.formulas = found
        # the program's structure without its sizes, and where these are among the values
        self.plan = (traced.device, device(traced.device).target, bones)
        self.sizes = [number(size) for size in sizes]
        self.known = known
        position = {at: place for place, at in enumerate(ran.output_of)}
        self.outputs = [(node, position[output]) for node, output in known.outputs]
        self.results = []
        for result in known.results:
            at = position.get(result.output, -1)
            shape = traced.outputs[at].shape if at >= 0 else ()
            self.results.append((result, at, [number(size) for size in shape]))
        self.site = dict(zip([s.number for s in ran.program.sites], known.sites))

    def known_for(self, sizes: Sequence[int]) -> Known | None:
        """What the pass is for these sizes. None where it might be another, or has no program."""
        values = self.formulas.held(sizes)
        if values is None:
            return None
        made = plans.find(self.plan, [values[at] for at in self.sizes])
        if made is None:
            return None
        program, output_of = made
        if any(site.number not in self.site for site in program.sites):
            return None
        stats.plan_hits += 1
        results = []
        for result, at, shape in self.results:
            if result.like is not None:
                like = stand_in(result.like.op, result.like)
                like.shape = tuple([values[size] for size in shape])
                result = type(result)(result.number, output_of[at], like, result.place)
            results.append(result)
        outputs = [(node, output_of[at]) for node, at in self.outputs]
        sites = [self.site[site.number] for site in program.sites]
        return type(self.known)(program, self.known.leaves, outputs, results, sites)


def bones_of(one: Pass) -> tuple[Any, tuple[int, ...]] | None:
    """What is alike in passes of all sizes, and the sizes of this one. None where that is not
    known: of operations without forms."""
    names = Names()
    place, entries, records, *rest = one.key
    parts: list[Any] = [place]
    for entry in entries:
        if entry.__class__ is not tuple:
            parts.append(entry)
        elif entry[0].__class__ is Op:
            op, arg, dtype, shape, *numbers = entry
            parts.append((op, names[arg] if op.sized else arg, dtype, names[shape], *numbers))
        elif len(entry) == 2 and entry[1].__class__ is tuple:
            parts.append((entry[0], names[entry[1]]))
        else:
            template, *numbers = entry
            if template.form is None:
                return None
            parts.append((template.form, names[template.numbers], *numbers))
    for entry in records:
        made: list[Any] = []
        for item in entry:
            if item.__class__ is tuple:  # a node that was computed: op, argument, sources
                name, arg, *numbers = item
                item = (name, names[arg] if REGISTRY[name].sized else arg, *numbers)
            elif item.__class__ is not int and item is not None:
                item = item.form
                if item is None:
                    return None
            made.append(item)
        parts.append(tuple(made))
    return (tuple(parts), tuple(rest)), tuple(names.sizes)


def known_for(one: Pass) -> Known | None:
    """What a pass is that has not been met with these sizes, if a form says so."""
    if not _families:
        return None
    found = bones_of(one)
    family = None if found is None else _families.get(found[0])
    if found is None or family is None:
        return None
    for form in family.forms or ():
        known = form.known_for(found[1])
        if known is not None:
            return known
    return None


class Rerun:
    """A pass on Sizes: the graph before it, each node with its twin, and the gradients."""

    def __init__(self, family: Family, trace: Trace, twins: dict[Node, Node], grads: list[Node]):
        self.family = family
        self.trace = trace
        self.twins = twins
        self.grads = grads

    def learn(self, one: Pass, ran: Ran | None, grads: Sequence[Node | None], known: Any) -> None:
        """The pass was recorded and run: keep its form."""
        form = None
        if ran is not None and known is not None and None not in grads:
            form = self._form(ran, grads, known)  # type: ignore[arg-type]
        if form is None or self.family.forms is None:
            self.family.forms = None
        else:
            self.family.forms.append(form)

    def _form(self, ran: Ran, grads: Sequence[Node], known: Known) -> Form | None:
        twins = {**self.twins, **dict(zip(grads, self.grads))}
        if any(node not in twins for node in ran.outputs):
            return None
        try:
            shape = structure([twins[node] for node in ran.outputs])
            dear(shape.order, larger)  # what values are kept is asked for
            sizes = _sizes(self.trace, shape.key, ran.key)
            if sizes is None:
                return None
            found = formulas(self.trace, chain(sizes, *(node.shape for node in shape.outputs)))
        except Exception:
            # whatever it is that a Size is not good for, the pass itself has worked
            stats.unsized += 1
            return None
        if not device(shape.device).any_sizes:
            return None
        bones, _ = skeleton(Structure(ran.key, [], [], []))
        return Form(*found, bones, sizes, shape, known, ran)


def _sizes(trace: Trace, traced: Any, plain: Any) -> list[Any] | None:
    """The sizes of a structure's skeleton, in the order of `skeleton`, as they stand in its key on
    Sizes. None if the keys are not the same but for that."""
    seen: dict[int, Any] = {}
    if traced[1] != plain[1] or len(traced[0]) != len(plain[0]):
        return None

    def both(arg: Any, of: Any) -> bool:
        mine: list[Any] = []
        theirs: list[int] = []
        numbers_in(arg, mine.append)
        numbers_in(of, theirs.append)
        if len(mine) != len(theirs) or settled(arg, lambda size: size.value) != of:
            return False
        for size, value in zip(mine, theirs):
            if value < LEAST:
                if size.__class__ is Size:
                    trace.pin(size)
                continue
            have = seen.setdefault(value, size)
            if have is not size:  # two ways to one number: the same class while they agree
                trace.ask("==", trace.at(have), trace.at(size))
        return True

    for mine, theirs in zip(*(key[0] for key in (traced, plain))):
        if mine.__class__ is not tuple or theirs.__class__ is not tuple:
            if mine != theirs:
                return None
        elif theirs[0].__class__ is Op:
            op, arg, dtype, shape, *numbers = mine
            if (op, dtype, *numbers) != (theirs[0], theirs[2], *theirs[4:]):
                return None
            if not op.sized and has_sizes(arg):
                return None  # a number that is text in the program
            if not (both(arg, theirs[1]) if op.sized else arg == theirs[1]):
                return None
            if not both(shape, theirs[3]):
                return None
        elif mine[0] != theirs[0] or not both(mine[1], theirs[1]):
            return None
    for value, size in seen.items():  # which are equal is part of the skeleton
        at = trace.at(size)
        have_at = trace.hashed.setdefault(value, at)
        trace.ask("==", have_at, at)
    return list(seen.values())


def traced(one: Pass, roots: Sequence[Any], seeds: Sequence[Any], run: Any) -> Rerun | None:
    """Run a pass on Sizes, before it runs: `run` is the engine's. None where there is no use."""
    found = bones_of(one) if one.key[-4] is None and one.key[-3] else None
    if found is None or not found[1]:
        return None
    bones, sizes = found
    family = _families.get(bones)
    if family is None:
        if len(_families) >= LIMIT:
            _families.clear()
        family = _families[bones] = Family(sizes)
    # calls have forms after other sizes were met; otherwise the first ones may remain the only ones
    varied = bool(one.nodes.wholes) or sizes != family.sizes
    if not varied or family.forms is None or len(family.forms) >= EACH:
        return None
    trace = Trace(sizes)
    try:
        with tensors.families.unseen():
            by_value = dict(zip(sizes, trace.sizes))

            def of(extent: int) -> Any:
                return extent if extent < LEAST else by_value[extent]

            twins = _twins(one, of)
            grads = _run(one, twins, of, roots, seeds, run)
    except Exception:
        # whatever it is that a Size is not good for, the engine will now run the pass itself
        stats.unsized += 1
        family.forms = None
        return None
    return Rerun(family, trace, twins, grads)


def _twins(one: Pass, of: Callable[[int], Any]) -> dict[Node, Node]:
    """A node on Sizes for each node of the graph before a pass."""
    order = [*one.nodes.order]
    for block, start in one.nodes.wholes.items():
        for number, node in enumerate(block.drawn(), start):
            order[number] = node
    twins: dict[Node, Node] = {}
    for node in order:
        shape = within(node.shape, of)
        made = twins[node] = blank(node.op, shape, node.dtype, node.device, node.place)
        made.value, made.arg = node.value, node.arg
        if node.buffer is not None:
            made.buffer = tensors.families.UNREADABLE
        else:
            made.srcs = tuple([twins[src] for src in node.srcs])
            made.arg = within(node.arg, of) if node.op.sized else node.arg
    return twins


def _run(
    one: Pass,
    twins: dict[Node, Node],
    of: Callable[[int], Any],
    roots: Sequence[Any],
    seeds: Sequence[Any],
    run: Any,
) -> list[Node]:
    """The gradients of the ends, by the same records on these nodes."""
    core = tensors.core
    made: dict[BaseFn, Any] = {}
    for leaf in one.ends:
        t = core.wrap(blank(leaf.variable._storage.node.op, (), leaf.variable.dtype, "", None))
        meta = t._meta = core.Meta()
        meta.requires_grad = True
        made[leaf] = AccumulateGrad(t)
    for fn in reversed(one.fns):
        made[fn] = _twin(fn, twins, of, made)

    def twin(t: Any) -> Any:
        return core.wrap(twins[core.node_of(t)])

    new_roots = []
    for root in roots:
        t = twin(root)
        meta = t._meta = core.Meta()
        meta.requires_grad, meta.nr = True, root._meta.nr
        meta.fn = made[tensors.history.edge_of(root)[0]]
        new_roots.append(t)
    run(new_roots, [twin(seed) for seed in seeds])
    return [core.node_of(made[leaf].variable._meta.grad) for leaf in one.ends]


def _twin(
    fn: Any, twins: dict[Node, Node], of: Callable[[int], Any], made: dict[BaseFn, Any]
) -> Any:
    """A record like this one, on the twins of its nodes."""
    new: Any = _alloc(type(fn))
    new.edges = tuple([(made[to], nr) for to, nr in fn.edges])
    new.seq, new.extras, new.released = fn.seq, None, False
    new.outline = new.block = new.made = new.node = None
    new.srcs = new.kept = ()
    new.saved = []
    new.reads_values = fn.reads_values
    new.captured = [
        (twins[n], op, tuple([twins[src] for src in srcs]), within(arg, of) if op.sized else arg)
        for n, op, srcs, arg in fn.captured
    ]
    new.in_nodes = tuple([twins[node] for node in fn.in_nodes])
    new.out_nodes = tuple([twins[node] for node in fn.out_nodes])
    # the others are not in the graph before this pass: nothing walks to them
    new.stops = tuple([twins[node] for node in fn.stops if node in twins])
    return new
