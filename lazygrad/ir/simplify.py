"""Simplification: equal nodes become one, and what changes nothing is removed.

Owns: the rewrite rules on nodes. Must not know: kernels or backends. No rule may change a single
bit of any value, so x + 0 stays (it turns -0.0 into 0.0) while x * 1 goes. Each rule takes a node
whose sources are already simplified and returns its replacement, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lazygrad.ir import ops
from lazygrad.ir.dtypes import compute_dtype
from lazygrad.ir.interp import apply
from lazygrad.ir.node import Node, override, toposort
from lazygrad.ir.ops import Lowering

Rule = Callable[[Node], Node | None]
SHORT = 1024  # elements: a sum's rows of fewer are joined


def _is_literal(node: Node) -> bool:
    """A literal that was computed is a leaf like others: the program's key has not its value."""
    return node.op is ops.CONST and node.buffer is None


def _is_const(node: Node, value: float) -> bool:
    return _is_literal(node) and ops.const_value(node) == value


def unit_factor(node: Node) -> Node | None:
    """x * 1 and x / 1 are x."""
    if node.op is ops.mul or node.op is ops.div:
        a, b = node.srcs
        if _is_const(b, 1) and a.shape == node.shape:
            return a
        if node.op is ops.mul and _is_const(a, 1) and b.shape == node.shape:
            return b
    return None


def double_negation(node: Node) -> Node | None:
    """-(-x) and ~(~x) are x."""
    if (node.op is ops.neg or node.op is ops.bit_not) and node.srcs[0].op is node.op:
        return node.srcs[0].srcs[0] if node.srcs[0].buffer is None else None
    return None


def no_cast(node: Node) -> Node | None:
    """A cast to the dtype that is there already."""
    if node.op is ops.cast and node.arg is node.srcs[0].dtype:
        return node.srcs[0]
    return None


def fold_constants(node: Node) -> Node | None:
    """Exact ops on literals are literals."""
    if node.op.lowering is not Lowering.POINTWISE or node.op.ulp or node.shape != ():
        return None
    if node.dtype.is_half or not all(map(_is_literal, node.srcs)):
        return None
    arrays = [np.asarray(ops.const_value(s), dtype=compute_dtype(s.dtype).np) for s in node.srcs]
    try:
        return ops.const(apply(node, arrays).item(), node.dtype, node.device)
    except RuntimeError:  # division of integers by zero stays, to be reported when it runs
        return None


def repeated_literal(node: Node) -> Node | None:
    """Pointwise ops broadcast a 0-d source themselves: no expand is needed."""
    if node.op.lowering is not Lowering.POINTWISE or node.op is ops.copy:
        return None
    srcs = tuple(
        s.srcs[0] if s.op is ops.expand and s.buffer is None and s.srcs[0].shape == () else s
        for s in node.srcs
    )
    if srcs == node.srcs or all(s.shape != node.shape for s in srcs):
        return None
    return _with_srcs(node, srcs)


def still_movement(node: Node) -> Node | None:
    """Movement that moves nothing."""
    if node.op.lowering is not Lowering.MOVEMENT or node.shape != node.srcs[0].shape:
        return None
    op, arg = node.op, node.arg
    if op is ops.reshape or op is ops.expand:
        return node.srcs[0]
    if op is ops.permute and arg == tuple(range(len(arg))):
        return node.srcs[0]
    if op is ops.slice_ or (op is ops.pad and not any(map(any, arg))):
        return node.srcs[0]
    return node.srcs[0] if op is ops.as_strided and arg.is_contiguous else None


def reshape_twice(node: Node) -> Node | None:
    """Only the last reshape counts."""
    src = node.srcs[0] if node.srcs else None
    if node.op is ops.reshape and src is not None and src.op is ops.reshape and src.srcs:
        return ops.reshape(src.srcs[0], arg=node.arg)
    return None


def _joined(small: tuple[int, ...], large: tuple[int, ...]) -> list[tuple[int, ...]] | None:
    """For each axis of `large` the axes of `small` that it is made of, if it is made so."""
    runs: list[tuple[int, ...]] = []
    axis = 0
    for extent in large:
        run: list[int] = []
        size = 1
        while axis < len(small) and (not run or size < extent):
            run.append(axis)
            size *= small[axis]
            axis += 1
        if size != extent:
            return None
        runs.append(tuple(run))
    return runs if axis == len(small) else None


