"""cuBLAS through ctypes: matrix products of floats, in row-major order.

Owns: finding its libraries, its handle for a device, and how strides become leading dimensions.
Must not know: nodes or programs. A row-major C = A B is its column-major C' = B' A', so operands
are handed over in the other order. float32 is computed in float32 unless `LAZYGRAD_TF32` asks for
TF32; half types are added up in float32.
"""

from __future__ import annotations

import ctypes
import glob
import os
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lazygrad.config import config
from lazygrad.ir.dtypes import DType

if TYPE_CHECKING:
    from lazygrad.runtime.cuda.blaslt import BlasLt
    from lazygrad.runtime.cuda.driver import Gpu

WORKSPACE = 32 << 20  # given once, so that nothing is allocated while a graph is captured
CUBLAS, CUBLASLT = "libcublas.so", "libcublasLt.so"
_FOLDERS = ("nvidia/cu*/lib", "nvidia/cublas/lib")
_VERSIONS = (".13", ".12", "")
_HOMES = ("CUDA_HOME", "CUDA_PATH")
# cudaDataType, cublasComputeType_t
TYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}
_FLOAT32, _TF32, _FLOAT64 = 68, 77, 70


def compute_type(dtype: str) -> int:
    """What sums are added up in."""
    if dtype == "float64":
        return _FLOAT64
    return _TF32 if dtype == "float32" and config.tf32 else _FLOAT32


def candidates(name: str = CUBLAS) -> list[str]:
    """Where a library may be: Python's packages, the toolkit, the loader's own places."""
    found = [p for path in sys.path for at in _FOLDERS for p in _glob(path, f"{at}/{name}.1*")]
    for home in (*(os.environ.get(name, "") for name in _HOMES), "/usr/local/cuda"):
        if home:
            found += _glob(home, f"lib64/{name}.1*")
    return [*dict.fromkeys(found), *(name + version for version in _VERSIONS)]


def _glob(folder: str, pattern: str) -> list[str]:
    return sorted(glob.glob(os.path.join(folder, pattern)))[:1]


def load(name: str = CUBLAS) -> ctypes.CDLL | None:
    """The library, or None where there is none."""
    for path in candidates(name):
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    return None


@dataclass(frozen=True)
class Layout:
    """An operand as a row-major matrix, or the transpose of one."""

    transposed: bool
    leading: int


def layout(rows: int, columns: int, row_stride: int, column_stride: int) -> Layout | None:
    """How a matrix with these strides is handed over; None if no leading dimension says it."""
    if column_stride == 1 or columns <= 1:
        leading = row_stride if rows > 1 else max(columns, 1)
        if leading >= max(columns, 1):
            return Layout(False, leading)
    if row_stride == 1 or rows <= 1:
        leading = column_stride if columns > 1 else max(rows, 1)
        if leading >= max(rows, 1):
            return Layout(True, leading)
    return None


def takes(dtype: DType, dims: Sequence[int]) -> bool:
    """Whether the library can make this product (dimensions of `codegen.gemm.gemm_dims`): one of
    matrices whose indices have one stride each."""
    axes, m, n, k, ai, ak, bk, bj, ci, cj = dims[:10]
    many = any(dims[10 + 4 * axes :])  # an index of several axes
    if dtype.name not in TYPES or axes > 1 or many or 0 in (m, n, k):
        return False
    c = layout(m, n, ci, cj)
    return (
        layout(m, k, ai, ak) is not None
        and layout(k, n, bk, bj) is not None
        and c is not None
        and not c.transposed
    )


class Blas:
    """The library on one device. Raises RuntimeError where a call fails."""

    def __init__(self, library: ctypes.CDLL, gpu: Gpu, workspace: int):
        self.library = library
        self.lt: BlasLt | None = None  # what finishes products, where it is there
        self._lock = threading.Lock()
        pointer, number, long = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong
        matrix: list[Any] = [pointer, number, number]
        batch: list[Any] = [*matrix, long]
        head: list[Any] = [pointer, *[number] * 5, pointer]
        library.cublasGemmEx.argtypes = [*head, *matrix, *matrix, pointer, *matrix, number, number]
        library.cublasGemmStridedBatchedEx.argtypes = [
            *head,
            *batch,
            *batch,
            pointer,
            *batch,
            number,
            number,
            number,
        ]
        library.cublasSetStream_v2.argtypes = [pointer, pointer]
        library.cublasSetWorkspace_v2.argtypes = [pointer, pointer, ctypes.c_size_t]
        library.cublasDestroy_v2.argtypes = [pointer]
        # a handle for each stream: those of captures cannot be made during one. The workspace is
        # one, as what was captured runs in the device's stream too
        self._handles = {
            int(stream.handle): self._handle(int(stream.handle), workspace)
            for stream in (gpu.stream, gpu.capture_stream)
        }

    def _handle(self, stream: int, workspace: int) -> ctypes.c_void_p:
        library, pointer = self.library, ctypes.c_void_p
        handle = pointer()
        self.check(library.cublasCreate_v2(ctypes.byref(handle)), "cublasCreate")
        self.check(library.cublasSetStream_v2(handle, pointer(stream)), "cublasSetStream")
        self.check(
            library.cublasSetWorkspace_v2(handle, pointer(workspace), WORKSPACE),
            "cublasSetWorkspace",
        )
        return handle

    def check(self, status: int, name: str) -> None:
        if status:
            raise RuntimeError(f"CUDA error: {name} failed with status {status}")

    def close(self) -> None:
        for handle in self._handles.values():
            self.library.cublasDestroy_v2(handle)

    def product(
        self, dtype: str, addresses: Iterable[int], dims: Iterable[int], stream: Any
    ) -> None:
        """C = A B at these addresses, put into a stream of the device."""
        axes, m, n, k, ai, ak, bk, bj, ci, cj, *batch = (int(v) for v in dims)
        a, b, c = layout(m, k, ai, ak), layout(k, n, bk, bj), layout(m, n, ci, cj)
        assert a is not None and b is not None and c is not None
        kind, compute = TYPES[dtype], compute_type(dtype)
        scalar = ctypes.c_double if dtype == "float64" else ctypes.c_float
        one, zero = scalar(1), scalar(0)
        at_a, at_b, at_c = (int(address) for address in addresses)
        handle = self._handles[int(stream.handle)]
        start: list[Any] = [handle, int(b.transposed), int(a.transposed), n, m, k]
        start.append(ctypes.addressof(one))
        first, second = [at_b, kind, b.leading], [at_a, kind, a.leading]
        last: list[Any] = [at_c, kind, c.leading]
        beta = ctypes.addressof(zero)
        if axes:
            count, step_a, step_b, step_c = batch[:4]
            function = self.library.cublasGemmStridedBatchedEx
            rest = [*first, step_b, *second, step_a, beta, *last, step_c, count, compute, -1]
        else:
            function = self.library.cublasGemmEx
            rest = [*first, *second, beta, *last, compute, -1]
        with self._lock:  # a handle serves one thread at a time
            status = function(*start, *rest)
        self.check(status, "cublasGemm")
