"""The C runtime (thread pool, schedule runner) and the generated matrix product, against numpy."""

from __future__ import annotations

import os
import platform
import random
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import pytest

from lazygrad.codegen.gemm import DEPTH, FEW_ITEMS, gemm_dims, gemm_grain, gemm_items, gemm_source
from lazygrad.ir.dtypes import bfloat16_to_float32, float32_to_bfloat16

CC = shlex.split(os.environ.get("CC", "")) or [shutil.which("gcc") or shutil.which("cc") or ""]
pytestmark = pytest.mark.skipif(not CC[0], reason="needs a C compiler")

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-psabi"]
FLAGS = [
    *("-O2", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
    *("-fwrapv", "-fno-strict-aliasing", "-fPIC", "-shared", "-nostdlib", *WARNINGS),
]
RUNTIME = Path(__file__).parent.parent / "lazygrad" / "runtime" / "c" / "runtime.c"
CDEF = """
typedef void (*lg_kernel)(char **p, const int64_t *d, int64_t lo, int64_t hi);
typedef struct { int64_t items; int32_t nptr; int32_t slot0; int64_t dim0; } lg_instance;
typedef struct { lg_kernel fn; int64_t first, count; int64_t grain; } lg_step;
typedef struct { const lg_step *steps; int64_t nsteps; const lg_instance *inst;
    const int32_t *slot; const int64_t *offset; const int64_t *dims; } lg_program;
int lg_run(const lg_program *prog, char *const *slots, int64_t *times);
void lg_set_threads(int64_t n);
int64_t lg_get_threads(void);
"""
# y[i] = 3 y[i] + x[i] + d0 for each item, and a count of the item; d1 makes items slow
STEP = """
typedef long long i64;
void step(char **p, const i64 *d, i64 lo, i64 hi) {
  const i64 *x = (const i64 *)p[0];
  i64 *y = (i64 *)p[1];
  unsigned char *count = (unsigned char *)p[2];
  for (i64 i = lo; i < hi; i++) {
    for (volatile i64 spin = d[1]; spin > 0; spin--) {}
    y[i] = 3 * y[i] + x[i] + d[0];
    count[i]++;
  }
}
"""
# gets no memory for item d0, marks the others
STARVED = """
void starved(char **p, const long long *d, long long lo, long long hi) {
  for (long long i = lo; i < hi; i++) {
    if (i == d[0]) { p[-1] = (char *)p; return; }
    p[0][i] = 1;
  }
}
"""
NUMPY: dict[str, Any] = {
    "f32": np.float32,
    "f64": np.float64,
    "f16": np.float16,
    "bf16": np.uint16,
    "i64": np.int64,
    "i32": np.int32,
    "i16": np.int16,
    "i8": np.int8,
    "u8": np.uint8,
}
SIZES = (0, 1, 3, 7, 17, 33, 64, 100, 129, 257)

ffi = cffi.FFI()
ffi.cdef(CDEF)
Address = int


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Sequence[str]], Any]:
    """Compiles C text with these flags and opens the library."""
    folder = tmp_path_factory.mktemp("c")

    def compiled(text: str, flags: Sequence[str]) -> Any:
        name = str(folder / f"{len(list(folder.iterdir()))}.c")
        Path(name).write_text(text, encoding="utf-8")
        subprocess.run([*CC, "-o", f"{name}.so", name, *flags], check=True)
        return ffi.dlopen(f"{name}.so")

    return compiled


@pytest.fixture(scope="module")
def runtime(compiled: Any) -> Any:
    flags = ["-O2", "-std=gnu11", "-fPIC", "-shared", *WARNINGS, "-lpthread"]
    if platform.system() == "Linux":
        flags.append("-Wl,-z,nodelete")
    return compiled(RUNTIME.read_text(encoding="utf-8"), flags)


@pytest.fixture(autouse=True)
def one_thread_before_and_after(runtime: Any) -> Iterator[None]:
    runtime.lg_set_threads(1)
    yield
    runtime.lg_set_threads(1)


@pytest.fixture(scope="module")
def step_kernel(compiled: Any) -> Address:
    return address(compiled(STEP, FLAGS), "step")


