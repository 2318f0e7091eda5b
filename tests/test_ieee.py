"""Special values: every elementwise function on NaN, infinities, zeros of both signs, subnormals
and extremes against PyTorch, positions of NaN and signs of zero included; sums and casts.

Values may differ by what both sides' accuracy allows; where the result is exact, not at all.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.runtime import library

FLOATS = ("float64", "float32", "float16", "bfloat16")
INTS = ("int64", "int32", "int16", "int8", "uint8")
EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
BIG = {"float64": 1.7e308, "float32": 3.4e38, "float16": 65504.0, "bfloat16": 3.3e38}
TINY = {"float64": 5e-324, "float32": 1e-45, "float16": 6e-8, "bfloat16": 9.2e-41}

UNARY = (
    "exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh "
    "atanh sigmoid erf erfc sqrt rsqrt reciprocal abs neg sign floor ceil trunc round frac "
    "isnan isinf isfinite signbit relu square logit"
)
FUNCTIONAL = (
    "gelu softplus silu elu leaky_relu relu6 hardtanh hardswish hardsigmoid mish logsigmoid selu "
    "celu softsign tanhshrink"
)
BINARY = (
    "add sub mul div pow atan2 fmod remainder floor_divide maximum minimum fmax fmin copysign "
    "hypot logaddexp logaddexp2 xlogy eq ne lt le gt ge"
)
EXACT = set(
    [
        "abs",
        "neg",
        "sign",
        "floor",
        "ceil",
        "trunc",
        "round",
        "isnan",
        "isinf",
        "isfinite",
        "signbit",
        "add",
        "sub",
        "mul",
        "div",
        "fmod",
        "remainder",
        "maximum",
        "minimum",
        "fmax",
        "fmin",
        "copysign",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "sqrt",
    ]
)
CANCELS = {"tanhshrink"}  # x less what is near it: off by what that is off, a unit of x
LOOSE = {"gelu", "logaddexp2"}  # PyTorch's own error is large where values cancel
# zeros of either sign: PyTorch's scalar and vector loops differ, or only a formula decides
SIGNLESS = {"relu", "relu6", "hardswish", "logsigmoid", "gelu", "fmax", "fmin", "logaddexp2"}
INTEGER = (
    "add sub mul floor_divide remainder fmod pow maximum minimum eq lt bitwise_and bitwise_or "
    "bitwise_xor bitwise_left_shift bitwise_right_shift"
)


def specials(dtype: str) -> np.ndarray:
    big, tiny = BIG[dtype], TINY[dtype]
    values = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, -3.0, 10.0, -10.0, 88.0, -104.0]
    values += [big, -big, tiny, -tiny, 1e4, -1e4, math.inf, -math.inf, math.nan, 2.0, -2.0, 1e-4]
    return np.array(values)


def pair(torch: Any, values: np.ndarray, dtype: str) -> tuple[Any, lg.Tensor]:
    t = torch.tensor(values).to(getattr(torch, dtype))
    if dtype in ("float16", "bfloat16"):
        return t, lg.tensor(t.double().numpy()).to(getattr(lg, dtype))
    return t, lg.tensor(t.numpy())


def compare(name: str, dtype: str, got: lg.Tensor, want: Any, inputs: list[np.ndarray]) -> None:
    a = got.double().numpy().reshape(-1)
    b = want.double().numpy().reshape(-1)
    assert got.dtype is getattr(lg, str(want.dtype).removeprefix("torch."))
    with np.errstate(all="ignore"):
        same = (a == b) & ((a != 0) | (np.signbit(a) == np.signbit(b)))
        same |= np.isnan(a) & np.isnan(b)
        if "bfloat" in dtype or (name not in EXACT and str(want.dtype).startswith("torch.float")):
            limit = 8 * EPS.get(dtype, 0) * np.abs(b) + 4 * TINY.get(dtype, 0)
            if name in LOOSE:
                limit = limit + EPS[dtype]
            if name in LOOSE:
                limit = limit + 2 * EPS[dtype]
            if name in CANCELS:
                limit = limit + EPS[dtype] * np.abs(inputs[0]).reshape(-1)
            near = np.isfinite(a) & np.isfinite(b) & (np.abs(a - b) <= limit)
            if name not in SIGNLESS:
                near &= (a != 0) | (b != 0) | (np.signbit(a) == np.signbit(b))
            same |= near
    bad = np.flatnonzero(~same)
    points = [(*(float(x.reshape(-1)[i]) for x in inputs), a[i], b[i]) for i in bad[:6]]
    assert not bad.size, f"{name} {dtype}: (inputs, ours, torch's) {points}"


@pytest.mark.torch
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", UNARY.split() + FUNCTIONAL.split())
def test_unary(name: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    x = specials(dtype)
    t, v = pair(torch, x, dtype)
    if name == "hardswish":  # PyTorch's x * relu6(x + 3) overflows, and is NaN at -inf
        keep = np.abs(x) <= BIG[dtype] / 8
        t, v = pair(torch, x[keep], dtype)
    where = name in FUNCTIONAL.split()
    f = getattr(lg.nn.functional if where else lg, name)
    g = getattr(torch.nn.functional if where else torch, name)
    if torch.backends.cpu.get_cpu_capability() == "AVX512":
        if name == "sqrt":  # PyTorch's is off by one bit there, numpy's is rounded right
            with np.errstate(all="ignore"):
                want = torch.from_numpy(np.sqrt(t.double().numpy())).to(t.dtype)
            compare(name, dtype, f(v), want, [x])
            return
        if name == "gelu":  # and its gelu NaN at inf, inf near it, and off by 1e-4 at -3
            keep = np.abs(x) <= 2
            x = x[keep]
            t, v = pair(torch, x, dtype)
    compare(name, dtype, f(v), g(t), [x])


@pytest.mark.torch
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", BINARY.split())
def test_binary(name: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    x, y = (a.reshape(-1) for a in np.meshgrid(specials(dtype), specials(dtype)))
    (t, v), (u, w) = pair(torch, x, dtype), pair(torch, y, dtype)
    if name in ("fmod", "remainder"):  # PyTorch's vector loops give NaN where x / y is huge
        with np.errstate(all="ignore"):
            keep = ~(np.abs(x / y) > 2**20)
        x, y = x[keep], y[keep]
        (t, v), (u, w) = pair(torch, x, dtype), pair(torch, y, dtype)
    if name == "copysign":  # a cast may change the sign of NaN
        x, y = x[~np.isnan(y)], y[~np.isnan(y)]
        (t, v), (u, w) = pair(torch, x, dtype), pair(torch, y, dtype)
    try:
        want = getattr(torch, name)(t, u)
    except (RuntimeError, NotImplementedError):
        with pytest.raises((RuntimeError, NotImplementedError)):
            getattr(lg, name)(v, w).numpy()
        return
    compare(name, dtype, getattr(lg, name)(v, w), want, [x, y])


@pytest.mark.torch
@pytest.mark.parametrize("dtype", INTS)
@pytest.mark.parametrize("name", INTEGER.split())
def test_integers(name: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    info = np.iinfo(dtype)
    values = [info.min, info.min + 1, info.max, info.max - 1, *range(max(info.min, -5), 9)]
    x, y = (a.reshape(-1) for a in np.meshgrid(np.array(values), np.array(values)))
    if name in ("floor_divide", "remainder", "fmod"):
        x, y = x[y != 0], y[y != 0]
        keep = (x != info.min) | (y != -1)  # x86 stops PyTorch there
        x, y = x[keep], y[keep]
    if name == "pow":
        x, y = x[y >= 0], y[y >= 0]
    t, u = (torch.tensor(a.astype(dtype)) for a in (x, y))
    v, w = (lg.tensor(a.astype(dtype)) for a in (x, y))
    compare(name, dtype, getattr(lg, name)(v, w), getattr(torch, name)(t, u), [x, y])


@pytest.mark.parametrize("dtype", INTS)
def test_shifts_by_too_much(dtype: str) -> None:
    bits = 8 * np.dtype(dtype).itemsize
    x = lg.tensor([1, 100] * 20, dtype=getattr(lg, dtype))
    many = lg.full((40,), bits + 1, dtype=getattr(lg, dtype))
    assert not (x << many).any() and not (x >> many).any()
    if dtype != "uint8":
        assert not (x << -lg.ones_like(x)).any() and ((-x) >> many).tolist() == [-1] * 40


@pytest.mark.parametrize("dtype", INTS)
@pytest.mark.parametrize("name", ["floor_divide", "remainder", "fmod"])
def test_integer_division_by_zero_raises(name: str, dtype: str) -> None:
    x = lg.tensor([1, 2, 3], dtype=getattr(lg, dtype))
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        getattr(lg, name)(x, lg.tensor([1, 0, 1], dtype=getattr(lg, dtype))).tolist()
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        getattr(lg, name)(x, 0).tolist()


@pytest.mark.torch
@pytest.mark.parametrize("target", (*INTS, "bool", *FLOATS))
@pytest.mark.parametrize("dtype", FLOATS)
def test_casts_out_of_range(dtype: str, target: str) -> None:
    torch = pytest.importorskip("torch")
    x = np.concatenate([specials(dtype), [300.0, -300.0, 3e9, -3e9, 1e19, -1e19, 128.0, 255.5]])
    if target == "uint8":
        x = x[~(np.abs(x) > 2.0**31)]  # there PyTorch's scalar and vector loops differ
    t, v = pair(torch, np.tile(x, 5), dtype)  # long enough for PyTorch's vector loops
    want, got = t.to(getattr(torch, target)), v.to(getattr(lg, target))
    compare("cast", target, got, want, [np.tile(x, 5)])


# -- sums --------------------------------------------------------------------------------------


def exact_mean(x: np.ndarray) -> float:
    return math.fsum(x.tolist()) / x.size


def test_sums_of_ten_million() -> None:
    """Relative errors of at most 2e-6, for values of one sign; equal bits for 1 to 16 threads."""
    n = 10_000_000
    x = np.random.default_rng(0).random(n, np.float32)
    total = math.fsum(x.tolist())
    mean = total / n
    spread = math.fsum(((x.astype(np.float64) - mean) ** 2).tolist()) / (n - 1)
    ends = math.fsum(np.exp(x.astype(np.float64)).tolist())
    runtime = library.runtime()
    before = runtime.lg_get_threads()
    seen = set()
    try:
        for threads in (1, 2, 3, 7, 16):
            runtime.lg_set_threads(threads)
            t = lg.tensor(x)
            probabilities = lg.softmax(t, 0)[:1]
            made = (t.sum().item(), t.mean().item(), t.var().item(), probabilities.item())
            kept = t.clone()
            kept.realize()
            assert ((kept * 1).sum().item(), (t * 1).sum().item()) == (made[0], made[0])
            seen.add(made)
    finally:
        runtime.lg_set_threads(before)
    assert len(seen) == 1
    ((s, m, v, p),) = seen
    assert abs(s / total - 1) < 2e-6 and abs(m / mean - 1) < 2e-6
    assert abs(v / spread - 1) < 2e-6
    assert abs(math.exp(float(x[0])) / p / ends - 1) < 2e-6


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_summed_in_float32(dtype: str) -> None:
    x = lg.full((5000,), 0.5, dtype=getattr(lg, dtype))
    assert x.sum().item() == (2500.0 if dtype == "float16" else 2496.0)
    assert x.mean().item() == 0.5
    big = lg.tensor([30000.0, 30000.0, 29984.0, 30016.0], dtype=getattr(lg, dtype))
    assert big.mean().item() == big.double().mean().to(big.dtype).item()
    assert big.std().item() == big.double().std().to(big.dtype).item()
    assert big.mean(0).dtype is big.var(0).dtype is big.dtype


def test_the_norm_of_halves_is_summed_in_float32() -> None:
    assert lg.full((4,), 300.0, dtype=lg.float16).norm().item() == 600.0
