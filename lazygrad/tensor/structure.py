"""Functions of where elements stand: triangles, diagonals, slices at given indices.

Owns: functions whose result depends on positions, composed of others. Must not know: primitives
beyond calling them.
"""

from __future__ import annotations

import builtins
from typing import Any

from lazygrad.autograd.composite import composite
from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.node import Node
from lazygrad.tensor import promotion as P
from lazygrad.tensor.aliasing import adopt, check_inplace, repeated_axes
from lazygrad.tensor.checks import checked_index, wrapped_index
from lazygrad.tensor.convert import host_values
from lazygrad.tensor.core import Tensor, axis_of, node_of, shape_of, wrap
from lazygrad.tensor.declare import check_tensor, declare, inplace_form
from lazygrad.tensor.functions import rename
from lazygrad.tensor.gathering import gathered, masked_fill
from lazygrad.tensor.history import record
from lazygrad.tensor.indexing import mask_of_places, put_at
from lazygrad.tensor.kernels import require
from lazygrad.tensor.reductions import drop_axes

# -- triangles and diagonals --------------------------------------------------------------------


def _band(x: Node, diagonal: int, upper: bool) -> Node:
    rows, columns = x.shape[-2:]
    r = P.spread_to(ops.reshape(ops.iota((rows,), x.device), arg=(rows, 1)), (rows, columns))
    c = P.spread_to(ops.iota((columns,), x.device), (rows, columns))
    edge = ops.add(r, ops.lit(diagonal, r))
    keep = ops.le(edge, c) if upper else ops.le(c, edge)
    return P.spread_to(keep, x.shape)


def _triangle(name: str, upper: bool) -> Any:
    def function(input: Tensor, diagonal: int = 0) -> Tensor:
        x = node_of(input)
        if len(x.shape) < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        value = ops.where(_band(x, diagonal, upper), x, ops.lit(0, x))
        return record(f"{name.capitalize()}Backward0", (input,), (x,), value, saves=())

    function.__name__ = function.__qualname__ = name
    return declare(name, inplace=True, out="same")(function)


tril, triu = _triangle("tril", False), _triangle("triu", True)


@declare(out="same")
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with this diagonal, or the diagonal of a matrix."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError("diag(): Supports 1D or 2D tensors. Got " + f"{input.ndim}D")
    return _diagonal_copy(input, diagonal)


@composite("DiagonalBackward0_copy", saves=())
def _diagonal_copy(input: Tensor, offset: int) -> Tensor:
    return input.diagonal(offset).clone()