@pytest.fixture(scope="module")
def starved_kernel(compiled: Any) -> Address:
    return address(compiled(STARVED, FLAGS), "starved")


def address(library: Any, name: str) -> Address:
    ffi.cdef(f"void {name}(char **p, const int64_t *d, int64_t lo, int64_t hi);")
    return int(ffi.cast("intptr_t", ffi.addressof(library, name)))


def words(values: Sequence[int], kind: str = "int64_t") -> Any:
    return ffi.new(f"{kind}[]", list(values) or [0])


class Program:
    """A lg_program of steps (kernel, grain, [(items, [(slot, byte offset)], integers)])."""

    def __init__(self, steps: Sequence[tuple[Address, int, Sequence[Any]]]):
        instances = [instance for _, _, group in steps for instance in group]
        pointers = [pointer for _, where, _ in instances for pointer in where]
        self.inst = ffi.new("lg_instance[]", max(1, len(instances)))
        self.steps = ffi.new("lg_step[]", max(1, len(steps)))
        slot0 = dim0 = first = 0
        for entry, (items, where, dims) in zip(self.inst, instances):
            entry.items, entry.nptr, entry.slot0, entry.dim0 = items, len(where), slot0, dim0
            slot0, dim0 = slot0 + len(where), dim0 + len(dims)
        for step, (kernel, grain, group) in zip(self.steps, steps):
            step.fn, step.first = ffi.cast("lg_kernel", kernel), first
            step.count, step.grain = len(group), grain
            first += len(group)
        self.arrays = (
            words([slot for slot, _ in pointers], "int32_t"),
            words([offset for _, offset in pointers]),
            words([value for _, _, dims in instances for value in dims]),
        )
        self.c = ffi.new("lg_program *", [self.steps, len(steps), self.inst, *self.arrays])

    def run(self, runtime: Any, arrays: Sequence[np.ndarray], times: Any = ffi.NULL) -> int:
        slots = ffi.new("char *[]", [ffi.cast("char *", a.ctypes.data) for a in arrays])
        return int(runtime.lg_run(self.c, slots, times))


# ---- the pool ----------------------------------------------------------------------------------


class Steps:
    """Random steps of the kernel above over one x and y, and what they are to give."""

    def __init__(self, kernel: Address, rng: random.Random, steps: int, size: int = 3000):
        self.start = np.arange(size), np.zeros(size, np.int64)
        y = self.start[1].copy()
        self.used = np.zeros(size, np.int64)
        plan = []
        for _ in range(steps):
            cuts = sorted(rng.randrange(size + 1) for _ in range(rng.choice([0, 2, 2, 4, 30])))
            group = []
            for lo, hi in zip(cuts[::2], cuts[1::2]):
                add, slow = rng.randrange(100), rng.choice([0, 0, 0, 20])
                where = [(0, 8 * lo), (1, 8 * lo), (2, lo)]
                group.append((hi - lo, where, [add, slow]))
                y[lo:hi] = 3 * y[lo:hi] + self.start[0][lo:hi] + add
                self.used[lo:hi] += 1
            plan.append((kernel, rng.choice([-1, 0, 1, 3, 50, 1000, 10**9]), group))
        self.expected = y
        self.program = Program(plan)

    def check(self, runtime: Any) -> None:
        x, y = (a.copy() for a in self.start)
        count = np.zeros(len(x), np.uint8)
        self.program.run(runtime, [x, y, count])
        assert np.array_equal(y, self.expected)
        assert np.array_equal(count, self.used.astype(np.uint8))


@pytest.mark.parametrize("threads", [1, 2, 4, 9])
def test_every_item_runs_once_and_steps_in_order(
    runtime: Any, step_kernel: Address, threads: int
) -> None:
    runtime.lg_set_threads(threads)
    assert runtime.lg_get_threads() == threads
    rng = random.Random(threads)
    for _ in range(30):
        Steps(step_kernel, rng, rng.randrange(40)).check(runtime)


