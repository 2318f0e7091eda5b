"""Generated C for other CPUs: a representative set of kernels compiles for 16-byte vectors, with a
cross compiler for aarch64 where one is installed, else for a plain x86-64.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from graphs import leaf, normal
from test_fusion import ONE_KERNEL

from lazygrad.codegen.cpu import render, translation_unit
from lazygrad.codegen.gemm import gemm_source
from lazygrad.codegen.target import Target
from lazygrad.ir import ops
from lazygrad.ir.dtypes import bfloat16, bool_, float16, float32, float64, int32, int64, uint8
from lazygrad.ir.node import Node
from lazygrad.ir.ops import REGISTRY, Lowering
from lazygrad.ir.schedule import KernelStep, make_schedule
from lazygrad.runtime import compiler


def with_headers(path: str | None) -> str | None:
    """The compiler, if it has the C library's headers, which Debian packages apart."""
    text = "#include <limits.h>\n#include <pthread.h>\n"
    command = [path, "-E", "-x", "c", "-", "-o", "/dev/null"] if path else ["false"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return path if done.returncode == 0 else None


CROSS = with_headers(shutil.which("aarch64-linux-gnu-gcc"))
NATIVE = shutil.which("gcc") if platform.machine() in ("x86_64", "AMD64") else None
MB = 1 << 20
RUNTIME = Path(compiler.__file__).parent / "c" / "runtime.c"


def commands() -> list[tuple[str, ...]]:
    """The compiler to use, with the flags that name a CPU."""
    if CROSS:
        return [(CROSS,)]
    # without SSE4.1 (CPUs before 2008) gcc 12 ends with an internal error, of vectors of i64
    return [(NATIVE, "-march=x86-64-v2")] if NATIVE else []


pytestmark = pytest.mark.skipif(not commands(), reason="neither a cross compiler nor gcc on x86")


def compiles(command: tuple[str, ...], source: str) -> None:
    """Raises CalledProcessError with the compiler's words."""
    flags = [f for f in compiler.FLAGS if f != "-shared"]
    done = subprocess.run(
        [*command, *flags, "-c", "-x", "c", "-", "-o", "/dev/null"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:4000]


def movements() -> list[Node]:
    """Every way that a kernel walks through memory."""
    rng = np.random.default_rng(0)
    found = []
    for dtype in (float32, float64, float16, bfloat16, int32, int64, uint8, bool_):
        stored = np.dtype(dtype.np)
        x = leaf(rng.integers(0, 2, (40, 50)).astype(stored), dtype)
        y = leaf(rng.integers(0, 2, (50, 40)).astype(stored), dtype)
        other = ops.where(ops.eq(x, x), x, ops.permute(y, arg=(1, 0)))
        found += [
            other,
            ops.copy(ops.slice_(x, arg=((0, 40, 1), (0, 50, 2)))),
            ops.copy(ops.slice_(x, arg=((0, 40, 1), (0, 50, 3)))),
            ops.copy(ops.flip(x, arg=(1,))),
            ops.copy(ops.pad(x, arg=((1, 0), (2, 3)))),
            ops.max_(x, arg=(1,)),
            ops.max_(x, arg=(0,)),
            ops.max_(x, arg=(0, 1)),
            ops.argmax(x, arg=(1,)),
        ]
        if "f" in dtype.kind:
            found += [ops.sum_(x, arg=axes) for axes in ((0,), (1,), (0, 1))]
    x, index = normal(rng, 30, 8), leaf(rng.integers(0, 30, (9, 8)), int64)
    rows = ops.expand(leaf(rng.integers(0, 30, (9, 1)), int64), arg=(9, 8))
    found += [ops.gather(x, index, arg=0), ops.gather(x, rows, arg=0)]
    found.append(ops.scatter_add(x, index, ops.gather(x, index, arg=0), arg=0))
    return found


def functions() -> list[Node]:
    """Every pointwise op of one or two operands, in float32 and float64."""
    rng = np.random.default_rng(0)
    found = []
    for op in REGISTRY.values():
        if op.lowering is not Lowering.POINTWISE or "f" not in op.kinds or op.arity > 2:
            continue
        if op is ops.cast or op in ops.CHECKS:
            continue
        for dtype in (float32, float64):
            x = leaf(rng.random(64).astype(dtype.np), dtype)
            found.append(op(*[x] * op.arity))
    return found


def unit(outputs: list[Node], target: Target) -> str:
    """One translation unit with the kernels of all these, each a program of its own."""
    bodies: dict[str, str] = {}
    for node in outputs:
        for step in make_schedule([node]).steps:
            if isinstance(step, KernelStep):
                for kernel in step.kernels:
                    made = render(kernel, target)
                    bodies[made.name] = made.body
    assert bodies
    return translation_unit(list(bodies.values()), target)


@pytest.mark.parametrize("command", commands(), ids=lambda c: Path(c[0]).name)
@pytest.mark.parametrize("what", ["movements", "functions", "fusions", "products", "runtime"])
def test_compiles_for_another_cpu(command: tuple[str, ...], what: str) -> None:
    target = Target(16)
    if what == "movements":
        source = unit(movements(), target)
    elif what == "functions":
        source = unit(functions(), target)
    elif what == "fusions":
        source = unit([node for make in ONE_KERNEL.values() for node in make()], target)
    elif what == "products":
        source = "".join(gemm_source(kind, f"product_{kind}", 16) for kind in ("f32", "f64"))
        source = translation_unit([source], target)
    else:
        source = RUNTIME.read_text(encoding="utf-8")
    compiles(command, source)


@pytest.mark.parametrize(
    ("sizes", "counted"),
    [
        ({}, 32 * MB),
        ({1: MB // 32, 2: MB // 2, 3: 32 * MB}, 32 * MB),
        ({1: MB // 32, 2: MB, 3: 96 * MB}, 96 * MB),  # of one group of eight cores
        ({1: 3 * MB // 64, 2: 2 * MB, 3: 300 * MB}, 4 * MB),  # of a socket of sixty
    ],
)
def test_caches_that_are_counted_on(sizes: dict[int, int], counted: int) -> None:
    assert compiler.counted_on(sizes) == counted
