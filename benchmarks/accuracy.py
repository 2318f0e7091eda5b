"""Errors of the generated vector functions, in units of the last place.

    python benchmarks/accuracy.py [name ...]    measures, keeps the results, writes docs/numerics.md
    python benchmarks/accuracy.py --every 16 [name ...]    of float32 so many bit patterns only
    python benchmarks/accuracy.py --page        writes the page of the results that are kept

float32: every one of the 2^32 bit patterns, compared with the float64 function of the same library,
which is within 2 ulp of float64 itself: 1e-9 ulp of float32. Results with NaN or infinity on one
side only, and zeros of the wrong sign, count as errors. float64: a sample, compared with mpmath.
Functions of two arguments are sampled in both. All takes about half an hour on one core, with names
a minute each; the results of other functions are kept.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lazygrad.codegen.prelude import prelude
from lazygrad.runtime import compiler

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "benchmarks" / "accuracy.json"
PAGE = ROOT / "docs" / "numerics.md"
LIMIT = 2.0  # ulp, of every function in both types

NAMES = """
exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh asin acos atan asinh acosh atanh
sigmoid erf erfc sqrt rsqrt
""".split()  # noqa: SIM905
PAIRS = ["atan2", "pow"]

LOOP = """
/* the greatest error over every so many of the patterns from .. to, where; how many are odd */
void check_NAME(u64 from, u64 to, u64 every, f64 *worst, u64 *where, u64 *wrong) {
  u32xF bits;
  for (int i = 0; i < WIDE; i++) bits[i] = (u32)(from + i * every);
  for (u64 b = from; b < to; b += WIDE * every, bits += (u32)(WIDE * every)) {
    const f32xF x = (f32xF)bits, y = v_NAME_f32xF(x);
    for (int h = 0; h < 2; h++) {
      const f64xD got = __builtin_convertvector(((f32xD *)&y)[h], f64xD);
      const f64xD want = v_NAME_f64xD(__builtin_convertvector(((f32xD *)&x)[h], f64xD));
      f64xD unit = (f64xD)((i64xD)want & 0x7ff0000000000000) * 0x1p-23;
      unit = V_SEL(f64xD, i64xD, unit < 0x1p-149, V_K(f64xD, 0x1p-149), unit);
      const f64xD distance = got - want;
      const f64xD size = V_SEL(f64xD, i64xD, distance < 0, -distance, distance);
      const f64xD error = size / unit;
      const i64xD zero = (got == 0) & (want == 0) & (((i64xD)got ^ (i64xD)want) < 0);
      const i64xD odd = ~(size < __builtin_inff()) | zero | (error > *worst);
      if (__builtin_expect(v_any_i64xD(odd), 0)) for (int i = 0; i < HALF; i++) {
        const f64 g = got[i], w = want[i];
        if (!odd[i] || (w != w && g != g) || w == g + (f64)zero[i]) continue;
        const int beyond = __builtin_fabs(w) >= 0x1.fffffefp127 && (w > 0) == (g > 0);
        if (zero[i] || g != g || w != w) *wrong += 1;
        else if (__builtin_isinf(g) || __builtin_isinf(w)) *wrong += !beyond;
        else { *worst = error[i]; *where = b + (h * HALF + i) * every; }
      }
    }
  }
}
"""


SAMPLED = """
void sample_NAME_KIND(i64 n, const KIND *x, const KIND *y, KIND *out) {
  for (i64 i = 0; i < n; i += WIDE) {
    const KINDxW a = *(const KINDxWu *)(x + i), b = *(const KINDxWu *)(y + i);
    *(KINDxWu *)(out + i) = v_NAME_KINDxW(GIVEN);
    (void)b;
  }
}
"""


def library(names: list[str], folder: Path) -> ctypes.CDLL:
    """Loops over these functions: check_NAME, sample_NAME_f64, of pairs sample_NAME_f32 too."""
    width = compiler.target().vector_bytes
    wide, narrow = width // 4, width // 8
    chunks = [(f"v_{n}_f32xV", wide) for n in names] + [(f"v_{n}_f64xV", narrow) for n in names]
    used = [("u32xV", wide), ("f32xV", narrow), ("f64xV", narrow), ("v_any_i64xV", narrow)]
    text = prelude([*chunks, *used], width)
    for name in names:
        kinds = {"f64": narrow}
        if name in PAIRS:
            kinds["f32"] = wide
        else:
            loop = LOOP.replace("NAME", name).replace("xF", f"x{wide}").replace("xD", f"x{narrow}")
            text += loop.replace("WIDE", str(wide)).replace("HALF", str(narrow))
        for kind, lanes in kinds.items():
            loop = SAMPLED.replace("NAME", name).replace("KIND", kind).replace("xW", f"x{lanes}")
            given = "a, b" if name in PAIRS else "a"
            text += loop.replace("WIDE", str(lanes)).replace("GIVEN", given)
    found = compiler.required()
    source, out = folder / "accuracy.c", folder / "accuracy.so"
    source.write_text(text)
    flags = [f for f in compiler.FLAGS if f != "-pipe"]
    subprocess.run(
        [found.path, *flags, *found.march, str(source), "-o", str(out), "-lm"], check=True
    )
    return ctypes.CDLL(str(out))


def exhaustive(
    made: ctypes.CDLL, name: str, start: int = 0, end: int = 1 << 32, every: int = 1
) -> dict[str, Any]:
    """The greatest error over every so many of the bit patterns start .. end of float32, where, and
    how many results are of another kind. Ends are multiples of 64 times that step."""
    worst, where, wrong = ctypes.c_double(0), ctypes.c_uint64(0), ctypes.c_uint64(0)
    found = [ctypes.byref(v) for v in (worst, where, wrong)]
    getattr(made, f"check_{name}")(*map(ctypes.c_uint64, (start, end, every)), *found)
    x = np.uint32(where.value).view(np.float32)
    points = (end - start) // every
    return {"ulp": round(worst.value, 3), "at": [str(x)], "wrong": wrong.value, "points": points}


def arguments(kind: type, count: int) -> np.ndarray:
    """Numbers of all sizes, denser where functions change: near 0, 1 and multiples of pi/2, and
    where results overflow or vanish."""
    rng = np.random.default_rng(7)
    n = count // 8
    bits = np.uint64 if kind is np.float64 else np.uint32
    near = rng.choice([-1.0, 1.0], n)
    parts = [
        rng.integers(0, np.iinfo(bits).max, 2 * n, bits).view(kind),
        rng.uniform(-1, 1, n),
        rng.uniform(-20, 20, n),
        rng.uniform(-750, 750, n),
        1 + near * 2.0 ** -rng.uniform(1, 50, n),
        near * 2.0 ** rng.uniform(-60, 60, n),
        np.round(rng.uniform(-1e6, 1e6, n)) * (np.pi / 2),
    ]
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.concatenate([part.astype(kind) for part in parts])
    return x[np.isfinite(x)]


def exact(name: str) -> Callable[..., Any]:
    """The function of mpmath."""
    import mpmath as mp

    own: dict[str, Callable[..., Any]] = {
        "exp2": lambda v: mp.mpf(2) ** v,
        "log2": lambda v: mp.log(v) / mp.log(2),
        "log10": lambda v: mp.log(v) / mp.log(10),
        "sigmoid": lambda v: 1 / (1 + mp.exp(-v)),
        "rsqrt": lambda v: 1 / mp.sqrt(v),
        "pow": mp.power,
    }
    return own[name] if name in own else getattr(mp, name)


def sampled(made: ctypes.CDLL, name: str, kind: type, count: int) -> dict[str, Any]:
    """As `exhaustive`, for a sample, with mpmath for truth. What mpmath has no finite real number
    for is tested in tests/test_vmath.py."""
    import mpmath as mp

    rng = np.random.default_rng(8)
    x = arguments(kind, count)
    y = rng.permutation(x)
    if name == "pow":  # most powers of arbitrary numbers overflow: half shall not
        with np.errstate(all="ignore"):
            some = rng.uniform(-700, 700, len(x)) / np.log(np.abs(x.astype(np.float64)))
        y = np.where(rng.random(len(x)) < 0.5, some, y).astype(kind)
    x, y = (v[: len(x) // 64 * 64] for v in (x, y))
    out = np.empty_like(x)
    pointers = [ctypes.c_void_p(v.ctypes.data) for v in (x, y, out)]
    letters = "f64" if kind is np.float64 else "f32"
    getattr(made, f"sample_{name}_{letters}")(ctypes.c_int64(len(x)), *pointers)
    digits, least = (53, -1021) if kind is np.float64 else (24, -125)
    most = mp.mpf(float(np.finfo(kind).max))
    worst, at, wrong, points = 0.0, [], 0, 0
    function = exact(name)
    with mp.workdps(60):
        for point, got in zip(zip(x.tolist(), y.tolist(), strict=True), out.tolist(), strict=True):
            given = point if name in PAIRS else point[:1]
            try:
                want = function(*map(mp.mpf, given))
            except (ValueError, ZeroDivisionError, OverflowError):
                continue
            if not isinstance(want, mp.mpf) or not mp.isfinite(want) or 0 in given:
                continue
            points += 1
            if abs(want) > most:
                wrong += abs(got) < most or got != got
                continue
            if not np.isfinite(got):
                wrong += 1
                continue
            exponent = max(mp.frexp(abs(want))[1], least) if want else least
            error = float(abs(mp.mpf(got) - want) / mp.mpf(2) ** (exponent - digits))
            if error > worst:
                worst, at = error, [str(kind(v)) for v in given]
    return {"ulp": round(worst, 3), "at": at, "wrong": int(wrong), "points": points}


def measure(names: list[str], every: int, count: int = 40_000) -> None:
    """Measure these functions; after each, keep its results."""
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        made = library(names, Path(folder))
        for name in names:
            pair = name in PAIRS
            single = (
                sampled(made, name, np.float32, count)
                if pair
                else exhaustive(made, name, every=every)
            )
            kept[name] = {"float32": single, "float64": sampled(made, name, np.float64, count)}
            KEPT.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            print(name, *(f"{k} {v['ulp']}" for k, v in kept[name].items()), flush=True)


TEXT = """\
# Errors of the functions