def test_threads_may_change_between_runs(runtime: Any, step_kernel: Address) -> None:
    rng = random.Random(0)
    steps = Steps(step_kernel, rng, 20)
    for _ in range(60):
        runtime.lg_set_threads(rng.randrange(-1, 7))
        steps.check(runtime)
    runtime.lg_set_threads(10**6)
    assert runtime.lg_get_threads() == 256


def test_times_are_given_for_every_step(runtime: Any, step_kernel: Address) -> None:
    group = [(100, [(0, 0), (1, 0), (2, 0)], [0, 1000])]
    program = Program([(step_kernel, 1, group)] * 3)
    times = words([-1] * 3)
    for threads in (1, 2):
        runtime.lg_set_threads(threads)
        began = time.perf_counter_ns()
        program.run(runtime, [np.zeros(100, np.int64)] * 2 + [np.zeros(100, np.uint8)], times)
        took = time.perf_counter_ns() - began
        assert min(times) > 1000 and sum(times) <= took


def test_workers_that_fell_asleep_are_woken(runtime: Any, step_kernel: Address) -> None:
    runtime.lg_set_threads(3)
    steps = Steps(step_kernel, random.Random(1), 5)
    for pause in (0, 0.0001, 0.0002, 0.0003, 0.01, 0.05):
        for _ in range(5):
            time.sleep(pause)
            steps.check(runtime)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_kernel_without_memory_ends_the_run(
    runtime: Any, step_kernel: Address, starved_kernel: Address, threads: int
) -> None:
    runtime.lg_set_threads(threads)
    x, y, count, marks = (
        np.arange(9),
        np.zeros(9, int),
        np.zeros(9, np.uint8),
        np.zeros(9, np.uint8),
    )
    step = (step_kernel, 1, [(9, [(0, 0), (1, 0), (2, 0)], [0, 0])])
    for item in (-1, 0, 4, 8, -1):
        count[:] = marks[:] = 0
        lacking = (starved_kernel, 1, [(9, [(3, 0)], [item])])
        failed = Program([step, lacking, step]).run(runtime, [x, y, count, marks])
        assert failed == (item >= 0)
        assert set(count) == {1 if failed else 2} and (failed or marks.all())
        if failed:
            assert not marks[item]