@declare()
@composite("DiagEmbedBackward0", saves=())
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with these diagonals."""
    rank = input.ndim + 1
    a, b = axis_of(dim1, rank), axis_of(dim2, rank)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    size = shape_of(input)[-1] + builtins.abs(offset)
    shape = list(shape_of(input)[:-1])
    for axis in sorted((a, b)):
        shape.insert(axis, size)
    room = input.new_zeros(shape)
    room.diagonal(offset, a, b).copy_(input)
    return room


@declare()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    return diag_embed(input.reshape(-1), offset)


@declare()
@composite("DiagonalScatterBackward0", saves=())
def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    made = input.clone()
    made.diagonal(offset, dim1, dim2).copy_(src)
    return made


@declare()
@composite("SelectScatterBackward0", saves=())
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    made = input.clone()
    made.select(dim, index).copy_(src)
    return made


@declare(out="same")
@composite("SliceScatterBackward0", saves=())
def slice_scatter(
    input: Tensor,
    src: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """A copy of the input of which a slice along a dim is `src`.

    RuntimeError for a source of another shape than the slice, and a step that is not positive.
    """
    if step < 1:
        raise RuntimeError("slice step must be positive")
    made = input.clone()
    part = made[(slice(None),) * axis_of(dim, input.ndim) + (slice(start, end, step),)]
    if part.shape != src.shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(src.shape)}, slice size = {list(part.shape)}"
        )
    part.copy_(src)
    return made


@declare(function=False)
def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write a number where all indices are equal; in tall matrices again below, if wrapped."""
    shape, steps, first = shape_of(self), self.stride(), self.storage_offset()
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    size, step = builtins.min(shape), (builtins.sum(steps),)
    self.as_strided((size,), step, first).fill_(fill_value)
    rows, columns = shape[:2]
    if wrap and len(shape) == 2 and rows > columns + 1:
        more = -(-rows * columns // (columns + 1)) - size
        self.as_strided((more,), step, first + steps[0] * (columns + 1)).fill_(fill_value)
    return self


@declare()
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    x = node_of(input)
    require("trace", x.dtype)
    keep = ops.where(_eye(x), x, ops.lit(0, x))
    keep = P.cast(keep, x.dtype if x.dtype.kind == "f" else D.int64)
    total = drop_axes(ops.sum_(keep, arg=(0, 1)), (0, 1), False)
    return record("TraceBackward0", (input,), (x,), total, saves=())


def _eye(x: Node) -> Node:
    rows, columns = x.shape
    r = P.spread_to(ops.reshape(ops.iota((rows,), x.device), arg=(rows, 1)), x.shape)
    return ops.eq(r, P.spread_to(ops.iota((columns,), x.device), x.shape))


@declare()
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of the elements of a vector, N of them, a row each. RuntimeError for other ranks."""
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    if N is not None and N < 0:
        raise RuntimeError("N must be non-negative.")
    if x.dtype.kind != "f":
        x = x.long()
    if N == 0 or not x.numel():
        return x.new_empty((x.numel(), x.numel() if N is None else N))
    count = shape_of(x)[0] if N is None else N
    order = range(count) if increasing else range(count - 1, -1, -1)
    from lazygrad.tensor.joining import stack

    return stack([x**i for i in order], 1)


@declare(out=True)
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None
) -> Tensor:
    """Differences of neighbours."""
    from lazygrad.tensor.joining import cat

    parts = [t for t in (prepend, input, append) if t is not None]
    value: Any = cat(parts, dim) if len(parts) > 1 else input
    axis = axis_of(dim, value.ndim)
    for _ in range(builtins.min(n, value.shape[axis])):
        size = value.shape[axis]
        late, early = value.narrow(axis, 1, size - 1), value.narrow(axis, 0, size - 1)
        value = late ^ early if value.dtype is D.bool_ else late - early
    return value


# -- by index -----------------------------------------------------------------------------------


_NO_ELEMENT = (
    "IndexError: out of range: tried to access index {asked} on a tensor of {size} elements."
)


@declare(out="same")
@composite("TakeBackward0", saves=("input", "index"))
def take(input: Tensor, index: Tensor) -> Tensor:
    """Elements by their position in row-major order."""
    if index.dtype is not D.int64:
        raise RuntimeError(
            f"take(): Expected a long tensor for index, but got {P.type_name(index.dtype)}"
        )
    flat = input.reshape(-1)
    places = index.reshape(-1)
    words = (
        "IndexError: out of range: tried to access index {asked} on a tensor of {size} elements."
    )
    at = wrapped_index(places, input.numel(), words)
    return gathered(flat, 0, places, at).reshape(shape_of(index))


@declare(out="same")
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Elements by their position along `dim`, modulo its extent, or in row-major order."""
    if indices.dtype is not D.int64:
        raise RuntimeError(
            "take_along_dim(): dtype of indices should be Long but got "
            f"{P.type_name(indices.dtype)}"
        )
    if dim is None:
        return input.reshape(-1).gather(0, indices.reshape(-1))
    axis = axis_of(dim, input.ndim)
    shape = list(
        P.broadcast_shapes(
            [1 if a == axis else e for a, e in enumerate(shape_of(input))],
            [1 if a == axis else e for a, e in enumerate(shape_of(indices))],
        )
    )
    own, wanted = list(shape), list(shape)
    own[axis], wanted[axis] = shape_of(input)[axis], shape_of(indices)[axis]
    places = indices.expand(wanted).remainder(own[axis])
    return gathered(input.expand(own), axis, places, node_of(places))


_RANGE = "index {{value}} is out of bounds for dimension {} with size {{size}}"
# which indices there are, and what is said of others
_INDEXED: dict[str, tuple[Any, str]] = {
    "index_add": (checked_index, f"RuntimeError: {_RANGE}"),
    "index_copy": (checked_index, f"IndexError: index_copy_(): {_RANGE}"),
    "index_fill": (wrapped_index, f"IndexError: {_RANGE.replace('value', 'asked')}"),
}


def _indexed(name: str, change: Any) -> Any:
    """index_add and its kin: whole slices at given indices along a dim."""
    stem = "".join(part.capitalize() for part in name.split("_")) + "Backward"

    def changed(
        input: Tensor, axis: int, places: Tensor, source: Any, index: Tensor, **options: Any
    ) -> Tensor:
        key = (slice(None),) * axis + (places,)
        fills = name == "index_fill" or input.is_contiguous()
        made = input.clone() if fills else input.contiguous()  # the others' results are row-major
        change(made if made.ndim else made.view(1), key, source, **options)
        return made

    saves = {
        "index_add": ("index?source", "source?source"),
        "index_copy": ("index", "source?source"),
        "index_fill": ("index",),
    }[name]
    with_tensor = composite(f"{stem}{int(name == 'index_fill')}", saves)(changed)
    with_number = composite(f"{stem}0", saves)(changed)

    def function(input: Tensor, dim: int, index: Tensor, source: Any, **options: Any) -> Tensor:
        axis = axis_of(dim, input.ndim)
        if index.dtype not in (D.int64, D.int32):
            refusal = IndexError if name == "index_fill" else RuntimeError
            raise refusal(f"{name}_(): Expected dtype int32/int64 for index")
        if index.ndim > 1:
            kind = RuntimeError if name == "index_fill" else IndexError
            raise kind(f"{name}_(): Index is supposed to be a vector, but got dim: {index.ndim}")
        size = shape_of(input)[axis] if input.ndim else 1
        check, words = _INDEXED[name]
        places = wrap(check(index, size, words.format(axis)))
        if name == "index_fill":
            if not isinstance(source, Tensor):
                P.check_fits(source, input.dtype)
        else:
            _check_source(name, input, axis, places, source)
        run = with_tensor if isinstance(source, Tensor) else with_number
        return run(input, axis, places.reshape(-1), source, index, **options)

    function.__name__ = function.__qualname__ = name
    if name == "index_fill":
        return declare(name)(function)
    return declare(name, inplace=True, out="same")(function)


def _check_source(name: str, input: Tensor, axis: int, index: Tensor, source: Tensor) -> None:
    """Raise if the slices are not as many as the indices, or of another rank."""
    check_tensor(source, name, "source", 4)
    kind = RuntimeError if name == "index_add" else IndexError
    if input.ndim and source.ndim and input.ndim != source.ndim:
        raise kind(
            f"{name}_(): When source and destination are not scalars, their dimensionality must "
            f"match. Source dimensionality ({source.ndim}), destination dimensionality "
            f"({input.ndim})"
        )
    have = shape_of(source)[axis] if source.ndim else 1
    if index.numel() != have:
        raise kind(
            f"{name}_(): Number of indices ({index.numel()}) should be equal to source.size(dim): "
            f"({have}), for dim: {axis}"
        )


def _add_at(made: Any, key: Any, source: Any, alpha: Any = 1) -> None:
    scaled = source if alpha == 1 else (source * alpha).to(source.dtype)
    put_at(made, key, scaled, True)


def _copy_at(made: Any, key: Any, source: Any) -> None:
    made[key] = source


index_add = _indexed("index_add", _add_at)
index_copy = _indexed("index_copy", _copy_at)
index_fill = _indexed("index_fill", _copy_at)
_index_fill_once = inplace_form("index_fill", index_fill)


@declare(function=False)
def index_fill_(self: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """`index_fill`, written into this tensor; with a warning where elements are one in memory."""
    if not repeated_axes(self):
        return _index_fill_once(self, dim, index, value)
    import warnings

    warnings.warn(
        "Use of index_fill_ on expanded tensors is deprecated. Please clone() the tensor before "
        "performing this operation. This also applies to advanced indexing e.g. "
        "tensor[mask] = scalar",
        stacklevel=2,
    )
    check_inplace(self, (value,), may_repeat=True)
    places = self.new_zeros(shape_of(self), dtype=D.bool_)
    mask = mask_of_places(self, index_fill(places, dim, index, True))
    return adopt(self, rename(masked_fill(self, mask, value), "IndexFillBackward0"))


@declare(method=False)
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 vectors with a single 1."""
    if tensor.dtype is not D.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if num_classes == -1 or node_of(tensor).buffer is not None:
        values = host_values(tensor)
        if values.size and values.min() < 0:
            raise RuntimeError("Class values must be non-negative.")
        if num_classes == -1:
            if not values.size:
                raise RuntimeError("Can not infer total number of classes from empty tensor.")
            num_classes = int(values.max()) + 1
        elif values.size and values.max() >= num_classes:
            raise RuntimeError("Class values must be smaller than num_classes.")
    classes = ops.iota((num_classes,), tensor._storage.device)
    shape = (*shape_of(tensor), num_classes)
    x = ops.reshape(node_of(tensor), arg=(*shape_of(tensor), 1))
    return wrap(ops.cast(ops.eq(P.spread_to(x, shape), P.spread_to(classes, shape)), arg=D.int64))
