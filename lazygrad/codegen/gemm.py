"""The matrix product of the CPU backend: its C text, its dimensions and its work items.

Owns: the sizes of tiles and blocks, what a product's element types are computed in, and the order
of summation, which depends on nothing but K. Must not know: kernels, nodes, buffers, how text is
compiled. The text is templates/gemm.c.j2.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from lazygrad.codegen.environment import environment
from lazygrad.ir.sizes import larger, smaller

ITEM_ROWS = 32  # rows of C that are one work item
ITEM_COLS = 576  # columns of C that are one work item, at most,
THIN_COLS = 48  # and at least where there would be fewer than
FEW_ITEMS = 32  # so many items
DEPTH = 256  # terms that are summed up before they are added to C: part of the results' bits
NO_EPILOGUE = 0  # in place of a function's address
GRAIN_FLOPS = 1_000_000  # arithmetic worth giving to another thread, some microseconds

PACK_BYTES = 2304  # width of a packed block of B: of so many columns A is read once
_PACK_ROWS = 384  # bytes of a column of a packed block of A, which is to stay in the L2 cache
_EARLY = 8  # rows that lie apart are asked for so many before they are copied
_TILE_VECTORS = 3  # columns of a register tile, in vectors
_SOON_BYTES = 1 << 18  # A and B of the next product of a batch, asked for while this one is made
_UNPACKED_ROWS = 32  # with so few rows of C, B is not worth packing


@dataclass(frozen=True)
class _Type:
    """How a dtype is stored (C type), what it is computed in, and a signed integer of that size."""

    stored: str
    compute: str
    bits: str
    size: int  # bytes of the compute type


_TYPES = {
    "f32": _Type("float", "float", "int", 4),
    "f64": _Type("double", "double", "long long", 8),
    "f16": _Type("unsigned short", "float", "int", 4),
    "bf16": _Type("unsigned short", "float", "int", 4),
    "i64": _Type("long long", "long long", "long long", 8),
    "i32": _Type("int", "int", "int", 4),
    "i16": _Type("short", "int", "int", 4),
    "i8": _Type("signed char", "int", "int", 4),
    "u8": _Type("unsigned char", "int", "int", 4),
}

# The bodies of the conversions from memory to vectors and back: V computed, U unaligned in memory,
# I integers of V's size, S stored. Exact, but narrowed floats round to nearest, ties to even.
_SAME = ("  return *(const {U} *)p;", "  return ({S})v;")
_INTEGERS = (
    "  return __builtin_convertvector(*(const {S} *)p, {V});",
    "  return __builtin_convertvector(v, {S});",
)
_BFLOAT16 = (
    "  return ({V})(__builtin_convertvector(*(const {S} *)p, {I}) << 16);",
    """\
  const {I} u = ({I})v, r = (u + 0x7fff + ((u >> 16) & 1)) >> 16, nan = v != v;
  return __builtin_convertvector((r & ~nan) | (nan & 0x7fc0), {S});""",
)
_FLOAT16 = (
    """\
  const {I} h = __builtin_convertvector(*(const {S} *)p, {I}), u = (h & 0x7fff) << 13;
  const {I} f = ({I})(({V})u * 0x1p112f) | ((u >= 0x7c00 << 13) & 0x7f800000); /* inf, NaN */
  return ({V})(f | (h & 0x8000) << 16);""",
    """\
  const {I} u = ({I})v, a = u & 0x7fffffff, big = a >= 0x47800000, small = a < 0x38800000;
  const {I} normal = (a + 0xfff + ((a >> 13) & 1) - (112 << 23)) >> 13;
  const {I} tiny = ({I})(({V})a + 0.5f) - 0x3f000000; /* the sum rounds to a multiple of 2^-24 */
  const {I} over = 0x7c00 | ((a > 0x7f800000) & 0x200);
  const {I} r = (small & tiny) | (big & over) | (~(small | big) & normal);
  return __builtin_convertvector(r | ((u >> 16) & 0x8000), {S});""",
)
_CONVERSIONS = {
    "f16": _FLOAT16,
    "bf16": _BFLOAT16,
    "i16": _INTEGERS,
    "i8": _INTEGERS,
    "u8": _INTEGERS,
}

# gcc's builtins for a * b + c rounded once, by compute type and vector width: (condition, text).
_X86_FMA = {
    ("float", 64): ("__AVX512F__", "__builtin_ia32_vfmaddps512_mask(a, b, c, -1, 4)"),
    ("float", 32): ("__FMA__", "__builtin_ia32_vfmaddps256(a, b, c)"),
    ("float", 16): ("__FMA__", "__builtin_ia32_vfmaddps(a, b, c)"),
    ("double", 64): ("__AVX512F__", "__builtin_ia32_vfmaddpd512_mask(a, b, c, -1, 4)"),
    ("double", 32): ("__FMA__", "__builtin_ia32_vfmaddpd256(a, b, c)"),
    ("double", 16): ("__FMA__", "__builtin_ia32_vfmaddpd(a, b, c)"),
}


def _fma(name: str, compute: str, vector_bytes: int, lanes: int) -> str:
    """The definition of name(a, b, c) = a * b + c: one rounding where the hardware does that."""
    plain = f"#define {name}(a, b, c) ((a) * (b) + (c))"
    if compute not in ("float", "double"):
        return plain
    condition, builtin = _X86_FMA[compute, vector_bytes]
    suffix = "f" if compute == "float" else ""
    vector = name.removesuffix("fma") + "v"
    return f"""\