def together(*calls: Callable[[], None]) -> None:
    """Runs the calls in a thread each; fails if one of them does."""
    failures: list[BaseException] = []

    def guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_several_python_threads_at_once(runtime: Any, step_kernel: Address) -> None:
    runtime.lg_set_threads(2)

    def worker(seed: int) -> Callable[[], None]:
        steps = Steps(step_kernel, random.Random(seed), 20)

        def run() -> None:
            for _ in range(100):
                steps.check(runtime)

        return run

    def change_threads() -> None:
        for n in range(100):
            runtime.lg_set_threads(1 + n % 4)
            time.sleep(0.0005)

    together(worker(0), worker(1), worker(2), change_threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_while_the_pool_works(runtime: Any, step_kernel: Address) -> None:
    runtime.lg_set_threads(4)
    busy = Steps(step_kernel, random.Random(5), 50)
    mine = Steps(step_kernel, random.Random(6), 20)
    mine.check(runtime)
    stop = threading.Event()

    def keep_busy() -> None:
        while not stop.is_set():
            busy.check(runtime)

    def fork_often() -> None:
        try:
            for number in range(20):
                child = os.fork()
                if child == 0:
                    status = 1
                    try:
                        runtime.lg_set_threads(2 + number % 3)
                        for _ in range(5):
                            mine.check(runtime)
                        status = 0
                    finally:
                        os._exit(status)
                mine.check(runtime)
                assert exit_status(child) == 0
        finally:
            stop.set()

    together(keep_busy, fork_often)


def exit_status(child: int) -> int:
    """Its exit status; fails if it does not end within 10 seconds."""
    for _ in range(1000):
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


# ---- the matrix product ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def machine() -> set[str]:
    """Macros that the compiler defines for this machine."""
    run = subprocess.run(
        [*CC, "-march=native", "-dM", "-E", "-x", "c", "/dev/null"], capture_output=True, text=True
    )
    return {line.split()[1] for line in run.stdout.splitlines()}


@pytest.fixture(scope="module")
def widest(machine: set[str]) -> int:
    return 64 if "__AVX512F__" in machine else 32 if "__AVX2__" in machine else 16


@pytest.fixture(scope="module")
def gemm(compiled: Any, widest: int) -> Callable[..., Address]:
    """The address of the kernel for a dtype, a vector width and an architecture."""
    known: dict[Any, Address] = {}

    def gemm(dtype: str, vector_bytes: int = 0, march: str = "native") -> Address:
        key = dtype, vector_bytes or widest, march
        if key not in known:
            symbol = f"mm_{dtype}_{key[1]}_{march.replace('-', '_')}"
            text = gemm_source(dtype, symbol, key[1])
            known[key] = address(compiled(text, [*FLAGS, f"-march={march}"]), symbol)
        return known[key]

    return gemm


def layout(rng: random.Random, shape: tuple[int, ...], dtype: Any, kind: str) -> np.ndarray:
    """An array of this shape in the middle of memory full of NaN (or 77).

    plain: rows one after the other; transposed: columns; any: padded, with steps, axes in any
    order, flipped.
    """
    order = list(range(len(shape)))
    if kind == "transposed":
        order[-2:] = order[:-3:-1]
    pad, step = [0] * len(shape), [1] * len(shape)
    if kind == "any":
        rng.shuffle(order)
        pad = [rng.randrange(4) for _ in shape]
        step = [rng.choice([1, 1, 2, -1]) for _ in shape]
    full = [shape[axis] * abs(step[axis]) + pad[axis] for axis in order]
    flat = np.full(int(np.prod(full)) + 64, np.nan if np.dtype(dtype).kind == "f" else 77, dtype)
    array = flat[32:-32].reshape(full).transpose(np.argsort(order))
    for axis, length in enumerate(shape):
        array = np.moveaxis(np.moveaxis(array, axis, 0)[:: step[axis]][:length], 0, axis)
    return array


def filled(rng: random.Random, dtype: str, array: np.ndarray) -> np.ndarray:
    values = np.random.default_rng(rng.randrange(2**32))
    if array.dtype.kind in "iu" and dtype != "bf16":
        info = np.iinfo(array.dtype)
        array[...] = values.integers(info.min, info.max, array.shape, array.dtype, endpoint=True)
    else:
        normal = values.standard_normal(array.shape)
        array[...] = float32_to_bfloat16(normal) if dtype == "bf16" else normal
    return array


def strides(array: np.ndarray) -> tuple[int, ...]:
    return tuple(s // array.itemsize for s in array.strides)


PLAIN = (0, 0, 0, 0, 0)  # no index is made of several axes, nothing is done to finished blocks


def plain_dims(m: int, n: int, k: int, a: Any, b: Any, c: Any, batch: Any = ()) -> tuple[int, ...]:
    """The integers of a product of matrices with one stride along each axis."""
    first, second = ([(m, a[0])], [(k, a[1])]), ([(k, b[0])], [(n, b[1])])
    return gemm_dims(m, n, k, first, second, c, batch)


def product(
    kernel: Address, a: np.ndarray, b: np.ndarray, c: np.ndarray
) -> tuple[Program, list[int]]:
    """A program of one step c = a @ b (a and b broadcast to c's batch), and the integers."""
    a = np.broadcast_to(a, (*c.shape[:-2], *a.shape[-2:]))
    b = np.broadcast_to(b, (*c.shape[:-2], *b.shape[-2:]))
    x, y, z = strides(a), strides(b), strides(c)
    batch = list(zip(c.shape[:-2], x, y, z))
    rows_a, rows_b, rows_c = ((s[-2], s[-1]) for s in (x, y, z))
    d = plain_dims(c.shape[-2], c.shape[-1], a.shape[-1], rows_a, rows_b, rows_c, batch)
    group = [(gemm_items(d), [(0, 0), (1, 0), (2, 0)], d)]
    return Program([(kernel, 1, group)]), list(d)


def multiply(
    runtime: Any, kernel: Address, a: np.ndarray, b: np.ndarray, c: np.ndarray | None = None
) -> np.ndarray:
    if c is None:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        c = layout(random.Random(0), (*batch, a.shape[-2], b.shape[-1]), a.dtype, "plain")
    product(kernel, a, b, c)[0].run(runtime, [a, b, c])
    return c


def root(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def wide(dtype: str, array: np.ndarray) -> np.ndarray:
    """The values as float64, integers as int64."""
    if dtype == "bf16":
        return bfloat16_to_float32(array).astype(np.float64)
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64)


def check(dtype: str, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    """c is a @ b: integers exactly, floats within the bound of the blocked sum."""
    x, y = wide(dtype, a), wide(dtype, b)
    if dtype[0] in "iu":
        assert np.array_equal(c, np.broadcast_to(x @ y, c.shape).astype(c.dtype))
        return
    exact, size = x @ y, np.abs(x) @ np.abs(y)
    steps = min(a.shape[-1], DEPTH) + a.shape[-1] // DEPTH + 1
    bound = steps * size * 2.0 ** (-53 if dtype == "f64" else -24) * 2
    if dtype in ("f16", "bf16"):
        bound += np.abs(exact) * 2.0 ** (-11 if dtype == "f16" else -8) + 2.0**-24
    error = np.abs(wide(dtype, c) - exact)
    assert np.all(error <= bound), (a.shape, b.shape, np.max(error - bound))


def problem(
    rng: random.Random, dtype: str, m: int, n: int, k: int, batch: Sequence[int], kind: str = ""
) -> list[np.ndarray]:
    """a and b with values, c without, in these layouts; a or b may lack batch axes."""
    shapes = [(*batch, m, k), (*batch, k, n), (*batch, m, n)]
    kinds = [kind or rng.choice(["plain", "transposed", "any"]) for _ in shapes]
    for number in (0, 1):
        share = rng.choice([None, None, 0, 1]) if batch else None
        if share == 0:
            shapes[number] = shapes[number][len(batch) :]
        elif share == 1:
            shapes[number] = (1, *shapes[number][1:])
    arrays = [layout(rng, s, NUMPY[dtype], q) for s, q in zip(shapes, kinds)]
    return [filled(rng, dtype, arrays[0]), filled(rng, dtype, arrays[1]), arrays[2]]


def check_problem(runtime: Any, kernel: Address, dtype: str, arrays: Sequence[np.ndarray]) -> None:
    a, b, c = arrays
    outside = root(c).copy()
    multiply(runtime, kernel, a, b, c)
    check(dtype, a, b, c)
    c[...] = 77 if c.dtype.kind in "iu" else np.nan
    assert root(c).tobytes() == outside.tobytes(), "wrote outside of C"


@pytest.mark.parametrize("dtype", NUMPY)
def test_gemm_all_layouts_and_sizes(runtime: Any, gemm: Any, dtype: str) -> None:
    rng = random.Random(dtype)
    runtime.lg_set_threads(2)
    for number in range(100):
        batch = rng.choice([[], [], [], [2], [3], [2, 3], [1, 2], [2, 1, 2, 2]])
        m, n, k = (rng.choice(SIZES[:6] if batch else SIZES) for _ in range(3))
        if not batch:
            m = SIZES[number % len(SIZES)]
        check_problem(runtime, gemm(dtype), dtype, problem(rng, dtype, m, n, k, batch))


@pytest.mark.parametrize("dtype", NUMPY)
@pytest.mark.parametrize("vector_bytes", [16, 32])
def test_gemm_with_other_vectors(
    runtime: Any, gemm: Any, machine: set[str], dtype: str, vector_bytes: int
) -> None:
    if vector_bytes == 32 and "__AVX2__" not in machine:
        pytest.skip("needs AVX2")
    rng = random.Random(dtype)
    for _ in range(20):
        m, n, k = (rng.choice(SIZES[:-1]) for _ in range(3))
        check_problem(runtime, gemm(dtype, vector_bytes), dtype, problem(rng, dtype, m, n, k, []))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="an x86-64 without fma")
@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
def test_gemm_without_fma(runtime: Any, gemm: Any, dtype: str) -> None:
    rng = random.Random(dtype)
    for _ in range(10):
        m, n, k = (rng.choice(SIZES[:-1]) for _ in range(3))
        kernel = gemm(dtype, 16, "x86-64")
        check_problem(runtime, kernel, dtype, problem(rng, dtype, m, n, k, []))


@pytest.mark.parametrize("dtype", ["f32", "f64", "f16"])
def test_gemm_bits_do_not_depend_on_the_split(runtime: Any, gemm: Any, dtype: str) -> None:
    """Not on threads, nor on which items are done together and when."""
    rng = random.Random(dtype)
    kernel = gemm(dtype)
    call = ffi.cast("lg_kernel", kernel)
    for m, n, k, nb in [(257, 500, 300, 1), (70, 1, 513, 1), (1, 700, 64, 1), (64, 64, 64, 9)]:
        a, b, c = problem(rng, dtype, m, n, k, [nb])
        program, d = product(kernel, a, b, c)
        results = []
        for threads in (1, 2, 4):
            runtime.lg_set_threads(threads)
            for _ in range(3):
                c[...] = 0
                program.run(runtime, [a, b, c])
                results.append(c.copy().tobytes())
        for _ in range(3):
            c[...] = 0
            items = gemm_items(d)
            cuts = sorted({0, items, *(rng.randrange(items + 1) for _ in range(7))})
            ranges = list(pairwise(cuts))
            rng.shuffle(ranges)
            pointers = ffi.new("char *[]", [ffi.cast("char *", x.ctypes.data) for x in (a, b, c)])
            for lo, hi in ranges:
                call(pointers, words(d), lo, hi)
            results.append(c.copy().tobytes())
        assert len(set(results)) == 1, (m, n, k)


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
def test_gemm_bits_depend_on_nothing_but_the_terms(
    runtime: Any, gemm: Any, machine: set[str], dtype: str
) -> None:
    """Not on the element's place, on M and N, on layouts, on the width of vectors."""
    rng = random.Random(dtype)
    kernel = gemm(dtype)
    for k in (5, 256, 257, 700):
        a, b, _ = problem(rng, dtype, 150, 203, k, [], "plain")
        whole = multiply(runtime, kernel, a, b)
        for i, j in ((0, 0), (77, 101), (149, 202), (143, 191), (144, 192)):
            assert np.array_equal(multiply(runtime, kernel, a[i : i + 1], b), whole[i : i + 1])
            column = multiply(runtime, kernel, a, b[:, j : j + 1])
            assert np.array_equal(column, whole[:, j : j + 1])
            one = multiply(runtime, kernel, a[i : i + 1], b[:, j : j + 1])
            assert np.array_equal(one, whole[i : i + 1, j : j + 1])
            part = multiply(runtime, kernel, a[i:], b[:, j:])
            assert np.array_equal(part, whole[i:, j:])
        for kind in ("transposed", "any"):
            x, y, c = (layout(rng, v.shape, v.dtype, kind) for v in (a, b, whole))
            x[...], y[...] = a, b
            assert np.array_equal(multiply(runtime, kernel, x, y, c), whole)
        for vector_bytes in (16, 32) if "__FMA__" in machine else ():
            assert np.array_equal(multiply(runtime, gemm(dtype, vector_bytes), a, b), whole)


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_gemm_rounds_halves_once(runtime: Any, gemm: Any, dtype: str) -> None:
    """To the nearest of the float32 result, also where it is subnormal, huge or not finite."""
    rng = random.Random(dtype)
    for scale in (1.0, 1e-3, 2e-5, 300.0, 1e4, 1e19):
        a, b, _ = problem(rng, "f32", 60, 70, 300, [], "plain")
        a *= np.float32(scale)
        a[0, 0], a[1, 0], b[0, 0] = np.inf, np.nan, 0
        with np.errstate(over="ignore"):
            if dtype == "f16":
                a, b = a.astype(np.float16), b.astype(np.float16)
                full = multiply(runtime, gemm("f32"), a.astype(np.float32), b.astype(np.float32))
                expected = full.astype(np.float16)
            else:
                a, b = float32_to_bfloat16(a), float32_to_bfloat16(b)
                floats = bfloat16_to_float32(a), bfloat16_to_float32(b)
                expected = float32_to_bfloat16(multiply(runtime, gemm("f32"), *floats))
        got = multiply(runtime, gemm(dtype), a, b)
        np.testing.assert_array_equal(got, expected)  # NaN equals NaN


def test_gemm_large_sums_are_accurate(runtime: Any, gemm: Any) -> None:
    values = np.random.default_rng(0).random((2, 1 << 20), np.float32)
    a, b = values[:1], values[1:].T
    exact = a.astype(np.float64) @ b.astype(np.float64)
    assert abs(multiply(runtime, gemm("f32"), a, b) / exact - 1)[0, 0] < 2e-6


def test_gemm_special_values(runtime: Any, gemm: Any) -> None:
    """Zeros keep their sign rules; inf * 0 is NaN and stays in its row."""
    a = np.array([[np.inf, 0], [1, 2], [-0.0, 0]], np.float32)
    b = np.array([[0, 1, -1], [1, 1, 1]], np.float32)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(multiply(runtime, gemm("f32"), a, b), a @ b)
    empty = np.ones((5, 0), np.float32)
    assert not multiply(runtime, gemm("f32"), empty, empty.T).any()


def test_gemm_dims_merges_axes() -> None:
    # x[4, 5, 8, 16] @ w[16, 3]: one product of 160 rows
    assert plain_dims(8, 3, 16, (16, 1), (3, 1), (3, 1), [(4, 640, 0, 120), (5, 128, 0, 24)]) == (
        (0, 160, 3, 16, 16, 1, 3, 1, 3, 1, *PLAIN)
    )
    # a batch of equal strides is one axis; vectors that meet one matrix become rows of it
    assert plain_dims(2, 2, 2, (2, 1), (2, 1), (2, 1), [(3, 16, 16, 16), (4, 4, 4, 4)]) == (
        (1, 2, 2, 2, 2, 1, 2, 1, 2, 1, 12, 4, 4, 4, *PLAIN)
    )
    assert plain_dims(1, 3, 4, (0, 1), (3, 1), (0, 1), [(7, 4, 0, 3)]) == (
        (0, 7, 3, 4, 4, 1, 3, 1, 3, 1, *PLAIN)
    )


def test_gemm_items_are_balanced() -> None:
    def d(m: int, n: int, k: int, nb: int = 1) -> tuple[int, ...]:
        batch = [(nb, m * k, k * n, m * n)]
        return plain_dims(m, n, k, (k, 1), (n, 1), (n, 1), batch)

    assert gemm_items(d(0, 5, 5)) == gemm_items(d(5, 0, 5)) == 0
    assert gemm_items(d(32, 32, 16)) == 1
    assert gemm_items(d(1024, 1024, 1024)) >= 64
    for shape in [(1, 4096, 64), (4096, 1, 64), (32, 4096, 64)]:
        assert gemm_items(d(*shape)) >= FEW_ITEMS
    assert gemm_grain(d(32, 32, 16)) >= gemm_items(d(32, 32, 16))  # on the caller only
    assert gemm_grain(d(1024, 1024, 1024)) == 1
    assert gemm_items(d(128, 128, 128, 64)) >= 64


def test_gemm_kernels_share_a_unit(runtime: Any, compiled: Any, widest: int) -> None:
    """Of one dtype and of several; names do not clash."""
    names = [("f32", "mm_one"), ("f32", "mm_two"), ("f64", "mm_three"), ("i8", "mm_four")]
    text = "\n".join(gemm_source(dtype, name, widest) for dtype, name in names)
    library = compiled(text, [*FLAGS, "-march=native"])
    for dtype, name in names:
        arrays = problem(random.Random(name), dtype, 20, 30, 40, [2])
        check_problem(runtime, address(library, name), dtype, arrays)


@pytest.mark.parametrize("dtype", NUMPY)
def test_gemm_text_is_deterministic(dtype: str) -> None:
    for vector_bytes in (16, 32, 64):
        text = gemm_source(dtype, "some_name", vector_bytes)
        assert text == gemm_source(dtype, "some_name", vector_bytes)
        assert text.isascii() and "include" not in text and "  \n" not in text