def permute_before_join(node: Node) -> Node | None:
    """Axes that a permute has brought together, and that are joined, stay apart until later moves
    are done: joining them in between would be a copy."""
    if node.op is not ops.permute or node.srcs[0].op is not ops.reshape:
        return None
    joined = node.srcs[0]
    if joined.buffer is not None or joined.srcs[0].op is not ops.permute:
        return None
    source = joined.srcs[0]
    runs = _joined(source.shape, joined.shape) if source.buffer is None else None
    if runs is None:
        return None
    order = tuple(axis for at in node.arg for axis in runs[at])
    return ops.reshape(ops.permute(source, arg=order), arg=node.shape)


def reduce_before_permute(node: Node) -> Node | None:
    """Reduce first, so that the order of summation follows memory; then permute what is left."""
    if node.op.lowering is not Lowering.REDUCE or node.srcs[0].op is not ops.permute:
        return None
    moved = node.srcs[0]
    if moved.buffer is not None:
        return None
    axes = tuple(sorted(moved.arg[axis] for axis in node.arg))
    return ops.permute(node.op(moved.srcs[0], arg=axes), arg=moved.arg)


def join_short_axes(node: Node) -> Node | None:
    """Sum over short neighbouring axes as over one long axis.

    How much the innermost loop of a sum covers decides the order of its additions: so it is fixed
    here, by the shape alone, not by what is fused into the sum (`kernel.collapse` joins no more).
    """
    if node.op not in (ops.sum_, ops.prod) or node.dtype.kind != "f" or node.srcs[0].numel == 0:
        return None
    shape, axes = node.srcs[0].shape, node.arg
    last = max((axis for axis in axes if shape[axis] != 1), default=0)
    first, size = last, shape[last] if shape else 0
    for axis in range(last - 1, -1, -1):
        if shape[axis] == 1:
            continue
        if axis not in axes or size >= SHORT:
            break
        first, size = axis, size * shape[axis]
    if first == last:
        return None
    flat = ops.reshape(node.srcs[0], arg=(*shape[:first], size, *shape[last + 1 :]))
    outer = tuple(axis for axis in axes if axis < first)
    inner = tuple(axis - (last - first) for axis in axes if axis > last)
    return ops.reshape(node.op(flat, arg=(*outer, first, *inner)), arg=node.shape)


def written_with_others(node: Node) -> Node | None:
    """An op that has no kernel of its own, as those that make it."""
    written = node.op.written
    return None if written is None else written(*node.srcs, arg=node.arg)


def transposed_matmul(node: Node) -> Node | None:
    """(a @ b) transposed is b' @ a': the same products, added in the same order."""
    if node.op is not ops.permute or node.srcs[0].op is not ops.matmul:
        return None
    product, last = node.srcs[0], node.ndim - 1
    if product.buffer is not None or node.arg != (*range(last - 1), last, last - 1):
        return None
    a, b = product.srcs
    return ops.matmul(ops.swap(b), ops.swap(a))


def reduce_nothing(node: Node) -> Node | None:
    """A reduction over no axes."""
    if node.op.lowering is Lowering.REDUCE and node.arg == ():
        return node.srcs[0]
    return None


def _one_per_row(index: Node, axis: int) -> bool:
    return index.dtype.kind == "i" and index.shape[axis] == 1


def _at(index: Node, axis: int, shape: tuple[int, ...]) -> Node:
    """Where the position along `axis` is the row's (checked) index."""
    size = shape[axis]
    place = ops.iota((size,), index.device)
    line = ops.reshape(place, arg=tuple(size if a == axis else 1 for a in range(len(shape))))
    checked = index
    if not (index.op is ops.check_index and index.arg.size == size):
        checked = ops.check_index(index, arg=ops.Check(size))
    return ops.eq(ops.expand(line, arg=shape), ops.spread(checked, shape))