#if defined __clang__ && (defined __FMA__ || defined __aarch64__)
#define {name}(a, b, c) __builtin_elementwise_fma(a, b, c)
#elif defined {condition}
#define {name}(a, b, c) {builtin}
#elif defined __FP_FAST_FMA{suffix.upper()}
static inline {vector} {name}({vector} a, {vector} b, {vector} c) {{
  for (int l = 0; l < {lanes}; l++) c[l] = __builtin_fma{suffix}(a[l], b[l], c[l]);
  return c;
}}
#else /* two roundings */
{plain}
#endif"""


def _shuffles(lanes: int) -> list[tuple[int, str, str]]:
    """The steps of a transposition in registers: (distance of rows, lanes of the first and of the
    second row). Lane l of the other operand is number lanes + l."""
    steps = []
    step = 1
    while step < lanes:
        low = [lane if not lane & step else lanes + lane - step for lane in range(lanes)]
        high = [lane + step if not lane & step else lanes + lane for lane in range(lanes)]
        steps.append((step, ", ".join(map(str, low)), ", ".join(map(str, high))))
        step *= 2
    return steps


def asks(vector_bytes: int) -> bool:
    """Whether memory is asked for ahead. CPUs of 64-byte vectors have 1 MB of cache and more for a
    core and look ahead by themselves: there it costs a twentieth to a fifth of a product's time."""
    return vector_bytes < 64