Made by `python benchmarks/accuracy.py`. The greatest errors of the functions of generated C for
the CPU, in units of the last place; the limit is LIMIT. A rounded exact result has 0.5: many
functions of float32 are computed in float64 and rounded once. Results have the same bits for every
vector width and number of threads. float32 is tried on all 2^32 bit patterns, where a smaller
number is shown on evenly spaced ones; float64, and functions of two arguments, on a sample, with 60
digits of mpmath for truth.

| function | float32 | at | tried | float64 | at | tried |
| --- | --- | --- | --- | --- | --- | --- |
ROWS

Sine, cosine and tangent reduce their argument fully: beyond 2^18 (float32) and 2^28 (float64) by
the bits of 2/pi that count (Payne and Hanek), so that the largest number is as accurate as 1.
float16 and bfloat16 are computed in float32 and rounded once. The order of sums, and what else is
promised of bits, is in [design.md](design.md#order-of-summation).
"""


def page() -> str:
    """docs/numerics.md of the results that are kept."""
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    rows = []
    for name in [*NAMES, *PAIRS]:
        row = [name]
        for result in kept[name].values():
            tried = "all" if result["points"] == 1 << 32 else f"{result['points']:,}"
            row += [f"{result['ulp']:.3f}", ", ".join(result["at"]), tried]
        rows.append("| " + " | ".join(row) + " |")
    return TEXT.replace("LIMIT", f"{LIMIT:g}").replace("ROWS", "\n".join(rows))


if __name__ == "__main__":
    words = sys.argv[1:]
    if words != ["--page"]:
        step = int(words[1]) if words[:1] == ["--every"] else 1
        measure(words[2 if step > 1 else 0 :] or [*NAMES, *PAIRS], step)
    PAGE.write_text(page(), encoding="utf-8")
