"""cuBLASLt through ctypes: products of float32 and float64, with a bias and relu in the same call.

Owns: the library's handle and descriptors, and which algorithm makes which product. Must not know:
nodes or programs. The algorithm is searched for the plain product, once for each shape, and used
with every epilogue: another might add in another order, so that values would depend on what is
done to them afterwards. Operands are handed over as in `blas`: a row of C is a column there, and
the bias, which goes along its rows there, along ours.

The numbers are those of cublasLt.h, which keeps them from version to version.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.runtime.cuda.blas import TYPES, WORKSPACE, compute_type, layout

if TYPE_CHECKING:
    from lazygrad.runtime.cuda.driver import Gpu

DTYPES = ("float32", "float64")  # of half types an epilogue rounds once what two ops round twice
DEFAULT, RELU, BIAS = 1, 2, 4  # cublasLtEpilogue_t, of which RELU and BIAS may be joined
EPILOGUES = {"": DEFAULT, "relu": RELU, "bias": BIAS, "bias_relu": BIAS | RELU}
ALIGN = 16  # bytes that all memory of ours begins at a multiple of
_TRANSA, _TRANSB, _EPILOGUE, _BIAS_POINTER = 3, 4, 7, 8  # cublasLtMatmulDescAttributes_t
_BATCH_COUNT, _BATCH_OFFSET = 5, 6  # cublasLtMatrixLayoutAttribute_t
_WORKSPACE_BYTES, _ALIGNMENT_A = 1, 5  # cublasLtMatmulPreferenceAttributes_t; then of B, C, D


class _Algorithm(ctypes.Structure):
    _fields_ = (("data", ctypes.c_uint64 * 8),)


class _Found(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t"""

    _fields_ = (
        ("algorithm", _Algorithm),
        ("workspace", ctypes.c_size_t),
        ("state", ctypes.c_int),
        ("waves", ctypes.c_float),
        ("reserved", ctypes.c_int * 4),
    )


@dataclass
class _Prepared:
    """All of a call but its addresses."""

    description: ctypes.c_void_p
    layouts: tuple[ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]  # first, second, result
    algorithm: _Algorithm
    workspace: int


