"""Errors of the generated vector functions, in units of the last place.

    python benchmarks/accuracy.py [name ...]    float32, every one of the 2^32 bit patterns

float32 functions are compared with those of float64 of the same library, which are within 2 ulp
of float64 themselves: 1e-9 ulp of float32. Results with NaN or infinity on one side only, and zeros
of the wrong sign, count as errors. All of float32 takes about ten minutes on one core.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from lazygrad.codegen.prelude import prelude
from lazygrad.runtime import compiler

NAMES = """
exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh asin acos atan asinh acosh atanh
sigmoid erf erfc sqrt rsqrt
""".split()  # noqa: SIM905

LOOP = """
/* the greatest error over the patterns from .. to, where, and how many results of another kind */
void check_NAME(u64 from, u64 to, f64 *worst, u64 *where, u64 *wrong) {
  u32xF bits;
  for (int i = 0; i < WIDE; i++) bits[i] = (u32)(from + i);
  for (u64 b = from; b < to; b += WIDE, bits += WIDE) {
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
        else { *worst = error[i]; *where = b + h * HALF + i; }
      }
    }
  }
}
"""


def library(names: list[str], folder: Path) -> ctypes.CDLL:
    width = compiler.target().vector_bytes
    wide, narrow = width // 4, width // 8
    chunks = [(f"v_{n}_f32xV", wide) for n in names] + [(f"v_{n}_f64xV", narrow) for n in names]
    text = prelude([*chunks, ("u32xV", wide), ("v_any_i64xV", narrow)], width)
    for name in names:
        loop = LOOP.replace("NAME", name).replace("xF", f"x{wide}").replace("xD", f"x{narrow}")
        text += loop.replace("WIDE", str(wide)).replace("HALF", str(narrow))
    found = compiler.required()
    source, out = folder / "accuracy.c", folder / "accuracy.so"
    source.write_text(text)
    flags = [f for f in compiler.FLAGS if f != "-pipe"]
    subprocess.run(
        [found.path, *flags, *found.march, str(source), "-o", str(out), "-lm"], check=True
    )
    return ctypes.CDLL(str(out))


def exhaustive(names: list[str]) -> None:
    slices = 64
    with tempfile.TemporaryDirectory() as folder:
        made = library(names, Path(folder))
        for name in names:
            worst, where, wrong = ctypes.c_double(0), ctypes.c_uint64(0), ctypes.c_uint64(0)
            for part in range(slices):
                bounds = [ctypes.c_uint64((1 << 32) * k // slices) for k in (part, part + 1)]
                getattr(made, f"check_{name}")(
                    *bounds, ctypes.byref(worst), ctypes.byref(where), ctypes.byref(wrong)
                )
            x = np.uint32(where.value).view(np.float32)
            print(f"| {name} | {worst.value:.3f} | {x!s} | {wrong.value} |", flush=True)


if __name__ == "__main__":
    given = [a for a in sys.argv[1:] if not a.startswith("-")] or NAMES
    exhaustive(given)
