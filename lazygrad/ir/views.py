"""Views: where in a buffer each element of an index space lies.

Owns: the affine map (shape, strides, offset, valid box) that all movement ops fold into, and its
algebra. Must not know: nodes, buffers, kernels. What the map cannot express (most reshapes of a
permuted view) is answered with None: the caller then makes an explicit copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod

from lazygrad.ir.sizes import Size

Shape = tuple[int, ...]
Box = tuple[tuple[int, int], ...]  # per axis: first valid index, one past the last valid index


@cache
def contiguous_strides(shape: Shape) -> Shape:
    """Row-major strides in elements; axes of extent 0 or 1 get what their place implies."""
    strides = []
    step = 1
    for extent in reversed(shape):
        strides.append(step)
        # numpy's integers equal ours as keys of this cache
        step *= (extent if extent.__class__ is Size else int(extent)) or 1
    return tuple(reversed(strides))


@dataclass(frozen=True, slots=True)
class View:
    """Element i of `shape` lies at offset + sum(i * strides), and reads 0 outside `box`."""

    shape: Shape
    strides: Shape
    offset: int = 0
    box: Box | None = None

    @staticmethod
    def contiguous(shape: Shape) -> View:
        return View(shape, contiguous_strides(shape))

    @property
    def numel(self) -> int:
        return prod(self.shape)

    @property
    def is_contiguous(self) -> bool:
        """Row-major from offset 0 without a box; strides of axes of extent 1 do not matter."""
        if self.offset or self.box is not None:
            return False
        return self.has_dense_strides

    @property
    def has_dense_strides(self) -> bool:
        """Row-major strides, whatever the offset; strides of axes of extent 1 do not matter."""
        step = 1
        for extent, stride in zip(reversed(self.shape), reversed(self.strides)):
            if extent != 1:
                if stride != step:
                    return extent == 0 or 0 in self.shape
                step *= extent
        return True

    @property
    def overlaps_itself(self) -> bool:
        """Whether two indices may share an element (checked by nesting of the axes)."""
        axes = sorted(
            (abs(stride), extent) for stride, extent in zip(self.strides, self.shape) if extent > 1
        )
        reach = 0
        for stride, extent in axes:
            if stride <= reach:
                return True
            reach += stride * (extent - 1)
        return False

    def bounds(self) -> tuple[int, int]:
        """First and last offset touched. Only for non-empty views."""
        low = high = self.offset
        for extent, stride in zip(self.shape, self.strides):
            step = stride * (extent - 1)
            low += min(step, 0)
            high += max(step, 0)
        return low, high

    def permute(self, order: Shape) -> View:
        box = self.box and tuple(self.box[axis] for axis in order)
        return View(
            tuple(self.shape[axis] for axis in order),
            tuple(self.strides[axis] for axis in order),
            self.offset,
            box,
        )

    def expand(self, shape: Shape) -> View:
        """Broadcast axes of extent 1, and new leading axes, to `shape`."""
        lead = len(shape) - len(self.shape)
        old = (1,) * lead + self.shape
        strides = (0,) * lead + self.strides
        strides = tuple(
            0 if was == 1 and now != 1 else stride for was, now, stride in zip(old, shape, strides)
        )
        box = None
        if self.box is not None:
            grown = ((0, 1),) * lead + self.box
            box = tuple(
                span if was == now else ((0, now) if span == (0, 1) else (0, 0))
                for span, was, now in zip(grown, old, shape)
            )
        return View(shape, strides, self.offset, box)

    def slice(self, spans: tuple[tuple[int, int, int], ...]) -> View:
        """(first, stop, step) per axis, 0 <= first <= stop <= extent, step >= 1."""
        shape, strides, box = [], [], []
        offset = self.offset
        for axis, (first, stop, step) in enumerate(spans):
            count = max(0, -(-(stop - first) // step))
            shape.append(count)
            strides.append(self.strides[axis] * step)
            offset += self.strides[axis] * first
            if self.box is not None:
                low, high = self.box[axis]
                low = -(-(low - first) // step)
                high = -(-(high - first) // step)
                box.append((min(max(low, 0), count), min(max(high, 0), count)))
        return View(tuple(shape), tuple(strides), offset, tuple(box) if box else None)

    def flip(self, axes: Shape) -> View:
        strides = list(self.strides)
        offset = self.offset
        box = list(self.box) if self.box is not None else None
        for axis in axes:
            extent = self.shape[axis]
            offset += strides[axis] * (extent - 1)
            strides[axis] = -strides[axis]
            if box is not None:
                low, high = box[axis]
                box[axis] = (extent - high, extent - low)
        return View(self.shape, tuple(strides), offset, tuple(box) if box else None)

    def pad(self, widths: tuple[tuple[int, int], ...]) -> View:
        """Add `before` and `after` zeros to each axis."""
        box = self.box or tuple((0, extent) for extent in self.shape)
        shape = tuple(lo + extent + hi for extent, (lo, hi) in zip(self.shape, widths))
        offset = self.offset - sum(stride * lo for stride, (lo, _) in zip(self.strides, widths))
        moved = tuple((low + lo, high + lo) for (low, high), (lo, _) in zip(box, widths))
        return View(shape, self.strides, offset, moved)

    def window(self, axis: int, size: int, step: int) -> View | None:
        """A new last axis of `size` neighbours along `axis`, taken every `step` elements."""
        if self.box is not None and self.box[axis] != (0, self.shape[axis]):
            return None
        count = (self.shape[axis] - size) // step + 1
        shape = (*self.shape[:axis], count, *self.shape[axis + 1 :], size)
        strides = [*list(self.strides), self.strides[axis]]
        strides[axis] *= step
        box = None
        if self.box is not None:
            box = (*self.box[:axis], (0, count), *self.box[axis + 1 :], (0, size))
        return View(shape, tuple(strides), self.offset, box)

    def at(self, places: View) -> View | None:
        """This view read at `places`, a view of its row-major index space; None if not affine."""
        if places.box is not None:
            return None
        if places.is_contiguous and places.numel == self.numel:
            return self.reshape(places.shape)
        steps = contiguous_strides(self.shape)
        start, rest = [], places.offset
        for step in steps:
            start.append(rest // step)
            rest %= step
        if any(not 0 <= first < extent for first, extent in zip(start, self.shape)):
            return None
        low, high = list(start), list(start)  # the indices used along each axis
        strides, spans = [], []
        for extent, stride in zip(places.shape, places.strides):
            axis, times = _axis_of(stride, extent, self.shape, steps)
            if axis is None:
                if stride and extent > 1:
                    return None
                strides.append(0)
                spans.append((0, extent))
                continue
            (high if times > 0 else low)[axis] += times * (extent - 1)
            strides.append(times * self.strides[axis])
            spans.append((0, extent))
            if self._cuts(axis):
                if times != 1 or high[axis] != start[axis] + extent - 1:
                    return None
                assert self.box is not None
                first, stop = (min(max(b - start[axis], 0), extent) for b in self.box[axis])
                spans[-1] = (first, stop)
        if min(low, default=0) < 0 or any(a >= n for a, n in zip(high, self.shape)):
            return None
        used = {_axis_of(s, n, self.shape, steps)[0] for n, s in zip(places.shape, places.strides)}
        if any(self._cuts(a) for a in range(len(self.shape)) if a not in used):
            return None
        offset = self.offset + sum(a * b for a, b in zip(start, self.strides))
        whole = all(span == (0, n) for span, n in zip(spans, places.shape))
        return View(places.shape, tuple(strides), offset, None if whole else tuple(spans))

    def _cuts(self, axis: int) -> bool:
        return self.box is not None and self.box[axis] != (0, self.shape[axis])

    def strided(self, other: View) -> View | None:
        """`other` applied to this view's row-major order: only where that is the buffer's order."""
        if self.box is not None or not self.has_dense_strides:
            return None
        return View(other.shape, other.strides, other.offset + self.offset, None)

    def reshape(self, shape: Shape) -> View | None:
        """The same elements in row-major order under another shape, or None."""
        if shape == self.shape and (1 not in shape or 0 in shape):
            return self
        if 0 in shape:
            return View.contiguous(shape)
        if self.box is None:
            strides = _reshape_strides(self.shape, self.strides, shape)
            return None if strides is None else View(shape, strides, self.offset)
        return self._reshape_boxed(shape)

    def _reshape_boxed(self, shape: Shape) -> View | None:
        """With a box: axes that are cut by it must keep their place among the larger axes."""
        assert self.box is not None
        whole = [span == (0, extent) for span, extent in zip(self.box, self.shape)]
        strides: list[int] = []
        box: list[tuple[int, int]] = []
        new = list(shape)
        position = 0
        start = 0
        for axis in [*(a for a, full in enumerate(whole) if not full), len(self.shape)]:
            wanted = prod(self.shape[start:axis])
            part: list[int] = []
            count = 1
            while (
                position < len(new)
                and count * new[position] <= wanted
                and (count < wanted or new[position] == 1)
            ):
                count *= new[position]
                part.append(new[position])
                position += 1
            if count != wanted:
                return None
            if axis < len(self.shape):  # the cut axis must follow as it is
                while (
                    part
                    and part[-1] == 1
                    and (position >= len(new) or new[position] != self.shape[axis])
                ):
                    part.pop()
                    position -= 1
                if position >= len(new) or new[position] != self.shape[axis]:
                    return None
            found = _reshape_strides(self.shape[start:axis], self.strides[start:axis], tuple(part))
            if found is None:
                return None
            strides += found
            box += [(0, extent) for extent in part]
            if axis < len(self.shape):
                strides.append(self.strides[axis])
                box.append(self.box[axis])
                position += 1
            start = axis + 1
        if position != len(new):
            return None
        return View(shape, tuple(strides), self.offset, tuple(box))


def _axis_of(stride: int, extent: int, shape: Shape, steps: Shape) -> tuple[int | None, int]:
    """The axis of a row-major `shape` that an axis of this stride walks, and how many at a time."""
    if stride and extent > 1:
        for axis, step in enumerate(steps):
            if shape[axis] > 1 and stride % step == 0:
                times = stride // step
                return (axis, times) if abs(times) * (extent - 1) < shape[axis] else (None, 0)
    return None, 0


def _reshape_strides(old: Shape, strides: Shape, new: Shape) -> Shape | None:
    """Strides of `new` over the same elements, or None where no affine map exists.

    Axes of one element get the strides that PyTorch's `view` gives them: whether two views are
    the same is seen by them.
    """
    result = [1] * len(new)
    if not old:
        return tuple(result)
    at = len(new) - 1
    step, run, made = strides[-1], 1, 1  # `run`: elements of neighbouring axes that are as one
    for axis in range(len(old) - 1, -1, -1):
        run *= old[axis]
        if axis and (old[axis - 1] == 1 or strides[axis - 1] == run * step):
            continue
        while at >= 0 and (made < run or new[at] == 1):
            result[at] = made * step
            made *= new[at]
            at -= 1
        if made != run:
            return None
        if axis:
            step, run, made = strides[axis - 1], 1, 1
    return tuple(result) if at < 0 else None
