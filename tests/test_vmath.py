"""The vector functions of generated C (lazygrad/codegen/c/vmath.h): accuracy in ulps against
float64, special values, and equal bits for every lane count and instruction set.
"""

from __future__ import annotations

import ctypes
import math
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lazygrad.codegen.prelude import _parsed, chunks, prelude
from lazygrad.ir.philox import normals, philox4x32

CC = shutil.which("cc") or shutil.which("gcc")
pytestmark = pytest.mark.skipif(CC is None, reason="no C compiler")
FLAGS = [
    "-O2",
    "-std=gnu11",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fwrapv",
    "-fno-strict-aliasing",
    "-fPIC",
    "-shared",
    "-nostdlib",
    "-Wno-psabi",
    "-Wall",
    "-Werror=implicit-function-declaration",
]

Array = npt.NDArray[Any]
F32, F64 = np.float32, np.float64
TYPES: dict[str, type[np.generic]] = {
    "f32": np.float32,
    "f64": np.float64,
    "i8": np.int8,
    "i16": np.int16,
    "i32": np.int32,
    "i64": np.int64,
    "u8": np.uint8,
    "u16": np.uint16,
    "u32": np.uint32,
    "u64": np.uint64,
}
INTS = ("i8", "i16", "i32", "i64", "u8")
CAST = ("f32", "f64", "i8", "i16", "i32", "i64", "u8")

UNARY = [
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "asin",
    "acos",
    "atan",
    "asinh",
    "acosh",
    "atanh",
    "sigmoid",
    "erf",
    "erfc",
    "sqrt",
    "rsqrt",
    "floor",
    "ceil",
    "trunc",
    "round",
    "abs",
    "sign",
]
BINARY = ["atan2", "pow", "fmod", "remainder", "floordiv", "max", "min"]
DIVIDE = ("floordiv", "truncdiv", "remainder", "fmod")

X86 = platform.machine() in ("x86_64", "AMD64")
AVX2 = X86 and Path("/proc/cpuinfo").exists() and " avx2 " in Path("/proc/cpuinfo").read_text()
TARGETS: dict[str, tuple[tuple[str, ...], int]] = {"native": (("-march=native",), 64)}
if AVX2:
    TARGETS["avx2"] = (("-march=native", "-mno-avx512f"), 32)
if X86:
    TARGETS["sse2"] = (("-march=x86-64",), 16)


class Kernels:
    """One shared library of loops over the vector functions, compiled for one target."""

    def __init__(self, directory: Path, name: str, flags: Sequence[str], vector_bytes: int) -> None:
        self.directory, self.name = directory, name
        self.flags, self.vector_bytes = flags, vector_bytes
        self.libs: dict[str, ctypes.CDLL] = {}

    def lib(self, key: str, names: Iterable[tuple[str, int]], body: str) -> ctypes.CDLL:
        """The library of `body` with the prelude for `names`, compiled once for each `key`."""
        if key not in self.libs:
            source = self.directory / f"{self.name}_{key}.c"
            source.write_text(prelude(names, self.vector_bytes) + body)
            out = source.with_suffix(".so")
            command = [str(CC), *FLAGS, *self.flags, str(source), "-o", str(out), "-lm"]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0 and "error" not in done.stderr, done.stderr
            self.libs[key] = ctypes.CDLL(str(out))
        return self.libs[key]

    def loop(
        self,
        lanes: int,
        signature: str,
        arrays: Sequence[Array],
        result: type[np.generic],
        group: str = "",
    ) -> Array:
        """Apply the function `signature`, "name SRC.. DST" with types, elementwise to `arrays`.
        All loops of GROUPS[group] are compiled together."""
        key = f"{group or signature.split()[0]}_{lanes}"
        wanted = GROUPS[group] if group else [signature]
        names: set[tuple[str, int]] = set()
        body = ""
        for text in wanted:
            function, *source, target = text.split()
            names |= {(f"v_ld_{t}xV", lanes) for t in source} | {(f"v_st_{target}xV", lanes)}
            names.add((f"{function}xV", lanes))
            params = "".join(f"const {t} *p{i}, " for i, t in enumerate(source))
            loads = [f"v_ld_{t}x{lanes}(p{i} + i, n - i)" for i, t in enumerate(source)]
            if any(function == f"v_{d}_{t}" for d in DIVIDE for t in INTS):
                loads = [loads[0], f"v_ones_{target}x{lanes}({loads[1]}, n - i)", "err"]
                names.add((f"v_ones_{target}xV", lanes))
            args = ", ".join(loads)
            body += (
                f"void {function}({params}{target} *q, i64 n, i64 *err) {{\n"
                f"  for (i64 i = 0; i < n; i += {lanes})\n"
                f"    v_st_{target}x{lanes}(q + i, {function}x{lanes}({args}), n - i);\n}}\n"
            )
        lib = self.lib(key, names, body)
        out = np.empty(arrays[0].shape, result)
        self.err = ctypes.c_int64(0)
        held = [np.ascontiguousarray(a) for a in arrays]
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in held]
        n = ctypes.c_int64(out.size)
        getattr(lib, signature.split()[0])(
            *pointers, ctypes.c_void_p(out.ctypes.data), n, ctypes.byref(self.err)
        )
        return out