def pick_by_comparison(node: Node) -> Node | None:
    """One element of every row of a computed value: the largest of that element and nothing else.

    A gather would need the whole value in memory; as a reduction it is fused with what makes it.
    """
    if node.op is not ops.gather or not _one_per_row(node.srcs[1], node.arg):
        return None
    x, index = node.srcs
    if x.buffer is not None or x.op.lowering is not Lowering.POINTWISE or x.numel == 0:
        return None
    least = ops.max_.identity
    assert least is not None
    nothing = ops.lit(_number(least(x.dtype)), x)
    kept = ops.where(_at(index, node.arg, x.shape), x, nothing)
    return ops.max_(kept, arg=(node.arg,))


def _number(text: str) -> float | int | bool:
    return (
        text == "True" if text in ("True", "False") else float(text) if "inf" in text else int(text)
    )


def spread_by_comparison(node: Node) -> Node | None:
    """One element added to every row of zeros, as a selection: it fuses, a scatter does not."""
    if node.op is not ops.scatter_add or not _one_per_row(node.srcs[1], node.arg):
        return None
    base, index, src = node.srcs
    filled = base.op is ops.expand and base.buffer is None and _is_const(base.srcs[0], 0)
    if not filled or node.shape[node.arg] > 4096 or node.dtype.kind == "b":
        return None
    zero = ops.lit(0, src)
    chosen = ops.where(_at(index, node.arg, node.shape), ops.spread(src, node.shape), zero)
    return ops.add(chosen, zero)  # 0 + -0.0 is 0.0, as adding to zeros gives


def wide_scatter(node: Node) -> Node | None:
    """Half types are added up in float32, and rounded once: as the op's numpy meaning does it."""
    if node.op is not ops.scatter_add or not node.dtype.is_half:
        return None
    base, index, src = node.srcs
    wide = compute_dtype(node.dtype)
    total = ops.scatter_add(ops.cast(base, arg=wide), index, ops.cast(src, arg=wide), arg=node.arg)
    return ops.cast(total, arg=node.dtype)


RULES: tuple[Rule, ...] = (
    written_with_others,
    unit_factor,
    double_negation,
    no_cast,
    fold_constants,
    repeated_literal,
    still_movement,
    reshape_twice,
    permute_before_join,
    reduce_before_permute,
    join_short_axes,
    transposed_matmul,
    reduce_nothing,
    pick_by_comparison,
    spread_by_comparison,
    wide_scatter,
)


def _with_srcs(node: Node, srcs: tuple[Node, ...]) -> Node:
    new = Node(node.op, srcs, node.arg, node.shape, node.dtype, node.device, node.value)
    new.place = node.place
    return new


def _rewritten(node: Node) -> Node:
    """Apply rules until none does anything more; every rule makes the graph smaller or simpler."""
    again = True
    while again:
        again = False
        for rule in RULES:
            if node.buffer is not None or not node.srcs:
                return node
            found = rule(node)
            if found is not None:
                node, again = found, True
    return node


def simplify(outputs: Sequence[Node]) -> list[Node]:
    """The same values from fewer nodes. Leaves with values are kept as the objects they are."""
    outer = override.place
    try:
        return _simplify(outputs)
    finally:
        override.place = outer


def _simplify(outputs: Sequence[Node]) -> list[Node]:
    unique: dict[object, Node] = {}
    new: dict[Node, Node] = {}
    known: set[Node] = set()  # nodes of the result

    def intern(node: Node) -> Node:
        if node.buffer is None and node.op is not ops.SCALAR:
            key = (node.op, node.arg, node.srcs, node.shape, node.dtype)
            node = unique.setdefault(key, node)
        known.add(node)
        return node

    def intern_all(root: Node) -> Node:
        """A rule may have made several nodes: those inside become unique as well."""
        made: dict[Node, Node] = {}
        for node in toposort([root], stop=known.__contains__):
            srcs = () if node in known else tuple(made[s] for s in node.srcs)
            same = node in known or srcs == node.srcs
            made[node] = intern(node if same else _with_srcs(node, srcs))
        return made[root]

    for node in toposort(outputs):
        if node.buffer is not None or node.op is ops.SCALAR:
            new[node] = intern(node)
            continue
        override.place = node.place  # what a rule makes stands for the line it came from
        srcs = tuple(new[s] for s in node.srcs)
        plain = node if srcs == node.srcs else _with_srcs(node, srcs)
        fresh = _rewritten(plain)
        new[node] = intern(fresh) if fresh is plain else intern_all(fresh)
    return [new[node] for node in outputs]
