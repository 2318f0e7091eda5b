"""Other names that an argument may be given by: numpy's, and those of PyTorch's overloads.

Owns: which they are. They are looked up when a call has failed: calls by the usual names pay
nothing for them. Must not know: how operations are declared.
"""

from __future__ import annotations

import inspect
from typing import Any

# numpy's names, which PyTorch takes for all functions that it has not written in Python
_NUMPY = {
    "axis": "dim",
    "keepdims": "keepdim",
    "x": "input",
    "a": "input",
    "x1": "input",
    "x2": "other",
}
_IN_PYTHON = frozenset(
    (
        *("split", "unique", "unique_consecutive", "norm", "tensordot", "einsum", "meshgrid"),
        *("cdist", "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "cartesian_prod"),
        *("broadcast_tensors", "chain_matmul"),
    )
)
_PARTS = {"sections": "indices_or_sections", "indices": "indices_or_sections"}
_AXES = {"axis0": "dim0", "axis1": "dim1"}
_MATRIX = {"input": "A", "x": "A", "a": "A", "x1": "A", "b": "B"}
# names that belong to one of PyTorch's overloads, where one argument here stands for several
OVERLOADS = {
    "hsplit": _PARTS,
    "vsplit": _PARTS,
    "dsplit": _PARTS,
    "tensor_split": _PARTS | {"tensor_indices_or_sections": "indices_or_sections"},
    "isin": {"element": "elements", "test_element": "test_elements"},
    "index_fill": {"value": "source"},
    "result_type": {
        "scalar": "tensor1",
        "scalar1": "tensor1",
        "other": "tensor1",
        "x2": "tensor1",
        "tensor": "tensor2",
        "scalar2": "tensor2",
    },
    "swapaxes": _AXES,
    "swapaxes_": _AXES,
    "linalg.vector_norm": {"input": "x", "a": "x", "x1": "x"},
} | {
    f"linalg.{name}": _MATRIX
    for name in (
        *("norm", "matrix_norm", "cholesky", "eigh", "eigvalsh", "cond", "matrix_power"),
        *("matrix_rank", "pinv", "lstsq"),
    )
}


def own_names(name: str, fn: Any, kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """The keywords by the function's own names; None if they are that already, or no other names.

    None too where both names of an argument are given.
    """
    if not kwargs:
        return None
    other = ({} if name in _IN_PYTHON else _NUMPY) | OVERLOADS.get(name, {})
    known = inspect.signature(fn).parameters
    result = {}
    for key, value in kwargs.items():
        own = other.get(key, key) if key not in known else key
        if own in result or own not in known:
            return None
        result[own] = value
    return None if result.keys() == kwargs.keys() else result