GROUPS = {
    "f32": [f"v_{f}_f32 f32 f32" for f in [*UNARY, "explow"]]
    + [f"v_{f}_f32 f32 f32 f32" for f in BINARY],
    "f64": [f"v_{f}_f64 f64 f64" for f in UNARY] + [f"v_{f}_f64 f64 f64 f64" for f in BINARY],
    "cast": [f"v_cvt_{s}_{t} {s} {t}" for s in CAST for t in CAST if s != t],
    "half": [
        "v_f16_to_f32 u16 f32",
        "v_f32_to_f16 f32 u16",
        "v_bf16_to_f32 u16 f32",
        "v_f32_to_bf16 f32 u16",
        "v_rnd_f16_f32 f32 f32",
        "v_rnd_bf16_f32 f32 f32",
    ],
    "int": [
        f"v_{f}_{t} {t} {t} {t}" for t in INTS for f in (*DIVIDE, "pow", "shl", "shr", "max", "min")
    ]
    + [f"v_{f}_{t} {t} {t}" for t in INTS for f in ("abs", "sign")],
}


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kernels]:
    directory = tmp_path_factory.mktemp("vmath")
    return {name: Kernels(directory, name, *spec) for name, spec in TARGETS.items()}


@pytest.fixture(scope="module")
def native(targets: dict[str, Kernels]) -> Kernels:
    return targets["native"]


# ---- inputs ------------------------------------------------------------------------------------

FLOATS = (
    "0 -0 inf -inf nan 1 -1 2 -2 0.5 -0.5 1e-45 -1e-45 1.1754942e-38 1.1754944e-38 3.4028235e38 "
    "-3.4028235e38 88.72283 88.72284 -87.33655 -103.97208 -103.98 128 -126 -150 -151 9.01 10 -100 "
    "-3e38 1e38 262144 262144.03 -262144.03 16777217 8388607.5 1.5 2.5 -1.5 -2.5"
)
SPECIAL = np.array(FLOATS.split()).astype(F32)


@cache
def inputs() -> Array:
    """2^19 bit patterns over all floats, dense ranges, multiples of pi/2 and the specials."""
    rng = np.random.default_rng(0)
    bits = (np.arange(1 << 19, dtype=np.uint64) << 13) + rng.integers(0, 1 << 13, 1 << 19).astype(
        np.uint64
    )
    dense = [
        rng.uniform(a, b, 1 << 16)
        for a, b in ((-1, 1), (-12, 12), (-110, 110), (0, 2), (-3e5, 3e5))
    ]
    angles = (np.arange(-40000, 40000) * 4.2 * (np.pi / 2)).astype(F32)
    angles = np.concatenate([np.round(angles / F32(np.pi / 2)) * F32(np.pi / 2), angles])
    multiples = (np.arange(-170000, 170000, 3) * (np.pi / 2)).astype(F32)
    return np.concatenate(
        [
            bits.astype(np.uint32).view(F32),
            *(d.astype(F32) for d in dense),
            angles,
            multiples,
            SPECIAL,
        ]
    )


@cache
def pairs() -> tuple[Array, Array]:
    """Pairs of floats: every two specials, and random ones of like and of unlike size."""
    a, b = (x.ravel() for x in np.meshgrid(SPECIAL, SPECIAL))
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 1 << 32, (2, 1 << 15), dtype=np.uint32).view(F32)
    near = rng.uniform(-10, 10, (2, 1 << 15)).astype(F32)
    whole = rng.integers(-20, 20, (2, 1 << 12)).astype(F32)
    x = np.concatenate([a, bits[0], near[0], whole[0]])
    return x, np.concatenate([b, bits[1], near[1], whole[1]])


def ulps(got: Array, want: Array) -> Array:
    """The error of float32 `got` against float64 `want`, in ulps of float32 at `want`."""
    with np.errstate(all="ignore"):
        exponent = np.clip(np.frexp(np.abs(want))[1], -125, 128)
        error = np.abs(got.astype(F64) - want) / np.ldexp(1.0, exponent - 24)
        rounded = want.astype(F32)
    infinite = np.isinf(got) | np.isinf(rounded)
    edge = np.abs(want) > 3.4028233e38  # finite or infinite: within one ulp of the limit
    error[infinite] = np.where((got == rounded) | edge & np.isinf(got), 0, np.inf)[infinite]
    error[np.isnan(got) | np.isnan(want)] = np.inf
    error[np.isnan(got) & np.isnan(want)] = 0
    return error


def same(a: Array, b: Array) -> bool:
    """Equal bits, all NaNs being equal."""
    if a.dtype.kind == "f":
        a, b = (np.where(np.isnan(x), np.nan, x).astype(x.dtype) for x in (a, b))
    return a.tobytes() == b.tobytes()


def lanewise(f: Callable[..., float]) -> Callable[[Array], Array]:
    return lambda x: np.array([f(v) for v in x.tolist()], F64)


def sigmoid(x: Array) -> Array:
    z = np.exp(-np.abs(x))
    return np.where(x < 0, z, 1) / (1 + z)


TRUTH: dict[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid,
    "erf": lanewise(math.erf),
    "erfc": lanewise(math.erfc),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "round": np.rint,
    "sign": lambda x: np.where(np.isnan(x), 0, np.sign(x)),
}


def truth(name: str) -> Callable[[Array], Array]:
    return TRUTH[name] if name in TRUTH else getattr(np, name)


# the greatest errors in ulps measured on all 2^32 floats, rounded up
BOUND = {
    "exp": 1.05,
    "exp2": 0.89,
    "expm1": 1.1,
    "log": 1.08,
    "log2": 1.34,
    "log10": 1.48,
    "log1p": 1.31,
    "sin": 1.18,
    "cos": 1.18,
    "tanh": 1.7,
    "sigmoid": 1.98,
    "erf": 1.95,
    "floor": 0,
    "ceil": 0,
    "trunc": 0,
    "round": 0,
    "abs": 0,
    "sign": 0,
}


