"""`einsum`: sums of products written as an equation.

Owns: the equation's text, how operands are aligned and contracted, from the left. It takes the
steps that PyTorch takes, which the graph of gradients shows. Must not know: how a product of
matrices is done.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from lazygrad.tensor.core import Tensor, shape_of
from lazygrad.tensor.declare import declare
from lazygrad.tensor.linear import bmm


def _letters(equation: str, operands: Sequence[Tensor]) -> tuple[list[list[str]], list[str]]:
    """The labels of each operand and of the result, with "..." spelled out as "0", "1", ..."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        more = "more" if len(operands) > len(terms) else "fewer"
        raise RuntimeError(
            f"einsum(): {more} operands were provided than specified in the equation"
        )
    spread = 0
    for term, t in zip(terms, operands):
        if "..." in term:
            spread = builtins.max(spread, t.ndim - (len(term) - 3))
    labels = []
    for term, t in zip(terms, operands):
        if "..." in term:
            own = t.ndim - (len(term) - 3)
            before, after = term.split("...")
            labels.append([*before, *map(str, range(spread - own, spread)), *after])
        else:
            labels.append(list(term))
        if len(labels[-1]) != t.ndim:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({len(labels[-1])}) does "
                f"not match the number of dimensions ({t.ndim}) for operand "
                f"{len(labels) - 1} and no ellipsis was given"
            )
    if arrow:
        before, dots, after = right.partition("...")
        out = [*before, *(map(str, range(spread)) if dots else ()), *after]
    else:
        flat = [label for own in labels for label in own]
        once = sorted({c for c in flat if flat.count(c) == 1 and not c.isdigit()})
        out = [*map(str, range(spread)), *once]
    for label in out:
        if not builtins.any(label in own for own in labels):
            raise RuntimeError(
                f"einsum(): output subscript {label} does not appear in the equation for any "
                "input operand"
            )
    return labels, out


@declare(method=False)
def einsum(equation: str, *operands: Any) -> Tensor:
    """Sums of products as the equation says: "ij,jk->ik"."""
    if not isinstance(equation, str):
        raise TypeError(
            f"einsum(): argument 'equation' (position 1) must be str, not {type(equation).__name__}"
        )
    tensors: list[Tensor] = (
        list(operands[0])
        if len(operands) == 1 and isinstance(operands[0], (list, tuple))
        else list(operands)
    )
    for number, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"expected Tensor as element {number} in argument 1, but got {type(t).__name__}"
            )
    labels, out = _letters(equation, tensors)
    for i, own in enumerate(labels):  # a label twice in one operand: its diagonal
        for label in dict.fromkeys(own):
            while own.count(label) > 1:
                a = own.index(label)
                b = own.index(label, a + 1)
                tensors[i] = tensors[i].diagonal(0, a, b).movedim(-1, a)
                own.pop(b)
    sizes: dict[str, int] = {}
    for own, t in zip(labels, tensors):
        for label, extent in zip(own, shape_of(t)):
            if sizes.get(label, 1) == 1:
                sizes[label] = extent
            elif extent not in (1, sizes[label]):
                raise RuntimeError(
                    f"einsum(): subscript {label} has size {extent} for operand "
                    f"{labels.index(own)} which does not broadcast with previously seen size "
                    f"{sizes[label]}"
                )
    rest = [label for label in sorted(sizes, key=_contracted_order) if label not in out]
    order = [*out, *rest]
    parts = [_aligned(t, own, order) for own, t in zip(labels, tensors)]
    left = [sum(shape_of(t)[axis] != 1 for t in parts) for axis in range(len(order))]
    summed = range(len(out), len(order))
    total = parts[0]
    for part in parts[1:]:
        total = _contract(total, part, summed, left)
    if rest and len(tensors) > 1:
        return total.view(shape_of(total)[: len(out)])
    return total.sum([*summed]) if rest else total


def _contracted_order(label: str) -> tuple[bool, bool, str]:
    """Axes of an ellipsis come first, then capitals, then small letters."""
    return label.isalpha(), label.islower(), label


def _aligned(t: Tensor, labels: list[str], order: list[str]) -> Tensor:
    """`t` with an axis for each label: of size 1 for those that it has not."""
    labels = [*labels]
    for label in order:
        if label not in labels:
            t = t.unsqueeze(t.ndim)
            labels.append(label)
    return t.permute([labels.index(label) for label in order])


def _contract(a: Tensor, b: Tensor, summed: Iterable[int], left: list[int]) -> Tensor:
    """The product of two aligned operands, summed over the axes that nobody needs afterwards:
    `left` says how many operands still have them."""
    both: list[int] = []
    alone: tuple[list[int], list[int]] = ([], [])
    for axis in summed:
        in_a, in_b = (shape_of(t)[axis] != 1 for t in (a, b))
        if in_a and in_b:
            left[axis] -= 1
            if left[axis] == 1:
                both.append(axis)
        elif left[axis] == 1 and (in_a or in_b):
            alone[in_b].append(axis)
    for axis in (*both, *alone[0], *alone[1]):
        left[axis] = 0
    a, b = (t.sum(axes, True) if axes else t for t, axes in zip((a, b), alone))
    return _summed_product(a, b, both) if both else a.mul(b)


def _summed_product(a: Tensor, b: Tensor, both: list[int]) -> Tensor:
    """The product of two aligned operands, summed over axes that both have: one batched product of
    matrices. The axes that were summed are left, of size 1."""
    axes = [axis for axis in range(a.ndim) if axis not in both]
    here = [(axis, shape_of(a)[axis], shape_of(b)[axis]) for axis in axes]
    batch = [axis for axis, m, n in here if m != 1 and n != 1]
    rows = [axis for axis, m, n in here if m != 1 and n == 1]
    columns = [axis for axis, m, n in here if m == 1]

    def size(t: Tensor, group: list[int]) -> int:
        return prod(shape_of(t)[axis] for axis in group)

    x = a.permute([*batch, *rows, *both, *columns])
    y = b.permute([*batch, *both, *columns, *rows])
    x = x.reshape(size(a, batch), size(a, rows), size(a, both))
    y = y.reshape(size(b, batch), size(b, both), size(b, columns))
    shape = [shape_of(a)[axis] for axis in (*batch, *rows)]
    shape += [1] * len(both) + [shape_of(b)[axis] for axis in columns]
    at = [*batch, *rows, *both, *columns]
    return bmm(x, y).view(shape).permute([at.index(axis) for axis in range(a.ndim)])