class BlasLt:
    """The library on one device. Raises RuntimeError where a call fails that has to work."""

    def __init__(self, library: ctypes.CDLL, gpu: Gpu, workspace: int):
        self.library, self.gpu, self.workspace = library, gpu, workspace
        self._lock = threading.Lock()
        self._known: dict[tuple[Any, ...], _Prepared | None] = {}  # named cache: by product
        pointer, number, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
        put: list[Any] = [pointer, number, pointer, size]
        four: list[Any] = [pointer] * 4
        library.cublasLtGetVersion.restype = size
        library.cublasLtMatmulDescSetAttribute.argtypes = put
        library.cublasLtMatrixLayoutSetAttribute.argtypes = put
        library.cublasLtMatmulPreferenceSetAttribute.argtypes = put
        library.cublasLtMatrixLayoutCreate.argtypes = [
            pointer,
            number,
            ctypes.c_uint64,
            ctypes.c_uint64,
            ctypes.c_int64,
        ]
        search = library.cublasLtMatmulAlgoGetHeuristic
        search.argtypes = [pointer, pointer, *four, pointer, number, pointer, pointer]
        library.cublasLtMatmulAlgoCheck.argtypes = [pointer, pointer, *four, pointer, pointer]
        matrix: list[Any] = [pointer, pointer]
        library.cublasLtMatmul.argtypes = [
            *(pointer, pointer, pointer),
            *(*matrix, *matrix, pointer, *matrix, *matrix),
            *(pointer, pointer, size, pointer),
        ]
        self._handle = pointer()
        self._check(library.cublasLtCreate(ctypes.byref(self._handle)), "cublasLtCreate")

    @property
    def version(self) -> int:
        return int(self.library.cublasLtGetVersion())

    @staticmethod
    def _check(status: int, name: str) -> None:
        if status:
            raise RuntimeError(f"CUDA error: {name} failed with status {status}")

    def close(self) -> None:
        for one in self._known.values():
            if one is not None:
                self._let_go(one)
        self._known.clear()
        self.library.cublasLtDestroy(self._handle)

    def _let_go(self, one: _Prepared) -> None:
        self.library.cublasLtMatmulDescDestroy(one.description)
        for each in one.layouts:
            self.library.cublasLtMatrixLayoutDestroy(each)

    def _put(self, kind: str, into: ctypes.c_void_p, attribute: int, value: Any) -> None:
        function = getattr(self.library, f"cublasLt{kind}SetAttribute")
        status = function(into, attribute, ctypes.byref(value), ctypes.sizeof(value))
        self._check(status, f"cublasLt{kind}SetAttribute")

    def _matrix(
        self, kind: int, rows: int, columns: int, leading: int, batch: tuple[int, int] | None
    ) -> ctypes.c_void_p:
        made = ctypes.c_void_p()
        create = self.library.cublasLtMatrixLayoutCreate
        status = create(ctypes.byref(made), kind, rows, columns, leading)
        self._check(status, "cublasLtMatrixLayoutCreate")
        if batch is not None:
            self._put("MatrixLayout", made, _BATCH_COUNT, ctypes.c_int32(batch[0]))
            self._put("MatrixLayout", made, _BATCH_OFFSET, ctypes.c_int64(batch[1]))
        return made

    # -- products ---------------------------------------------------------------------------------
    def can(self, dtype: str, epilogue: str, dims: Sequence[int]) -> bool:
        """Whether the product that `matmul` makes of these has an algorithm. Those that
        `blas.takes` are asked for."""
        with self.gpu.active(), self._lock:
            return self._prepared(dtype, epilogue, dims) is not None

    def _prepared(self, dtype: str, epilogue: str, dims: Sequence[int]) -> _Prepared | None:
        key = dtype, compute_type(dtype), epilogue, *dims
        if key not in self._known:
            self._known[key] = self._prepare(dtype, epilogue, dims)
        return self._known[key]

    def _prepare(self, dtype: str, epilogue: str, dims: Sequence[int]) -> _Prepared | None:
        *dims, align_a, align_b = (int(v) for v in dims)
        axes, m, n, k, ai, ak, bk, bj, ci, cj, *batch = dims
        a, b, c = layout(m, k, ai, ak), layout(k, n, bk, bj), layout(m, n, ci, cj)
        assert a is not None and b is not None and c is not None
        kind, made = TYPES[dtype], ctypes.c_void_p()
        create = self.library.cublasLtMatmulDescCreate
        status = create(ctypes.byref(made), compute_type(dtype), kind)
        self._check(status, "cublasLtMatmulDescCreate")
        for attribute, one in ((_TRANSA, b), (_TRANSB, a)):
            self._put("MatmulDesc", made, attribute, ctypes.c_int32(one.transposed))
        if epilogue:
            self._put("MatmulDesc", made, _EPILOGUE, ctypes.c_uint32(EPILOGUES[epilogue]))
        if "bias" in epilogue:  # what is looked at before a call is its alignment only
            self._put("MatmulDesc", made, _BIAS_POINTER, ctypes.c_void_p(self.workspace))
        steps: list[tuple[int, int] | None] = [None] * 3
        if axes:
            steps = [(batch[0], batch[place]) for place in (2, 1, 3)]
        # a row of ours is a column there
        first = (k, n) if b.transposed else (n, k)
        second = (m, k) if a.transposed else (k, m)
        layouts = (
            self._matrix(kind, *first, b.leading, steps[0]),
            self._matrix(kind, *second, a.leading, steps[1]),
            self._matrix(kind, n, m, c.leading, steps[2]),
        )
        found = _Found()
        ready = _Prepared(made, layouts, found.algorithm, 0)
        if not self._search(dtype, epilogue, (*dims, align_a, align_b), ready, found):
            self._let_go(ready)
            return None
        ready.algorithm, ready.workspace = found.algorithm, found.workspace
        return ready

    def _search(
        self, dtype: str, epilogue: str, dims: tuple[int, ...], ready: _Prepared, found: _Found
    ) -> bool:
        """Find the algorithm of a product: for one with an epilogue, that of the plain one, if it
        can do that too."""
        first, second, result = ready.layouts
        given = (self._handle, ready.description, first, second, result, result)
        if epilogue:
            plain = self._prepared(dtype, "", dims)
            if plain is None:
                return False
            algorithm = ctypes.byref(plain.algorithm)
            status = self.library.cublasLtMatmulAlgoCheck(*given, algorithm, ctypes.byref(found))
            return not status and not found.state and found.workspace <= WORKSPACE
        wanted, count = ctypes.c_void_p(), ctypes.c_int()
        create = self.library.cublasLtMatmulPreferenceCreate
        self._check(create(ctypes.byref(wanted)), "cublasLtMatmulPreferenceCreate")
        try:
            kind = "MatmulPreference"
            self._put(kind, wanted, _WORKSPACE_BYTES, ctypes.c_uint64(WORKSPACE))
            for place, align in enumerate((dims[-1], dims[-2], ALIGN, ALIGN)):
                self._put(kind, wanted, _ALIGNMENT_A + place, ctypes.c_uint32(align))
            status = self.library.cublasLtMatmulAlgoGetHeuristic(
                *given, wanted, 1, ctypes.byref(found), ctypes.byref(count)
            )
        finally:
            self.library.cublasLtMatmulPreferenceDestroy(wanted)
        return not status and count.value > 0 and not found.state

    def matmul(
        self, dtype: str, epilogue: str, addresses: Sequence[int], dims: Sequence[int], stream: Any
    ) -> None:
        """D = A B, then the epilogue, at the addresses of A, B, D and the bias, if there is one:
        its first element is so many bytes from there as the last of `dims`, before which are the
        alignments of A and B."""
        at_a, at_b, at_d, *bias = (int(address) for address in addresses)
        *dims, offset = (int(v) for v in dims)
        scalar = ctypes.c_double if dtype == "float64" else ctypes.c_float
        one, zero = scalar(1), scalar(0)
        with self._lock:  # a description holds the address of one bias at a time
            ready = self._prepared(dtype, epilogue, dims)
            if ready is None:
                raise RuntimeError("cuBLASLt had an algorithm for this product, and has none now")
            if bias:
                place = ctypes.c_void_p(bias[0] + offset)
                self._put("MatmulDesc", ready.description, _BIAS_POINTER, place)
            first, second, result = ready.layouts
            status = self.library.cublasLtMatmul(
                self._handle,
                ready.description,
                ctypes.byref(one),
                *(at_b, first, at_a, second),
                ctypes.byref(zero),
                *(at_d, result, at_d, result),
                ctypes.byref(ready.algorithm),
                self.workspace,
                ready.workspace,
                int(stream.handle),
            )
        self._check(status, "cublasLtMatmul")

    # -- what the manual does not say -------------------------------------------------------------
    @functools.cached_property
    def keeps_nan(self) -> bool:
        """Whether relu gives NaN for NaN, and 0 for -0: tried on a small product."""
        n = 16
        values = np.ones((n, n), np.float32)
        values[1, 1], values[2, 2], values[3], values[4] = np.nan, -np.inf, -1, 2
        bias = np.full(n, -float(n), np.float32)
        want = values @ np.ones((n, n), np.float32) + bias
        want = np.where(want <= 0, np.float32(0), want)
        drv = self.gpu.drv
        with self.gpu.active():
            memory = [drv.mem_alloc(4 * n * n) for _ in range(4)]
            a, b, d, at_bias = memory
            drv.memcpy_htod(a, values)
            drv.memcpy_htod(b, np.ones((n, n), np.float32))
            drv.memcpy_htod(at_bias, bias)
            dims = (0, n, n, n, n, 1, n, 1, n, 1, ALIGN, ALIGN)
            if not self.can("float32", "bias_relu", dims):
                return False
            at = [int(one) for one in memory]
            self.matmul("float32", "bias_relu", at, (*dims, 0), self.gpu.stream)
            self.gpu.stream.synchronize()
            got = np.empty((n, n), np.float32)
            drv.memcpy_dtoh(got, d)
        zeros = got[got == 0]
        return np.array_equal(got, want, equal_nan=True) and not np.signbit(zeros).any()


def alignment(nbytes: int) -> int:
    """Of what begins so many bytes after memory of ours does."""
    return min(nbytes & -nbytes, ALIGN) if nbytes else ALIGN