# ---- float32 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNARY)
def test_f32_accuracy(native: Kernels, name: str) -> None:
    x = inputs()[:: 5 if name in ("erf", "erfc") else 1]
    x = np.concatenate([x, SPECIAL])
    with np.errstate(all="ignore"):
        want = truth(name)(x.astype(F64))
    got = native.loop(16, f"v_{name}_f32 f32 f32", [x], F32, "f32")
    error = ulps(got, want)
    i = int(error.argmax())
    assert error[i] <= BOUND.get(name, 0.501), f"{name}({x[i]!r}) = {got[i]!r}, not {want[i]!r}"
    zero = (got == 0) & (want == 0)
    assert name in ("abs", "sign") or (np.signbit(got) == np.signbit(want))[zero].all()


@pytest.mark.parametrize("name", ["atan2", "pow", "fmod"])
def test_f32_binary_accuracy(native: Kernels, name: str) -> None:
    x, y = pairs()
    function = {"atan2": np.arctan2, "pow": np.power, "fmod": np.fmod}[name]
    with np.errstate(all="ignore"):
        want = function(x.astype(F64), y.astype(F64))
    got = native.loop(16, f"v_{name}_f32 f32 f32 f32", [x, y], F32, "f32")
    assert ulps(got, want).max() <= 0.501
    zero = (got == 0) & (want == 0)
    assert (np.signbit(got) == np.signbit(want))[zero].all()


def floordiv(x: Array, y: Array) -> Array:
    """torch.floor_divide, that is div_floor_floating of c10/util/generic_math.h."""
    r = np.fmod(x, y)
    d = (x - r) / y
    d = np.where((r != 0) & ((y < 0) != (r < 0)), d - 1, d)
    f = np.floor(d)
    f = np.where(d - f > 0.5, f + 1, f)
    f = np.where(d == 0, np.copysign(np.zeros_like(x), x / y), f)
    return np.where(y == 0, x / y, f).astype(x.dtype)


def remainder(x: Array, y: Array) -> Array:
    r = np.fmod(x, y)
    return np.where((r != 0) & ((y < 0) != (r < 0)), r + y, r).astype(x.dtype)


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_modulo_and_extremes(native: Kernels, kind: str) -> None:
    with np.errstate(invalid="ignore"):
        x, y = (a.astype(TYPES[kind]) for a in pairs())

    def call(name: str) -> Array:
        return native.loop(
            16 if kind == "f32" else 8,
            f"v_{name}_{kind} {kind} {kind} {kind}",
            [x, y],
            TYPES[kind],
            kind,
        )

    with np.errstate(all="ignore"):
        assert same(call("remainder"), remainder(x, y))
        assert same(call("floordiv"), floordiv(x, y))
        assert np.array_equal(call("max"), np.maximum(x, y), equal_nan=True)
        assert np.array_equal(call("min"), np.minimum(x, y), equal_nan=True)


def huge() -> Array:
    """Angles of every size above those that are reduced by multiplication, both signs, and the
    float32 and float64 numbers that come nearest to a multiple of pi/2."""
    rng = np.random.default_rng(5)
    sizes = np.ldexp(rng.uniform(0.5, 1, 4 * 1024), np.arange(4 * 1024) % 1024 + 1)
    near = [16367173.0 * 2.0**72, 6381956970095103.0 * 2.0**797, 2.0**1023, 1e22]
    edge = [2.0**28, np.nextafter(2.0**28, 1e9), 2.0**18, np.finfo(F64).max, np.finfo(F32).max]
    x = np.concatenate([sizes, near, edge])
    return np.concatenate([x, -x])


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_huge_angles(native: Kernels, name: str, kind: str) -> None:
    mp = pytest.importorskip("mpmath")
    x = huge()
    x = (x if kind == "f64" else x[np.abs(x) < 3.41e38]).astype(TYPES[kind])
    lanes = 8 if kind == "f64" else 16
    got = native.loop(lanes, f"v_{name}_{kind} {kind} {kind}", [x], TYPES[kind], kind)
    bits = 53 if kind == "f64" else 24
    worst = 0.0
    with mp.workprec(1300):
        for value, found in zip(x.tolist(), got.tolist(), strict=True):
            want = getattr(mp, name)(mp.mpf(value))
            unit = mp.mpf(2) ** (mp.frexp(abs(want))[1] - bits)
            worst = max(worst, float(abs(mp.mpf(found) - want) / unit))
    assert worst <= (2 if kind == "f64" else BOUND.get(name, 0.501))


