"""The engine: in which order gradient records run, and where their results go.

Owns: `backward` and `grad`, hooks, accumulation into leaves, the release of records that have
run, and the one realization at the end. Must not know: any op's gradient rule (records have
them). Nothing here recurses over the graph.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from lazygrad.autograd import families, graph, patterns, repeats
from lazygrad.autograd.edges import GradientEdge
from lazygrad.autograd.ends import as_tuple, checked_seeds, roots_of, target_of
from lazygrad.autograd.graph import AccumulateGrad, BaseFn, GradFn
from lazygrad.autograd.late import tensors
from lazygrad.autograd.modes import mode, no_grad, set_grad_enabled
from lazygrad.ir import ops
from lazygrad.ir.node import Node, place_line
from lazygrad.realize import Ran, realize_soon, traces


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add the gradients of `tensors` to the `.grad` of the leaves they were computed from."""
    plain = grad_tensors is None and inputs is None and not create_graph and not retain_graph
    if plain and patterns.run(tensors):
        return
    roots = roots_of(tensors)
    seeds: Sequence[Any]
    seeds = as_tuple(grad_tensors) if grad_tensors is not None else (None,) * len(roots)
    if inputs is not None:
        inputs = as_tuple(inputs)
        if not inputs:
            raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    keep = create_graph if retain_graph is None else retain_graph
    seeds = checked_seeds(roots, seeds)
    targets = None if inputs is None else [target_of(t) for t in inputs]
    job = _Job(keep, create_graph, targets, accumulate=True)
    job.plain = plain and len(roots) == 1
    if create_graph:
        job.run(roots, seeds)
    else:
        job.run_and_compute(roots, seeds)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of `outputs` with respect to `inputs`; no `.grad` changes."""
    from lazygrad.tensor import zeros_like

    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got:"
            " allow_unused=False."
        )
    if allow_unused is None:
        allow_unused = materialize_grads
    roots, wanted = roots_of(outputs), as_tuple(inputs)
    seeds: Sequence[Any]
    seeds = as_tuple(grad_outputs) if grad_outputs is not None else (None,) * len(roots)
    keep = create_graph if retain_graph is None else retain_graph
    if is_grads_batched:
        options = {"create_graph": create_graph, "allow_unused": allow_unused}
        options["materialize_grads"] = materialize_grads
        return _batched(roots, wanted, seeds, keep, options)
    seeds = checked_seeds(roots, seeds)
    targets = [target_of(t) for t in wanted]
    job = _Job(keep, create_graph, targets, accumulate=False)
    if create_graph:
        job.run(roots, seeds)
    else:
        job.run_and_compute(roots, seeds)
    results = [job.found.get(target) for target in targets]
    for i, result in enumerate(results):
        if result is None and not allow_unused:
            raise RuntimeError(
                f"The differentiated Tensor at index {i} appears to not have been used in the "
                "graph. Set allow_unused=True if this is the desired behavior."
            )
    if materialize_grads:
        pairs = zip(wanted, results)
        if any(result is None and isinstance(t, GradientEdge) for t, result in pairs):
            raise RuntimeError(
                "materialize_grads cannot be used when the given input is a GradientEdge"
            )
        results = [
            zeros_like(t, requires_grad=create_graph) if result is None else result
            for t, result in zip(wanted, results)
        ]
    from lazygrad.tensor.declare import SUBCLASSES, kept

    found: tuple[Any, ...] = tuple(results)
    if SUBCLASSES:
        found = kept(found, tuple(t for t in (*roots, *wanted) if type(t) is not GradientEdge))
    return found


def _batched(
    roots: Sequence[Any], wanted: Sequence[Any], seeds: Sequence[Any], keep: bool, options: Any
) -> tuple[Any, ...]:
    """`grad` for every entry of the first axis of the seeds: results have that axis too."""
    from lazygrad.tensor.joining import stack

    sizes = set()
    for root, seed in zip(roots, seeds):
        if seed is None or not seed.ndim or seed.shape[1:] != root.shape:
            given = None if seed is None else seed.shape
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output "
                "as the batch dimension. The sizes of the remaining dimensions are expected to "
                "match the shape of corresponding output, but a mismatch was detected: "
                f"grad_output has a shape of {given} and output has a shape of {root.shape}."
            )
        sizes.add(seed.shape[0])
    if len(sizes) > 1:
        raise ValueError(f"expected all grad_outputs to have the same batch size, got {sizes}")
    count = sizes.pop()
    rows = [
        grad(roots, wanted, [s[i] for s in seeds], keep or i < count - 1, **options)
        for i in range(count)
    ]
    if not rows:
        return tuple(t.new_zeros((0, *t.shape)) for t in wanted)
    return tuple(None if parts[0] is None else stack(parts) for parts in zip(*rows))


class _Job:
    """One run of the engine."""

    def __init__(
        self, keep: bool, create: bool, targets: list[tuple[BaseFn, int]] | None, accumulate: bool
    ):
        self.keep = keep
        self.create = create
        self.targets = targets
        self.accumulate = accumulate
        self.found: dict[tuple[BaseFn, int], Any] = {}  # gradients at the targets
        self.touched: list[Any] = []  # leaf gradients that were written
        self.pending: dict[BaseFn, list[Any]] = {}
        self.plain = False  # one root and its own seed: see patterns.py
        self.waiting: dict[BaseFn, int] = {}
        self.running: set[BaseFn] | None = None  # whose gradients are computed; None: all that wait

    def run_and_compute(self, roots: Sequence[Any], seeds: Sequence[Any]) -> None:
        """Run the records and compute all results in one program: one that is known, if this pass
        was met before."""
        edges = [tensors.history.edge_of(root) for root in roots]
        seen = repeats.look(roots, edges, seeds, self.targets, self.accumulate, self.keep)
        found = None if seen is None else seen.run(roots[0] if self.plain else None)
        if seen is not None and found is not None:
            self._take(seen.ends, found)
            tensors.relief.values_computed()
            return
        form = None
        if seen is not None:
            again = _Job(self.keep, False, None, accumulate=True)
            form = families.traced(seen, roots, seeds, again.run)
        self.run(roots, seeds)
        ran = self.finish(roots)
        if seen is not None:
            grads = [self._gradient_at(end) for end in seen.ends]
            known = seen.learn(ran, grads)
            if form is not None:
                form.learn(seen, ran, grads, known)
        tensors.relief.values_computed()

    def _take(self, ends: Sequence[Any], found: Sequence[Node]) -> None:
        """Put the computed gradients where they belong."""
        wrap = tensors.core.wrap
        for end, node in zip(ends, found):
            if self.accumulate:
                end.variable._meta.grad = wrap(node)
            elif end not in self.found:
                self.found[end] = wrap(node)

    def _gradient_at(self, end: Any) -> Node | None:
        result = end.variable._meta.grad if self.accumulate else self.found.get(end)
        return None if result is None else tensors.core.node_of(result)

    def run(self, roots: Sequence[Any], seeds: Sequence[Any]) -> None:
        from lazygrad.tensor.history import edge_of

        edges = [edge_of(root) for root in roots]
        waiting, needed = self._plan([edge[0] for edge in edges if edge is not None])
        if traces:
            traces[-1].backward_over(waiting)
        for edge, seed in zip(edges, seeds):
            self._add(edge, seed)
        self.waiting = waiting
        if needed is not None:
            ends = {fn for fn, _ in self.targets or () if fn in waiting}
            self.running = needed | ends
        before, outer = set_grad_enabled(self.create), mode.task
        mode.task = self
        try:
            ready = [(-fn.seq, i, fn) for i, fn in enumerate(self.pending) if not waiting[fn]]
            heapq.heapify(ready)
            tick = len(ready)
            while ready:
                fn = heapq.heappop(ready)[2]
                self._visit(fn, needed)
                for edge in fn.edges:
                    if edge is None:
                        continue
                    follower = edge[0]
                    waiting[follower] -= 1
                    if not waiting[follower]:
                        tick += 1
                        heapq.heappush(ready, (-follower.seq, tick, follower))
        finally:
            mode.grad, mode.task = before._before[0], outer

    def executes(self, fn: BaseFn) -> bool:
        """Whether a gradient is computed for the results of a record, or for a leaf."""
        return fn in self.waiting if self.running is None else fn in self.running

    def _plan(self, roots: list[BaseFn]) -> tuple[dict[BaseFn, int], set[BaseFn] | None]:
        """How many gradients each record waits for, and which records lead to a target."""
        waiting: dict[BaseFn, int] = {}
        order: list[BaseFn] = []
        stack: list[BaseFn] = []
        for root in roots:
            if root not in waiting:
                waiting[root] = 0
                stack.append(root)
        while stack:
            fn = stack.pop()
            order.append(fn)
            for edge in fn.edges:
                if edge is None:
                    continue
                follower = edge[0]
                count = waiting.get(follower)
                if count is None:
                    waiting[follower] = 1
                    stack.append(follower)
                else:
                    waiting[follower] = count + 1
        if self.targets is None:
            return waiting, None
        return waiting, self._leading(order)

    def _leading(self, order: list[BaseFn]) -> set[BaseFn]:
        """Records from which a target can be reached, found by walking edges backwards."""
        assert self.targets is not None
        users: dict[BaseFn, list[BaseFn]] = {}
        for fn in order:
            for edge in fn.edges:
                if edge is not None:
                    users.setdefault(edge[0], []).append(fn)
        needed: set[BaseFn] = set()
        stack = [fn for fn, _ in self.targets]
        while stack:
            for user in users.get(stack.pop(), ()):
                if user not in needed:
                    needed.add(user)
                    stack.append(user)
        return needed

    def _add(self, edge: Any, value: Any) -> None:
        """Another gradient for output `edge[1]` of record `edge[0]`."""
        fn, number = edge
        slots = self.pending.get(fn)
        if slots is None:
            slots = self.pending[fn] = []
        while len(slots) <= number:
            slots.append(None)
        if value is not None:
            have = slots[number]
            slots[number] = value if have is None else _sum(have, value)

    def _visit(self, fn: BaseFn, needed: set[BaseFn] | None) -> None:
        grads = self.pending.pop(fn, [])
        if self._is_plain(fn):
            self._flow(fn, grads)
            return
        if not self.executes(fn):  # nor do hooks run of what is computed for nobody
            return
        grads = [_tensor(value) for value in grads]
        if isinstance(fn, GradFn):  # a released one has forgotten its results
            for number, node in enumerate(fn.out_nodes[: len(grads)]):
                grads[number] = _fitted(grads[number], node)
        if fn.extras is not None:
            self._tensor_hooks(fn, grads)
        if self.targets is not None:
            for number, value in enumerate(grads):
                if (fn, number) in self.targets and value is not None:
                    self.found[fn, number] = value
        if isinstance(fn, AccumulateGrad):
            wanted = self.targets is None or (fn, 0) in self.targets
            if wanted and grads and grads[0] is not None:
                self._leaf(fn, grads[0])
            return
        if needed is not None and fn not in needed:
            return
        if all(value is None for value in grads):
            return
        if fn.pre_hooks or fn.post_hooks:  # they see all outputs' gradients
            grads += [None] * (len(getattr(fn, "out_nodes", ())) - len(grads))
        if fn.pre_hooks:
            for hook in list(fn.pre_hooks.values()):
                changed = hook(tuple(grads))
                if changed is not None:
                    grads = list(changed)
        outs = self._apply(fn, grads)
        if fn.post_hooks:
            for hook in list(fn.post_hooks.values()):
                changed = hook(tuple(outs), tuple(grads))
                if changed is not None:
                    outs = changed if isinstance(changed, tuple) else (changed,)
        if not self.keep:
            fn.release()  # type: ignore[attr-defined]
        for edge, value in zip(fn.edges, outs):
            if edge is not None and value is not None:
                self._add(edge, value)

    def _is_plain(self, fn: BaseFn) -> bool:
        """Whether nobody sees the gradients that go in and out of a record."""
        return (
            self.targets is None
            and not self.create
            and isinstance(fn, GradFn)
            and type(fn).apply is GradFn.apply
            and (fn.extras is None or not fn.extras.watches())
            and not mode.anomaly
        )

    def _flow(self, fn: Any, grads: list[Any]) -> None:
        """A plain record: on values, without tensors around them."""
        if all(value is None for value in grads):
            return
        outs = fn.flow([_value(value) for value in grads])
        if not self.keep:
            fn.release()
        for edge, value in zip(fn.edges, outs):
            if edge is not None and value is not None:
                self._add(edge, value)

    def _apply(self, fn: Any, grads: list[Any]) -> Sequence[Any]:
        if not mode.anomaly:
            return fn.apply(grads, self.create)
        try:
            outs: Sequence[Any] = fn.apply(grads, self.create)
        except Exception:
            _warn_forward(fn)
            raise
        if mode.check_nan:
            for i, value in enumerate(outs):
                if value is not None and bool((value != value).any()):
                    _warn_forward(fn)
                    raise RuntimeError(
                        f"Function '{fn.name()}' returned nan values in its {i}th output."
                    )
        return outs

    def _tensor_hooks(self, fn: BaseFn, grads: list[Any]) -> None:
        for number, hooks in (fn.tensor_hooks or {}).items():
            if number < len(grads) and grads[number] is not None:
                grads[number] = _run_hooks(hooks, grads[number])
        for number, reference in (fn.retained or {}).items():
            t = reference()
            if t is not None and number < len(grads) and grads[number] is not None:
                from lazygrad.tensor.history import meta_of

                meta = meta_of(t)
                value = grads[number]
                meta.grad = value if meta.grad is None else meta.grad + value
                self.touched.append(meta.grad)

    def _leaf(self, fn: AccumulateGrad, value: Any) -> None:
        from lazygrad.tensor import core, history

        t = fn.variable
        meta = history.meta_of(t)
        if meta.hooks:
            value = _run_hooks(meta.hooks, value)
            if self.targets is not None:
                self.found[fn, 0] = value
        if not self.accumulate or not meta.requires_grad:
            return
        if fn.pre_hooks:
            for hook in list(fn.pre_hooks.values()):
                changed = hook((value,))
                if changed is not None:
                    value = changed[0] if isinstance(changed, tuple) else changed
        if meta.grad is None:
            meta.grad = value if self.create else core.wrap(core.node_of(value))
        elif self.create:
            meta.grad = meta.grad + value
        else:
            with no_grad():
                meta.grad.add_(value)
        self.touched.append(meta.grad)
        if fn.post_hooks:
            for hook in list(fn.post_hooks.values()):
                hook((), (value,))
        if meta.post_hooks:
            for hook in list(meta.post_hooks.values()):
                if hook(t) is not None:
                    raise RuntimeError("Tensor post accumulate grad hooks should return None.")

    def finish(self, roots: Sequence[Any]) -> Ran | None:
        """Compute results and gradients in one program."""
        from lazygrad.tensor.core import node_of
        from lazygrad.tensor.storage import forget

        results = self.touched if self.accumulate else self.found.values()
        nodes = [node_of(t) for t in (*roots, *results)]
        ran = realize_soon(list(dict.fromkeys(nodes)))
        forget()
        return ran


def _value(gradient: Any) -> Any:
    """A gradient on its way as a node: it is one, or a tensor."""
    if gradient is None or isinstance(gradient, Node):
        return gradient
    return tensors.core.node_of(gradient)


def _tensor(gradient: Any) -> Any:
    """A gradient on its way as a tensor."""
    return tensors.core.wrap(gradient) if isinstance(gradient, Node) else gradient


def _sum(a: Any, b: Any) -> Any:
    if isinstance(a, Node) and isinstance(b, Node) and a.dtype is b.dtype:
        return ops.add(a, b)
    return _tensor(a) + _tensor(b)


def _fitted(value: Any, node: Any) -> Any:
    """A gradient in the shape of what the record made: since, without history, the tensor may have
    got or lost axes of one element."""
    if value is None or tuple(value.shape) == node.shape:
        return value
    wide, own = ([e for e in shape if e != 1] for shape in (value.shape, node.shape))
    return value.reshape(node.shape) if wide == own else value


def _run_hooks(hooks: dict[int, Any], value: Any) -> Any:
    from lazygrad.tensor.core import Tensor

    for hook in list(hooks.values()):
        changed = hook(value)
        if changed is not None:
            if not isinstance(changed, Tensor):
                raise TypeError(f"expected Variable, but hook returned '{type(changed).__name__}'")
            value = changed
    return value


def _warn_forward(fn: Any) -> None:
    """Name the forward operation whose gradient failed."""
    import warnings

    where = ""
    if isinstance(fn, GradFn) and fn.out_nodes:
        line = place_line(fn.out_nodes[0].place)
        if line is not None:
            where = f'  File "{line[0]}", line {line[1]}\n'
    warnings.warn(
        f"Error detected in {fn.name()}. Traceback of forward call that caused the error:\n"
        f"{where}{fn.stack or ''}",
        stacklevel=4,
    )


__all__ = ["backward", "grad", "graph"]
