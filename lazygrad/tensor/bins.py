"""Counting elements in bins, and finding where values lie between boundaries.

Owns: `bincount`, `histc`, `searchsorted`, `bucketize` and their checks. They run on the host when
called. Must not know: how anything is sorted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.ir import dtypes as D
from lazygrad.tensor import promotion as P
from lazygrad.tensor.convert import host_values
from lazygrad.tensor.core import Tensor, node_of, shape_of
from lazygrad.tensor.creation import from_values
from lazygrad.tensor.declare import check_kind, check_tensor, declare
from lazygrad.tensor.kernels import require


@declare()
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each non-negative integer occurs."""
    if weights is not None:
        check_tensor(weights, "bincount", "weights", 2)
    require("bincount", input.dtype)
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if input.ndim != 1:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and shape_of(weights) != shape_of(input):
        raise RuntimeError("weights should be 1-d and have the same length as input")
    values = host_values(input)
    if values.size and values.min() < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return from_values(
            np.bincount(values, minlength=minlength).astype(np.int64),
            D.int64,
            input._storage.device,
        )
    given = host_values(weights)
    kind = weights.dtype if weights.dtype in (D.float32, D.float64) else D.float64
    return from_values(np.bincount(values, given, minlength), kind, input._storage.device)


def _histogram_range(values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """From where to where bins go. RuntimeError where that is nowhere."""
    if low == high and values.size:
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise RuntimeError(f"torch.histc: range of [{low:g}, {high:g}] is not finite")
    if low == high:
        low, high = low - 1, high + 1
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"torch.histc: range of [{low:g}, {high:g}] is not finite")
    if low >= high:
        raise RuntimeError("torch.histc: max must be larger than min")
    return low, high


@declare(out="same")
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of `bins` parts of [min, max], or of the range of elements.

    RuntimeError for limits that are not finite or not in order, and for no bins;
    NotImplementedError for dtypes that are not floating.
    """
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    require("histc edges", input.dtype)
    values = host_values(input).reshape(-1)
    low, high = _histogram_range(values, min, max)
    if input.dtype.kind == "u" and low < 0:
        raise RuntimeError("value cannot be converted to type uint8_t without overflow")
    require("histc", input.dtype)

    def rounded(array: Any) -> np.ndarray:  # after every operation, as eager execution does
        return host_values(from_values(np.asarray(array), input.dtype))

    first, last = rounded(low), rounded(high)
    inside = values[(values >= first) & (values <= last)]
    share = rounded(rounded(rounded(inside - first) * rounded(float(bins))) / rounded(last - first))
    places = np.minimum(share.astype(np.int64), bins - 1)
    counts = np.bincount(places, minlength=bins)
    return from_values(counts.astype(np.float64), input.dtype, input._storage.device)


def _check_sequence(edges: Tensor, values: Any, sorter: Any, side: str | None, right: bool) -> None:
    name = "torch.searchsorted()"
    if side not in (None, "left", "right"):
        raise RuntimeError(f"{name}: side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(
            f"{name}: side and right can't be set to opposites, got side of left while right was "
            "True"
        )
    is_number = not isinstance(values, Tensor) or not values.ndim
    if is_number and edges.ndim != 1:
        raise RuntimeError(
            f"{name}: input value can be a scalar only when boundaries tensor dimension is 1, but "
            f"we got boundaries tensor dim({edges.ndim}) and input value's dim(0) numel(1)"
        )
    if not edges.ndim:
        raise RuntimeError(
            f"{name}: boundaries tensor should have positive dimension, but got 0 dimension"
        )
    if edges.ndim != 1 and edges.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            f"{name}: boundaries tensor should be 1 dimension or the first N-1 dimensions of "
            f"boundaries tensor and input value tensor must match, but we got boundaries tensor "
            f"{list(edges.shape)} and input value tensor {list(values.shape)}"
        )
    if sorter is None:
        return
    if sorter.shape != edges.shape:
        raise RuntimeError(
            f"{name}: boundary and sorter must have the same size, but got boundary tensor "
            f"{list(edges.shape)}and got sorter tensor {list(sorter.shape)}"
        )
    if sorter.dtype is not D.int64:
        raise RuntimeError(
            f"{name}: sorter must be a tensor of long dtype but got dtype "
            f"{P.type_name(sorter.dtype)}"
        )
    if sorter.numel() and not ((sorter >= 0) & (sorter < edges.shape[-1])).all():
        raise RuntimeError(f"{name}: sorter index out of range")


@declare(method=False, out="same")
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Tensor:
    """Where values would be inserted to keep a sequence sorted.

    The sequence: a vector, or one for each row of the input. `right`, or `side`="right": behind
    equal elements. `sorter`: the indices that sort the sequence. RuntimeError for shapes that do
    not fit, NotImplementedError for bools.
    """
    check_tensor(sorted_sequence, "searchsorted", "sorted_sequence")
    check_kind(input, (Tensor, int, float), "searchsorted", "input", 2)
    _check_sequence(sorted_sequence, input, sorter, side, right)
    if isinstance(input, Tensor):
        require("searchsorted", P.pair_dtype(node_of(sorted_sequence), node_of(input)))
    place: Any = side or ("right" if right else "left")
    edges = host_values(sorted_sequence)
    if sorter is not None:
        edges = np.take_along_axis(edges, host_values(sorter), -1)
    values = host_values(input) if isinstance(input, Tensor) else np.asarray(input)
    if edges.ndim == 1:
        found = np.searchsorted(edges, values, place)
    else:
        found = np.empty(values.shape, np.int64)
        for at in np.ndindex(*edges.shape[:-1]):
            found[at] = np.searchsorted(edges[at], values[at], place)
    return from_values(
        np.asarray(found, np.int64),
        D.int32 if out_int32 else D.int64,
        sorted_sequence._storage.device,
    )


@declare(out="same")
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Where values lie between boundaries, a sorted vector. RuntimeError for another rank."""
    check_tensor(boundaries, "bucketize", "boundaries", 2)
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)