def test_functions_need_no_library(native: Kernels, tmp_path: Path) -> None:
    """All but the remainders link without libm, where the target has an fma and rounding."""
    if not AVX2:
        pytest.skip("without an fma instruction, libm's is used")
    body, names = "", []
    for kind, lanes in (("f32", 8), ("f64", 4)):
        for name in UNARY:
            names.append((f"v_{name}_{kind}xV", lanes))
            v = f"{kind}x{lanes}"
            body += f"void {name}_{kind}({v} *p) {{ *p = v_{name}_{v}(*p); }}\n"
    source = tmp_path / "alone.c"
    source.write_text(prelude(names, 32) + body)
    command = [str(CC), *FLAGS, *TARGETS["avx2"][0], "-Wl,-z,defs", str(source)]
    done = subprocess.run([*command, "-o", str(tmp_path / "alone.so")], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


# argument:value
SPECIALS = {
    "exp": "0:1 -inf:0 inf:inf 89:inf -104:0 1e38:inf -1e38:0",
    "exp2": "-inf:0 inf:inf 128:inf -149:1e-45 -151:0 3:8 -1e38:0",
    "expm1": "-inf:-1 inf:inf -0:-0 0:0 -1e38:-1 1e-45:1e-45 89:inf",
    "log": "0:-inf -0:-inf 1:0 inf:inf -1:nan -1e-45:nan -inf:nan 1e-45:-103.27893",
    "log2": "0:-inf 1e-45:-149 8:3 1:0 -1:nan inf:inf",
    "log10": "0:-inf 1:0 1000:3 1e10:10 -1:nan inf:inf",
    "log1p": "-1:-inf 0:0 -0:-0 inf:inf -2:nan -1e-45:-1e-45 -inf:nan",
    "sin": "0:0 -0:-0 inf:nan -inf:nan 1e38:0.9891644716262817 -1e38:-0.9891644716262817",
    "cos": "0:1 -0:1 inf:nan -inf:nan 1e38:0.14681167900562286 -1e38:0.14681167900562286",
    "tanh": "0:0 -0:-0 inf:1 -inf:-1 9.02:1 -9.02:-1 -79.8:-1 3e38:1 -3e38:-1",
    "erf": "0:0 -0:-0 inf:1 -inf:-1 4:1 -4:-1 3e38:1 -100:-1",
    "sigmoid": "-inf:0 inf:1 0:0.5 -0:0.5 -104:0 -3e38:0 3e38:1 -100:3.8e-44",
    "rsqrt": "0:inf -0:-inf inf:0 -1:nan 4:0.5 -inf:nan",
    "sqrt": "-0:-0 inf:inf -1:nan 1e-45:3.743392e-23",
    "round": "-0:-0 0.5:0 1.5:2 2.5:2 -0.5:-0 -2.5:-2 inf:inf 8388609:8388609",
    "floor": "-0:-0 0.5:0 -0.5:-1 -inf:-inf -1e-45:-1",
    "ceil": "-0:-0 0.5:1 -0.5:-0 inf:inf 1e-45:1",
    "trunc": "-0:-0 0.5:0 -0.5:-0 -1.5:-1 inf:inf",
    "sign": "-0:0 nan:0 -inf:-1 1e-45:1",
}


@pytest.mark.parametrize("name", SPECIALS)
def test_f32_special_values(native: Kernels, name: str) -> None:
    table = [item.split(":") for item in SPECIALS[name].split()]
    x, want = np.array(table).T.astype(F32, order="C")
    got = native.loop(16, f"v_{name}_f32 f32 f32", [x], F32, "f32")
    assert same(got, want), list(zip(x, got, want, strict=True))


@pytest.mark.parametrize("name", UNARY)
def test_nan_stays_nan(native: Kernels, name: str) -> None:
    nans = np.array(
        [0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FC001FF, 0xFFFFFFFF, 0x7F812345], np.uint32
    )
    got = native.loop(16, f"v_{name}_f32 f32 f32", [nans.view(F32)], F32, "f32")
    assert (got == 0).all() if name == "sign" else np.isnan(got).all()


def test_gelu_saturates(native: Kernels) -> None:
    x = np.array([-6, -10, -100, -3e38], F32)
    with np.errstate(over="ignore"):
        z = F32(0.7978846) * (x + F32(0.044715) * x * x * x)
    t = native.loop(16, "v_tanh_f32 f32 f32", [z], F32, "f32")
    assert same(F32(0.5) * x * (1 + t), np.full(4, -0.0, F32))


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_bits_are_equal_for_all_lanes_and_targets(targets: dict[str, Kernels], kind: str) -> None:
    """The lanes of each target are those a kernel there can choose; the result must not depend
    on them, nor on the neighbours of an element (the inputs are also given in reverse)."""
    with np.errstate(invalid="ignore"):
        x = np.concatenate([inputs()[::97], SPECIAL]).astype(TYPES[kind])
        a, b = (v[::17].astype(TYPES[kind]) for v in pairs())
    size = np.dtype(TYPES[kind]).itemsize
    want: dict[str, Array] = {}
    for target, kernels in targets.items():
        widest = TARGETS[target][1] // size
        for lanes in {widest, max(2, widest // 2), 2}:
            for name in UNARY:
                got = kernels.loop(lanes, f"v_{name}_{kind} {kind} {kind}", [x], TYPES[kind], kind)
                assert same(got, want.setdefault(name, got)), (target, lanes, name)
                if lanes == widest:
                    back = kernels.loop(
                        lanes, f"v_{name}_{kind} {kind} {kind}", [x[::-1]], TYPES[kind], kind
                    )
                    assert same(back[::-1], got), (target, lanes, name)
            for name in BINARY:
                got = kernels.loop(
                    lanes, f"v_{name}_{kind} {kind} {kind} {kind}", [a, b], TYPES[kind], kind
                )
                assert same(got, want.setdefault(name, got)), (target, lanes, name)


@pytest.mark.parametrize("target", TARGETS)
def test_explow_is_exp_for_what_it_takes(targets: dict[str, Kernels], target: str) -> None:
    """So a kernel that knows more of a value than another computes the same."""
    x = inputs()
    x = x[~(x > 44)]
    lanes = TARGETS[target][1] // 4
    got, want = (
        targets[target].loop(lanes, f"v_{name}_f32 f32 f32", [x], F32, "f32")
        for name in ("explow", "exp")
    )
    assert same(got, want)


def test_control_register_is_unchanged(native: Kernels) -> None:
    if not X86:
        pytest.skip("MXCSR is x86's")
    lib = native.lib("csr", [("base", 0)], "u32 csr(void) { return __builtin_ia32_stmxcsr(); }")
    before = lib.csr() & ~0x3F  # without the exception flags
    for name in UNARY:
        native.loop(16, f"v_{name}_f32 f32 f32", [SPECIAL], F32, "f32")
    assert lib.csr() & ~0x3F == before == 0x1F80
    assert np.float32(1e-40) * np.float32(2) != 0


# ---- float64 -----------------------------------------------------------------------------------


def stratified64() -> Array:
    """Floats of all sizes, dense near 0, 1 and multiples of pi/2, and where functions overflow."""
    rng = np.random.default_rng(2)
    n = 40
    return np.concatenate(
        [
            rng.integers(0, 1 << 64, 2 * n, np.uint64).view(F64),
            SPECIAL.astype(F64),
            rng.uniform(-1, 1, 2 * n),
            rng.uniform(-20, 20, 2 * n),
            rng.uniform(-750, 750, n),
            1 + rng.uniform(-1, 1, n) * 2.0 ** rng.integers(-50, -1, n),
            rng.choice([-1, 1], n) * 2.0 ** rng.uniform(-1074, 0, n),
            np.round(rng.uniform(-1e6, 1e6, n)) * (np.pi / 2),
            [5e-324, 709.782, 709.79, 710.4, 710.5, -745.1, -745.2, 1023.9, -1074.5, 27.2, 1e22],
        ]
    )


def exact64(name: str, *x: float) -> Any:
    """The value in 60 digits; None where it is not a finite real number."""
    import mpmath as mp

    special: dict[str, Callable[..., Any]] = {
        "exp2": lambda v: mp.mpf(2) ** v,
        "log2": lambda v: mp.log(v) / mp.log(2),
        "log10": lambda v: mp.log(v) / mp.log(10),
        "sigmoid": lambda v: 1 / (1 + mp.exp(-v)),
        "rsqrt": lambda v: 1 / mp.sqrt(v),
        "pow": lambda v, w: mp.power(v, w),
        "round": mp.nint,
    }
    with mp.workdps(60):
        try:
            found = special.get(name) or getattr(mp, name)
            value = found(*(mp.mpf(v) for v in x))
        except (ValueError, ZeroDivisionError, OverflowError):
            return None
        return value if isinstance(value, mp.mpf) and mp.isfinite(value) else None


def ulps64(got: float, want: Any) -> float:
    """The error in ulps of float64, 0 where both are beyond the largest number."""
    import mpmath as mp

    if abs(want) >= mp.mpf(2) ** 1024 * (1 - mp.mpf(2) ** -54):
        return 0 if math.isinf(got) or got > 1.79e308 else math.inf
    exponent = max(mp.frexp(abs(want))[1], -1021) if want else -1021
    return float(abs(mp.mpf(got) - want) / mp.mpf(2) ** (exponent - 53))


def worst64(name: str, got: Array, *x: Array) -> tuple[float, str]:
    worst, where = 0.0, ""
    for y, *point in zip(got.tolist(), *(v.tolist() for v in x)):
        if not all(map(math.isfinite, point)) or (len(point) == 2 and 0 in point):
            continue  # zeros have no sign in mpmath
        want = exact64(name, *point)
        error = 0.0 if want is None else ulps64(y, want) if y == y else math.inf
        if error > worst:
            worst, where = error, f"{name}{tuple(point)} = {y!r}"
    return worst, where


SLOW64 = {"floor", "ceil", "trunc", "round", "abs", "sign", "sqrt", "rsqrt"}  # exact by numpy


@pytest.mark.parametrize("name", UNARY)
def test_f64_accuracy(native: Kernels, name: str) -> None:
    pytest.importorskip("mpmath")
    x = stratified64()
    got = native.loop(8, f"v_{name}_f64 f64 f64", [x], F64, "f64")
    with np.errstate(all="ignore"):
        want = truth(name)(x)
    assert (np.isnan(got) == np.isnan(want)).all(), x[np.isnan(got) != np.isnan(want)]
    assert np.array_equal(np.isinf(got), np.isinf(want))
    zero = (got == 0) & (want == 0)
    assert name in ("abs", "sign") or (np.signbit(got) == np.signbit(want))[zero].all()
    if name in SLOW64:
        assert same(got, want)
        return
    worst, where = worst64(name, got, x)
    assert worst <= 2, where


@pytest.mark.parametrize("name", ["atan2", "pow"])
def test_f64_binary_accuracy(native: Kernels, name: str) -> None:
    pytest.importorskip("mpmath")
    rng = np.random.default_rng(4)
    a, b = (v.ravel() for v in np.meshgrid(SPECIAL.astype(F64), SPECIAL.astype(F64)))
    more = [stratified64(), rng.permutation(stratified64())]
    near = [np.exp(rng.uniform(-5, 5, 200)), rng.uniform(-100, 100, 200)]
    one = [1 + rng.uniform(-1e-3, 1e-3, 200), rng.uniform(-7e5, 7e5, 200)]
    x, y = (np.concatenate(parts) for parts in zip([a, b], more, near, one))
    got = native.loop(8, f"v_{name}_f64 f64 f64 f64", [x, y], F64, "f64")
    with np.errstate(all="ignore"):
        want = {"atan2": np.arctan2, "pow": np.power}[name](x, y)
    assert (np.isnan(got) == np.isnan(want)).all()
    assert np.array_equal(np.signbit(got)[~np.isnan(got)], np.signbit(want)[~np.isnan(got)])
    assert np.array_equal(got[np.isinf(want)], want[np.isinf(want)])
    away = rng.permutation(len(x))[:1500]
    worst, where = worst64(name, got[away], x[away], y[away])
    assert worst <= 2, where


# ---- integers ----------------------------------------------------------------------------------


def integers(kind: str) -> tuple[Array, Array]:
    info = np.iinfo(np.dtype(TYPES[kind]))
    edge = [info.min, info.min + 1, info.max, info.max - 1, *range(max(info.min, -9), 10)]
    rng = np.random.default_rng(3)
    a, b = (
        v.ravel() for v in np.meshgrid(np.array(edge, TYPES[kind]), np.array(edge, TYPES[kind]))
    )
    more = rng.integers(info.min, info.max, (2, 2000), TYPES[kind], endpoint=True)
    return np.concatenate([a, more[0]]), np.concatenate([b, more[1]])


def wrap(values: Iterable[int], kind: str) -> Array:
    bits = 8 * np.dtype(TYPES[kind]).itemsize
    return np.array([v & ((1 << bits) - 1) for v in values], np.uint64).astype(TYPES[kind])


def integer_truth(name: str, a: int, b: int, bits: int) -> int:
    if name in DIVIDE and b == 0:
        return 0
    if name == "floordiv":
        return a // b
    if name == "remainder":
        return a % b
    truncated = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1) if b else 0
    if name == "truncdiv":
        return truncated
    if name == "fmod":
        return a - truncated * b
    if name == "pow":
        return pow(a, b, 1 << bits) if b >= 0 else {1: 1, -1: 1 - 2 * (b & 1)}.get(a, 0)
    if name == "shl":
        return a << b if 0 <= b < bits else 0
    if name == "shr":
        return a >> (b if 0 <= b < bits else bits)
    return max(a, b) if name == "max" else min(a, b)


@pytest.mark.parametrize("kind", INTS)
@pytest.mark.parametrize("target", TARGETS)
def test_integers(targets: dict[str, Kernels], target: str, kind: str) -> None:
    kernels, lanes = targets[target], 8
    a, b = integers(kind)
    bits = 8 * a.itemsize
    for name in (*DIVIDE, "pow", "shl", "shr", "max", "min"):
        got = kernels.loop(
            lanes, f"v_{name}_{kind} {kind} {kind} {kind}", [a, b], TYPES[kind], "int"
        )
        want = wrap(
            (integer_truth(name, x, y, bits) for x, y in zip(a.tolist(), b.tolist(), strict=True)),
            kind,
        )
        bad = np.flatnonzero(got != want)
        assert not bad.size, (name, a[bad[0]], b[bad[0]], got[bad[0]], want[bad[0]])
        assert kernels.err.value == (1 if name in DIVIDE else 0)
    for name, want in (("abs", wrap(map(abs, a.tolist()), kind)), ("sign", np.sign(a))):
        assert same(
            kernels.loop(lanes, f"v_{name}_{kind} {kind} {kind}", [a], TYPES[kind], "int"), want
        )


@pytest.mark.parametrize("kind", INTS)
@pytest.mark.parametrize("name", DIVIDE)
def test_division_by_zero_is_reported_only_when_it_occurs(
    native: Kernels, name: str, kind: str
) -> None:
    a, b = integers(kind)
    a, b = (v[b != 0][1 : 8 * (np.count_nonzero(b) // 8)] for v in (a, b))  # one short of vectors
    native.loop(8, f"v_{name}_{kind} {kind} {kind} {kind}", [a, b], TYPES[kind], "int")
    assert native.err.value == 0


# ---- casts and half types ----------------------------------------------------------------------


def cast_truth(x: Array, source: str, target: str) -> Array:
    """C's conversion; floats out of range as PyTorch's on x86-64."""
    if source[0] != "f" or target[0] == "f":
        with np.errstate(all="ignore"):
            return x.astype(TYPES[target])
    wide = "i64" if target == "i64" else "i32"
    bound = 2.0 ** (63 if target == "i64" else 31)
    t = np.trunc(x.astype(F64))
    ok = (t >= -bound) & (t < bound)
    return np.where(
        ok, np.where(ok, t, 0).astype(TYPES[wide]), np.iinfo(np.dtype(TYPES[wide])).min
    ).astype(TYPES[target])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("lanes", [16, 8, 4, 2])
def test_casts(targets: dict[str, Kernels], target: str, lanes: int) -> None:
    rng = np.random.default_rng(4)
    floats = np.concatenate(
        [SPECIAL, (rng.standard_normal(300) * 10.0 ** rng.integers(-2, 25, 300)).astype(F32)]
    )
    powers = np.array(
        [s * 2.0**k + d for s in (1, -1) for k in range(65) for d in (-1, -0.5, 0, 0.5, 1)]
    )
    for source in CAST:
        if source[0] == "f":
            x = np.concatenate([floats.astype(F64), powers]).astype(TYPES[source])
        else:
            x = integers(source)[0]
        for kind in CAST:
            if kind != source:
                got = targets[target].loop(
                    lanes, f"v_cvt_{source}_{kind} {source} {kind}", [x], TYPES[kind], "cast"
                )
                want = cast_truth(x, source, kind)
                bad = [(a, b, c) for a, b, c in zip(x, got, want, strict=True) if b != c and c == c]
                assert same(got, want), (source, kind, bad[:5])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("lanes", [16, 8, 4])
def test_half_types(targets: dict[str, Kernels], target: str, lanes: int) -> None:
    def call(signature: str, x: Array, result: type[np.generic]) -> Array:
        return targets[target].loop(lanes, signature, [x], result, "half")

    every = np.arange(1 << 16, dtype=np.uint16)
    assert same(call("v_f16_to_f32 u16 f32", every, F32), every.view(np.float16).astype(F32))
    assert same(
        call("v_bf16_to_f32 u16 f32", every, F32), (every.astype(np.uint32) << 16).view(F32)
    )
    # all values, the midpoints between them and the floats next to these; then others
    wide = every.view(np.float16).astype(F32)
    wide = wide[np.isfinite(wide)]
    middle = (np.sort(wide)[1:] + np.sort(wide)[:-1]) / 2
    middle = np.concatenate([middle, *((middle.view(np.int32) + d).view(F32) for d in (-1, 1))])
    bf = (
        (every.astype(np.uint32) << 16)[:, None] + np.array([0, 0x7FFF, 0x8000, 0x8001], np.uint32)
    ).ravel()
    x = np.concatenate(
        [wide, middle, bf.view(F32), SPECIAL, np.array([65504, 65519.996, 65520, 65536], F32)]
    )
    with np.errstate(all="ignore"):
        want = x.astype(np.float16)
    assert same(call("v_f32_to_f16 f32 u16", x, np.uint16).view(np.float16), want)
    assert same(call("v_rnd_f16_f32 f32 f32", x, F32), want.astype(F32))
    b = x.view(np.uint32).astype(np.uint64)
    rounded = ((b + 0x7FFF + ((b >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16)).astype(
        np.uint16
    )
    rounded = np.where(np.isnan(x), np.uint16(0x7FC0), rounded)
    assert same(call("v_f32_to_bf16 f32 u16", x, np.uint16), rounded)
    assert same(call("v_rnd_bf16_f32 f32 f32", x, F32), (rounded.astype(np.uint32) << 16).view(F32))


# ---- memory, masks, selection ------------------------------------------------------------------


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_memory(targets: dict[str, Kernels], target: str, kind: str) -> None:
    lanes = TARGETS[target][1] // np.dtype(TYPES[kind]).itemsize
    functions = "ld", "st", "lds", "sts", "sp", "sel"
    names = [(f"v_{f}_{t}xV", lanes) for f in functions for t in TYPES]
    types = TYPES if target == "native" else [kind]
    body = ""
    for t in types:
        n = TARGETS[target][1] // np.dtype(TYPES[t]).itemsize
        names += [(f"v_{f}_{t}xV", n) for f in functions]
        v, mask = f"{t}x{n}", f"i{re.sub('[a-z]', '', t)}x{n}"
        body += (
            f"void copy_{t}(const {t} *p, {t} *q, i64 m) {{ v_st_{v}(q, v_ld_{v}(p, m), m); }}\n"
            f"void full_{t}(const {t} *p, {t} *q, i64 m) {{ v_st_{v}(q, v_ld_{v}(p, m), {n}); }}\n"
            f"void gather_{t}(const {t} *p, {t} *q, i64 s, i64 m) "
            f"{{ v_st_{v}(q, v_lds_{v}(p, s, m), {n}); }}\n"
            f"void scatter_{t}(const {t} *p, {t} *q, i64 s, i64 m) "
            f"{{ v_sts_{v}(q, v_ld_{v}(p, {n}), s, m); }}\n"
            f"void select_{t}(const {t} *p, {t} *q, {t} c) {{ {v} x = v_ld_{v}(p, {n}); "
            f"v_st_{v}(q, v_sel_{v}(({mask})(x > c), x, v_sp_{v}(c)), {n}); }}\n"
        )
    names = sorted({n for n in names if n[0].split("_")[-1].removesuffix("xV") in types})
    lib = targets[target].lib("memory" if target == "native" else f"memory_{kind}", names, body)
    p = np.arange(1, 400, dtype=np.int64).astype(TYPES[kind])

    def call(name: str, *args: int | float) -> Array:
        q = np.full(p.shape, 77, TYPES[kind])
        tail = [ctypes.c_int64(a) if isinstance(a, int) else a for a in args]
        getattr(lib, f"{name}_{kind}")(
            ctypes.c_void_p(p.ctypes.data + p.itemsize), ctypes.c_void_p(q.ctypes.data), *tail
        )
        return q

    fill = np.full(p.shape, 77, TYPES[kind])
    for m in {0, 1, 2, lanes - 1, lanes, lanes + 1, 1000}:
        k = min(m, lanes)
        want = fill.copy()
        want[:k] = p[1 : 1 + k]
        assert same(call("copy", m), want)
        want[:lanes] = np.where(np.arange(lanes) < k, p[1 : 1 + lanes], 0)
        assert same(call("full", m), want)
        want[:lanes] = np.where(np.arange(lanes) < k, p[1 : 1 + 3 * lanes : 3], 0)
        assert same(call("gather", 3, m), want)
        want = fill.copy()
        want[: 3 * k : 3] = p[1 : 1 + k]
        assert same(call("scatter", 3, m), want)
    if kind[0] != "f":
        want = fill.copy()
        want[:lanes] = np.maximum(p[1 : 1 + lanes], TYPES[kind](7))
        assert same(call("select", 7), want)


def test_masks(native: Kernels) -> None:
    names = [
        ("v_ld_i8xV", 8),
        ("v_st_i8xV", 8),
        ("v_iota_i32xV", 8),
        ("v_iota_i64xV", 8),
        ("v_st_i32xV", 8),
    ]
    names += [(f"v_mcvt_{a}_{b}xV", 8) for a in INTS[:4] for b in INTS[:4] if a != b]
    names += [
        (f"v_any_{t}xV", n) for t in INTS[:4] for n in (2, 4, 8, 16, 64) if n * int(t[1:]) <= 512
    ]
    body = "void iota(i32 *q) { v_st_i32x8(q, v_iota_i32x8() + "
    body += "__builtin_convertvector(v_iota_i64x8(), i32x8), 8); }\n"
    body += "void chain(const i8 *p, i8 *q) { v_st_i8x8(q, "
    body += "v_mcvt_i16_i8x8(v_mcvt_i64_i16x8(v_mcvt_i32_i64x8(v_mcvt_i8_i32x8("
    body += "v_ld_i8x8(p, 8))))), 8); }\n"
    for name, n in names:
        if name.startswith("v_any"):
            t = name[6:-2]
            body += (
                f"int any_{t}x{n}(const {t} *p) {{ return v_any_{t}x{n}(*(const {t}x{n}u *)p); }}\n"
            )
    lib = native.lib("masks", names, body)
    p = np.array([0, -1, -1, 0, 0, 0, -1, 0], np.int8)
    q = np.empty(8, np.int8)
    lib.chain(ctypes.c_void_p(p.ctypes.data), ctypes.c_void_p(q.ctypes.data))
    assert same(p, q)
    r = np.empty(8, np.int32)
    lib.iota(ctypes.c_void_p(r.ctypes.data))
    assert r.tolist() == list(range(0, 16, 2))
    for name, n in names:
        if name.startswith("v_any"):
            t = name[6:-2]
            for i in range(-1, n):
                m = np.zeros(n + 1, TYPES[t])
                m[i] = -1  # -1: the element after the vector
                got = getattr(lib, f"any_{t}x{n}")(ctypes.c_void_p(m.ctypes.data))
                assert bool(got) == (i >= 0), (t, n, i)


# ---- random numbers ----------------------------------------------------------------------------

# kat_vectors of Random123 for philox4x32 10: counter, key, result
KNOWN = (
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)


def block(index: int, key: int, draw: int, stream: int) -> Array:
    """The words of a block by the numpy function that Random123's vectors are tried on."""
    first = np.arange(16, dtype=np.uint64) + np.uint64(16 * index)
    halves = [np.uint64(v & (1 << 32) - 1) for v in (draw, draw >> 32)]
    high = (first >> np.uint64(32)) ^ np.uint64(stream << 28)
    words = philox4x32(first, high, *halves, key & (1 << 32) - 1, key >> 32)
    return np.concatenate(words)


def test_philox_gives_the_known_answers() -> None:
    for counter, key, want in KNOWN:
        w0, w1, w2, w3 = np.array(counter, np.uint32)
        assert tuple(int(v) for v in philox4x32(w0, w1, w2, w3, *key)) == want


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("lanes", [16, 8, 4, 2])
def test_blocks_of_random_numbers(targets: dict[str, Kernels], target: str, lanes: int) -> None:
    kernels = targets[target]
    if 4 * lanes > kernels.vector_bytes:
        return
    body = "".join(
        f"void {name}(i64 b, i64 k, i64 d, u32 s, u32 *q) {{ {function}(b, k, d, s, q); }}\n"
        for name, function in (("bits", "v_bits_block"), ("normal", f"v_normal_blockx{lanes}"))
    )
    names = [("v_bits_block", 0), ("v_normal_blockxV", lanes)]
    lib = kernels.lib(f"philox_{lanes}", names, body)
    out = np.empty(64, np.uint32)
    for index, key, draw, stream in (
        (0, 0, 0, 0),
        (7, 5, 6, 1),
        ((1 << 28) + 3, (1 << 63) + 5, (1 << 40) + 9, 3),
    ):
        arguments = [ctypes.c_int64(v) for v in (index, key - (1 << 64) * (key >> 63), draw)]
        arguments += [ctypes.c_uint32(stream), ctypes.c_void_p(out.ctypes.data)]  # type: ignore[list-item]
        lib.bits(*arguments)
        assert np.array_equal(out, block(index, key, draw, stream))
        if index < 1 << 20:
            lib.normal(*arguments)
            assert same(out.view(F32), normals(key, draw, stream, 64 * index + 64)[-64:])


# ---- the assembly of preludes ------------------------------------------------------------------


def test_every_chunk_declares_what_it_uses() -> None:
    """Each name of another chunk, or of a macro or helper in one, is in what it depends on."""
    parsed = _parsed()
    word = re.compile(r"\b(?:[vV]_\w+|[fiu]\d+x[VH]u?)\b")
    strip = re.compile(r"/\*.*?\*/", re.DOTALL)
    texts = {name: strip.sub("", text) for name, (_, text) in parsed.items()}
    define = re.compile(r"(?:#define|typedef \w+|\bV_FN \w+|\bV_CALL \w+|\bV_COLD \w+|void) +(\w+)")
    owner = {symbol: name for name, text in texts.items() for symbol in define.findall(text)}
    gone = re.compile(r"#undef +(\w+)")  # a macro of one chunk alone
    for text in texts.values():
        for symbol in gone.findall(text):
            owner.pop(symbol, None)
    owner |= {name + "u": name for name in parsed if re.fullmatch(r"[fiu]\d+xV", name)}

    def closure(name: str) -> set[str]:
        direct = {dep.replace("xH", "xV") for dep in parsed[name][0]}
        return {name, "base"}.union(*(closure(dep) for dep in direct))

    for name, text in texts.items():
        have = closure(name)
        for symbol in set(word.findall(text)):
            needed = owner.get(symbol.replace("xH", "xV"))
            assert needed is None or needed in have, f"{name} uses {symbol} of {needed}"


def test_prelude_is_ordered_and_minimal() -> None:
    text = prelude([("v_sin_f32xV", 16), ("v_exp_f32xV", 8)], 64)
    assert text == prelude([("v_exp_f32xV", 8), ("v_sin_f32xV", 16), ("v_exp_f32xV", 8)], 64)
    assert (
        "v_exp_f32x8(" in text
        and "v_exp_f32x16(" not in text
        and "log" not in re.sub(r"/\*.*?\*/", "", text)
    )
    assert text.count("typedef f32 f32x16 ") == 1 and text.index("typedef float f32") < text.index(
        "f32x16"
    )
    assert "xV" not in text and "NV" not in re.sub(r"NAN", "", text)
    assert {"v_ld_f32xV", "v_cvt_i8_f64xV", "v_erf_f64xV", "f32xV"} <= chunks()


def test_prelude_rejects_what_it_does_not_have() -> None:
    with pytest.raises(KeyError):
        prelude([("v_nothing_f32xV", 8)], 64)
    with pytest.raises(ValueError):
        prelude([("v_exp_f32xV", 3)], 64)
    with pytest.raises(ValueError):
        prelude([], 48)