@functools.cache
def gemm_source(dtype: str, symbol: str, vector_bytes: int) -> str:
    """C text of the function `symbol`, a kernel that multiplies matrices of `dtype` (short name)
    with vectors of 16, 32 or 64 bytes. It needs no header and nothing else in its unit. Without a
    symbol: only the functions that it is made of.

    Pointers: A, B, C, then those of an epilogue. Integers: `gemm_dims`. Items: `gemm_items`.
    """
    kind = _TYPES[dtype]
    lanes = vector_bytes // kind.size
    rows = 8 if vector_bytes == 64 else 4  # 24 accumulators of 32 registers, or 12 of 16
    high = rows * 3 // 2  # of tiles of two vectors: as many accumulators
    low = 4 if vector_bytes == 64 else 0  # of the last rows, where more would be half in vain
    shapes = ((rows, 1), (rows, 2), (rows, 3), (high, 2))
    kept = [(r, v, keeps) for r, v in shapes for keeps in (False, True)]
    last = [(low, v, False) for v in (1, 2, 3) if low]
    g = f"gm_{dtype}"
    names = {"V": f"{g}_v", "U": f"{g}_vu", "I": f"{g}_i", "S": f"{g}_su"}
    load, narrow = (text.format(**names) for text in _CONVERSIONS.get(dtype, _SAME))
    pack_cols, pack_rows = PACK_BYTES // kind.size, _PACK_ROWS // kind.size
    tile_step = DEPTH + max(1, lanes // rows)  # the last vector of a tile may stick out
    packed = (DEPTH * pack_cols + pack_rows * tile_step) * kind.size
    template = environment().get_template("gemm.c.j2")
    return template.render(
        symbol=symbol,
        dtype=dtype,
        stored=kind.stored,
        compute=kind.compute,
        bits=kind.bits,
        same=int(kind.stored == kind.compute),
        vector_bytes=vector_bytes,
        lanes=lanes,
        load=load,
        narrow=narrow,
        fma=_fma(f"{g}_fma", kind.compute, vector_bytes, lanes),
        shuffles=_shuffles(lanes),
        tiles=((1, 3, False), *last, *kept),
        tile_rows=rows,
        high_rows=high,
        low_rows=low,
        asks=asks(vector_bytes),
        tile_step=tile_step,
        tile_vectors=_TILE_VECTORS,
        tile_cols=_TILE_VECTORS * lanes,
        depth=DEPTH,
        early=_EARLY,
        soon_elements=_SOON_BYTES // kind.size,
        pack_cols=pack_cols,
        pack_rows=pack_rows,
        packed_bytes=-(-packed // 64) * 64,
        buffer_rows=pack_rows,
        unpacked_rows=_UNPACKED_ROWS,
        item_rows=ITEM_ROWS,
        item_cols=ITEM_COLS,
        thin_cols=THIN_COLS,
        few_items=FEW_ITEMS,
    )


_Axis = tuple[int, int, int, int]  # extent, strides of A, of B, of C


def _merged(outer: _Axis, inner: _Axis) -> _Axis | None:
    """Two neighbouring axes as one, if their strides allow it."""
    if outer[0] == 1:
        return inner
    if inner[0] == 1:
        return outer
    if all(far == inner[0] * near for far, near in zip(outer[1:], inner[1:])):
        return (outer[0] * inner[0], *inner[1:])
    return None


_Digits = Sequence[tuple[int, int]]  # (extent, stride) of the axes that make one index


def _index(digits: _Digits) -> tuple[int, list[int]]:
    """One stride, where the axes can be walked by one; else 0, and the axes that are left."""
    merged: list[tuple[int, int]] = []
    for extent, stride in digits:
        if extent == 1:
            continue
        if merged and merged[-1][1] == extent * stride:
            merged[-1] = (merged[-1][0] * extent, stride)
        else:
            merged.append((extent, stride))
    if len(merged) < 2:
        return (merged[0][1] if merged else 1), []
    return 0, [value for digit in merged for value in digit]


def gemm_dims(
    m: int,
    n: int,
    k: int,
    a: tuple[_Digits, _Digits],
    b: tuple[_Digits, _Digits],
    c: tuple[int, int],
    batch: Sequence[_Axis] = (),
) -> tuple[int, ...]:
    """The integers of a product C[.., i, j] = sum of A[.., i, k] * B[.., k, j] over k.

    `a` has the axes that make the index i of A and those that make its k, `b` those of k and j of
    B, each (extent, stride in elements), outermost first: an index of several axes is that of a
    window of an image, say. `c` are the strides along the last two axes of C; `batch` has (extent,
    stride of A, of B, of C) for every axis before them, outermost first. Neighbouring axes are
    merged where the strides allow it: batches that share B become rows of one product. The last
    integer stands for the epilogue, see `with_epilogue`.
    """
    axes: list[_Axis] = []
    for axis in batch:
        one = _merged(axes[-1], axis) if axes else None
        axes[-1:] = [one] if one else [*axes[-1:], axis]
    (ai, rows), (ak, depth_a) = map(_index, a)
    (bk, depth_b), (bj, columns) = map(_index, b)
    if axes and not rows and (axes[-1][0] == 1 or axes[-1][2] == 0):
        one = _merged(axes[-1], (m, ai, 0, c[0]))
        if one:
            axes.pop()
            m, ai, c = one[0], one[1], (one[3], c[1])
    tail = [v for ds in (rows, depth_a, depth_b, columns) for v in (len(ds) // 2, *ds)]
    head = (len(axes), m, n, k, ai, ak, bk, bj, *c)
    return (*head, *(value for axis in axes for value in axis), *tail, NO_EPILOGUE)


def with_epilogue(dims: tuple[int, ...], parameters: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """The integers of the product with a function that is run on each block of rows and columns of
    C once it is complete, and where among them its address has to be.

    It is called as a kernel is, for rows [lo, hi) of all batches; the last two of its parameters
    are then the columns. Its pointers follow those of the product, whose C is contiguous.
    """
    return (*dims[:-1], NO_EPILOGUE, len(parameters), *parameters), len(dims) - 1


def _batches(d: Sequence[int]) -> int:
    return prod(d[10 : 10 + 4 * d[0] : 4])


def gemm_items(d: Sequence[int]) -> int:
    """How many work items the product with these integers has; the kernel computes the same."""
    m, n = d[1], d[2]
    if m > 1 and (n == 1 or (d[9] != 1 and d[8] == 1)):
        m, n = n, m
    down = _batches(d) * -(-m // ITEM_ROWS)
    across = larger(-(-n // ITEM_COLS), -(-FEW_ITEMS // larger(1, down)))
    return down * smaller(across, -(-n // THIN_COLS))


def gemm_grain(d: Sequence[int]) -> int:
    """How many of these items are worth giving to another thread."""
    flops = 2 * _batches(d) * d[1] * d[2] * d[3]
    items = gemm_items(d)
    return larger(1, -(-GRAIN_FLOPS * items // flops)) if flops else larger(1, items)
