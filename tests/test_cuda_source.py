"""CUDA C as it is generated: golden text, and what NVIDIA's compiler makes of it. Needs no GPU.

`python tests/test_cuda_source.py` writes the golden files anew.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import lazygrad as lg
import lazygrad.nn.functional as F
from lazygrad import debug
from lazygrad.codegen.cuda.attention import attention
from lazygrad.codegen.cuda.plan import divisor
from lazygrad.codegen.cuda.product import Form, product_source
from lazygrad.codegen.cuda.render import render, translation_unit
from lazygrad.codegen.cuda.routines import routine
from lazygrad.debug import Look
from lazygrad.ir import ops
from lazygrad.ir.dtypes import ALL, bool_, float16, float32, float64, int32, int64, uint8
from lazygrad.ir.operands import Operand
from lazygrad.ir.schedule import HostStep, KernelStep, MatmulStep, make_schedule
from lazygrad.ir.structure import structure
from lazygrad.ir.views import View
from lazygrad.tensor.core import node_of

GOLDEN = Path(__file__).parent / "golden" / "cuda"
REGISTERS = 64  # 4 blocks of 256 threads on a multiprocessor
PRODUCT_REGISTERS = 192  # f64; 128 for f32
ATTENTION_REGISTERS = 224  # in the gradient of k and v, by blocks of 64 threads
Make = Callable[..., lg.Tensor]


def known(*shape: int, dtype: lg.dtype = lg.float32) -> lg.Tensor:
    made = lg.zeros(*shape, dtype=dtype) + 1
    lg.realize(made)
    return made


def indices(size: int) -> lg.Tensor:
    return known(size, dtype=lg.int64)


CASES: dict[str, Make] = {
    "chain": lambda: (known(1 << 20) * 2 + known(1 << 20)).tanh(),
    "chain_f16": lambda: (known(1 << 20, dtype=lg.float16) * 2).sigmoid(),
    "chain_bf16": lambda: (known(1 << 20, dtype=lg.bfloat16) * 2).relu(),
    "chain_f64": lambda: known(1 << 20, dtype=lg.float64).exp() + 1,
    "long_chain": lambda: known(1 << 24) * known(1 << 24) + 1,
    "ragged": lambda: known(1001) + 1,
    "bias": lambda: F.gelu(known(256, 512) + known(512)),
    "column": lambda: known(100, 512) * known(100, 1),
    "integers": lambda: known(999, dtype=lg.int64) // 3 + 7,
    "select": lambda: lg.where(known(64, 64) > 0, known(64, 64), known(64, 1)),
    "padded": lambda: F.pad(known(30, 40), (1, 2, 3, 4)) + 1,
    "transpose": lambda: known(300, 200).t().contiguous() * 2,
    "transpose_add": lambda: known(300, 200).t() + known(200, 300),
    "sum_all": lambda: known(1 << 20).sum(),
    "sum_rows": lambda: known(4096, 1024).sum(1),
    "sum_long_rows": lambda: known(4096, 100_000).sum(1),
    "sum_columns": lambda: known(4096, 256).sum(0),
    "mean_f16": lambda: known(2048, 1000, dtype=lg.float16).mean(1),
    "softmax": lambda: lg.softmax(known(4096, 1000), 1),
    "softmax_columns": lambda: lg.softmax(known(1000, 64), 0),
    "softmax_block": lambda: lg.softmax(known(512, 8192), 1),
    "softmax_long": lambda: lg.softmax(known(512, 65536), 1),
    "softmax_few": lambda: lg.softmax(known(4, 65536), 1),
    "softmax_tall": lambda: lg.softmax(known(65536, 64), 0),
    "norm_long": lambda: F.layer_norm(known(1024, 65536), (65536,)),
    "norm_bf16": lambda: F.layer_norm(
        known(512, 4096, dtype=lg.bfloat16), (4096,), known(4096, dtype=lg.bfloat16)
    ),
    "batch_norm": lambda: F.batch_norm(known(32, 64, 56, 56), None, None, training=True),
    "sum_f16": lambda: known(1 << 20, dtype=lg.float16).sum(),
    "sum_columns_f16": lambda: known(4096, 256, dtype=lg.float16).sum(0),
    "softmax_odd": lambda: lg.softmax(known(512, 1001), 1),
    "softmax_f16": lambda: lg.softmax(known(512, 4096, dtype=lg.float16), 1),
    "softmax_f64": lambda: lg.softmax(known(512, 2048, dtype=lg.float64), 1),
    "log_softmax": lambda: lg.log_softmax(known(512, 4096), 1),
    "norm_of_sum": lambda: F.layer_norm(
        known(512, 4096) + known(512, 4096), (4096,), known(4096), known(4096)
    ),
    "layer_norm": lambda: F.layer_norm(known(4096, 768), (768,)),
    "logsumexp": lambda: known(2048, 4096).logsumexp(1),
    "argmax": lambda: known(4096, 1000).argmax(1),
    "embedding": lambda: F.embedding(indices(77), known(1000, 64)),
    "scatter_add": lambda: known(100, 64).index_add(0, indices(77), known(77, 64)),
    "embedding_grad": lambda: known(1000, 64).index_add(0, indices(4000), known(4000, 64)),
    "put": lambda: known(1000).index_copy(0, indices(4000), known(4000)),
    "cumsum": lambda: known(64, 4096).cumsum(1),
    "cummax": lambda: known(64, 100).cummax(0).indices,
    "argsort": lambda: known(64, 4096).argsort(1),
    "uniform": lambda: lg.rand(1000),
    "normal": lambda: lg.randn(1000),
}
MANY = ("bias",)  # shown with the function that runs several instances
LAUNCHES = ("few", "tall", "batch_norm")  # a pass is a launch
WIDE_FORMS = [
    Form(tile, by_a, by_b, True)
    for tile in (128, 64)
    for by_a, by_b in (("k", "outer"), ("k", "k"), ("outer", "outer"))
]
GOLDEN_PRODUCTS = ("lg_matmul_f32_0_128kow", "lg_matmul_f16_1_64xx")
PLAIN, WINDOWS = (0, 0, 0, 0), (0, 0, 3, 2)  # axes in an index of the matrices
Which = tuple[lg.dtype, int, tuple[int, ...]]  # with so many axes of a batch, and in an index
PRODUCTS: tuple[Which, ...] = (
    (float32, 0, PLAIN),
    (float32, 2, PLAIN),
    (float32, 1, WINDOWS),
    (float64, 0, PLAIN),
    (float16, 1, PLAIN),
    (int64, 0, PLAIN),
    (int32, 0, PLAIN),
)
OTHER_PRODUCTS: tuple[Which, ...] = tuple(
    (dtype, axes, PLAIN)
    for dtype in ALL[1:]  # there are no products of bools
    for axes in (0, 1)
    if (dtype, axes, PLAIN) not in PRODUCTS
)


def products(which: Sequence[Which] = PRODUCTS) -> dict[str, str]:
    """Texts of matrix products, with accesses of 16 bytes and without, by name."""
    found = {}
    for dtype, axes, digits in which:
        tail = [v for count in digits for v in (count, *(4, 1) * count)]
        dims = (axes, 64, 64, 64, 64, 1, 64, 1, 64, 1, *(2, 0, 0, 0) * axes, *tail)
        wide = () if any(digits) else WIDE_FORMS if dtype.kind == "f" else WIDE_FORMS[::3]
        for form in (*wide, Form(64), Form(64, whole=True)):
            if form.tile == 64 or dtype.itemsize < 8:
                symbol, text = product_source(dtype, dims, form)
                found[symbol] = text
    return found


# What a product is given in registers, before it is stored.
ENDS: dict[str, Callable[..., lg.Tensor]] = {
    "bias_gelu": lambda p, b, r: F.gelu(p + b),
    "bias_relu": lambda p, b, r: F.relu(p + b),
    "residual": lambda p, b, r: lg.where(r > 0, p + b, r) * r[:, :1],
    "rows": lambda p, b, r: (p.view(-1, 4, p.shape[-1]) * r[:4, :1] - b).view(p.shape),
    "many": lambda p, b, r: sum((r * r[i] for i in range(8)), p * b),
    "tanh_gelu": lambda p, b, r: F.gelu(p + b, "tanh"),
    "twice": lambda p, b, r: (p + b).double() * 0.1,
}
ENDED = (lg.float32, lg.float64, lg.float16, lg.int64, lg.uint8)
GOLDEN_ENDED = "matmul_bias_gelu"
SIZES = {"large": (1536, 64, 1536), "small": (64, 64, 64), "ragged": (68, 65, 67)}


def ended_products(dtypes: Sequence[lg.dtype] = ENDED) -> dict[str, str]:
    """Texts of products that end with something else, by name."""
    found = {}
    for dtype in dtypes:
        for m, k, n in SIZES.values():
            x, w, b, r = (known(*s, dtype=dtype) for s in ((m, k), (k, n), (n,), (m, n)))
            for name, end in ENDS.items():
                if dtype.is_floating_point or "elu" not in name:
                    outputs = [end(x @ w, b, r)]
                    if name == "bias_relu":  # the product is stored as well
                        product = x @ w
                        outputs = [product, end(product, b, r)]
                    found |= generated(*outputs)
        x, w = known(3, 64, 64, dtype=dtype), known(3, 64, 64, dtype=dtype)
        found |= generated((x @ w) * known(64, dtype=dtype))
    return found


def generated(*values: lg.Tensor) -> dict[str, str]:
    """Texts of the matrix products of a program on a GPU; each has an end."""
    look = Look(structure(debug.nodes_of(values)), "cuda")
    steps = [step for step in look.schedule.steps if isinstance(step, MatmulStep)]
    assert all(step.epilogue is not None for step in steps)
    return {name: text.body for name, text in look.code.matmuls.items()}


SCANS = (ops.cumsum, ops.logcumsumexp, ops.argcummax)
ALL_SCANS = (*SCANS, ops.argcummin)
SCANNED = (bool_, uint8, int32, int64, float16, float32, float64)  # others are held like these
AXES = (((100, 1024), 1), ((100, 33), 1), ((4, 5000), 1), ((300, 7), 0))  # one of each form


def routines(scans: Sequence[ops.Op] = SCANS, of: Sequence[lg.dtype] = SCANNED) -> dict[str, str]:
    """Texts of scans and sorts, by name; by default of every kind of register."""
    nodes = [
        op(ops.zeros(shape, dtype, "cpu"), arg=axis)
        for op in scans
        for dtype in of
        for shape, axis in AXES
        if dtype.kind in op.kinds and (dtype.kind != "b" or op is not ops.cumsum)
    ]
    nodes += [ops.argcummin(ops.zeros(shape, float32, "cpu"), arg=axis) for shape, axis in AXES]
    nodes += [
        ops.recurrence(*(ops.zeros(shape, dtype, "cpu") for _ in range(2)), arg=axis)
        for dtype in of
        for shape, axis in AXES
        if dtype.kind == "f"
    ]
    nodes += [ops.argsort(ops.zeros((9,), dtype, "cpu"), arg=(0, False)) for dtype in ALL]
    made = [routine(node) for node in nodes]
    return {one.symbols[0]: one.body for one in made if one is not None}


def attentions() -> dict[str, str]:
    """Texts of attention and its gradient, of the least and greatest widths, by name."""
    found = {}
    for dtype, width in ((float32, 16), (float32, 128), (float64, 64)):
        given = [ops.zeros((2, 9, width), dtype, "cpu") for _ in range(4)]
        for node in (ops.attention(*given[:3], arg=(1.0, True)),
                     ops.attention_grad(*given, arg=(1.0, True))):  # fmt: skip
            made = attention(node, [Operand(s, View.contiguous(s.shape)) for s in node.srcs])
            assert made is not None
            found[made.symbols[0]] = made.body
    return found


def kernels(make: Make, many: bool = False) -> dict[str, tuple[str, str]]:
    """(text, text with lines) of every kernel that a tensor takes, by name; `many`: and of the
    function that runs several instances of one."""
    schedule = make_schedule([node_of(make())])
    made = [render(step.kernels[0]) for step in schedule.steps if isinstance(step, KernelStep)]
    made += [one.together(2) for one in made if one.together is not None and many]
    texts = {one.name: (one.body, one.shown) for one in made}
    for step in schedule.steps:
        if isinstance(step, HostStep) and (found := routine(step.node)) is not None:
            texts[found.symbols[0]] = (found.body, found.body)
    return texts


def text_of(name: str, many: bool = False) -> str:
    return "\n".join(body for body, _ in kernels(CASES[name], many).values())


@pytest.mark.parametrize("name", CASES)
def test_golden_text(name: str) -> None:
    assert text_of(name, name in MANY) == (GOLDEN / f"{name}.cu").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", GOLDEN_PRODUCTS)
def test_golden_text_of_products(name: str) -> None:
    assert products()[name] == (GOLDEN / f"{name}.cu").read_text(encoding="utf-8")


def golden_ended() -> str:
    x, w, b = known(1536, 64), known(64, 1536), known(1536)
    (text,) = generated(F.gelu(x @ w + b)).values()
    return text


def test_golden_text_of_a_product_with_an_end() -> None:
    assert golden_ended() == (GOLDEN / f"{GOLDEN_ENDED}.cu").read_text(encoding="utf-8")


def test_a_new_size_gives_the_same_text() -> None:
    def chain(rows: int) -> set[str]:
        return set(kernels(lambda: lg.softmax(known(rows, 1000) * 2 + known(1000), 1)))

    assert chain(4096) == chain(8192) == chain(5000)
    assert set(kernels(lambda: known(64) + 1)) == set(kernels(lambda: known(640) + 1))


@pytest.mark.parametrize(
    "name", [n for n in CASES if "softmax" in n or n in ("layer_norm", "norm_of_sum")]
)
def test_rows_are_read_once(name: str) -> None:
    """But those of columns, and rows too long for the registers of a block."""
    if name in ("softmax_columns", "softmax_f64") or "long" in name or name.endswith(LAUNCHES):
        return
    assert re.findall(r"\bp0\b(?=[ \[])", text_of(name).split("{", 1)[1]) == ["p0"]


@pytest.mark.parametrize("name", ["softmax_long", "softmax_few", "softmax_tall", "norm_long"])
def test_rows_that_no_registers_hold_are_read_twice(name: str) -> None:
    reads = re.findall(r"v_load<\d>\(p0 |= p0\[", text_of(name))
    assert len(reads) == 2


def test_the_shown_text_names_the_users_lines() -> None:
    ((_, shown),) = kernels(CASES["chain"]).values()
    assert "// tanh at test_cuda_source.py:" in shown


def test_division_by_multiplication() -> None:
    for extent in (1, 2, 3, 7, 10, 641, 1000, 65536, 65537, 2**30 + 1, 2**31 - 1):
        magic = divisor(extent)
        multiplier, shift = magic & 0xFFFFFFFF, magic >> 32
        for n in (0, 1, extent - 1, extent, extent + 1, 12345 * extent - 1, 2**31 - 1):
            n = min(n, 2**31 - 1)
            total = (n * multiplier >> 32) + n
            assert total < 2**32 and total >> shift == n // extent


# -- NVIDIA's compiler ----------------------------------------------------------------------------


def ptxas(source: str, arch: str, folder: Path) -> dict[str, dict[str, int]]:
    """What ptxas says of every kernel, and of every function that is called: bytes of stack and
    spills, and the registers of a kernel."""
    (folder / "unit.cu").write_text(source, encoding="utf-8")
    command = ["nvcc", "-cubin", f"-arch={arch}", "-std=c++17", "-O3", "-fmad=false"]
    command += ["--Werror", "all-warnings", "-Xptxas", "-v,-warn-spills,-warn-lmem-usage"]
    command += ["-o", "unit.cubin", "unit.cu"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
    found: dict[str, dict[str, int]] = {}
    entry = part = ""
    for line in done.stderr.splitlines():
        if name := re.search(r"Compiling entry function '(\w+)'", line):
            entry = name[1]
        elif name := re.search(r"Function properties for (\w+)", line):
            part = name[1]
        elif sizes := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores", line):
            found[part] = {"stack": int(sizes[1]), "spills": int(sizes[2])}
        elif used := re.search(r"Used (\d+) registers", line):
            found[entry]["registers"] = int(used[1])
    return found


def registers(name: str) -> int:
    """What a kernel's thread may use at most."""
    if "attention" in name:
        return ATTENTION_REGISTERS
    return PRODUCT_REGISTERS if "matmul" in name else REGISTERS


def real_nvcc() -> bool:
    """NVIDIA's, not the emulator's."""
    path = shutil.which("nvcc")
    return path is not None and "emulator" not in path


@pytest.mark.skipif(not real_nvcc(), reason="needs NVIDIA's nvcc")
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_kernels_compile_without_warnings_stack_or_spills(arch: str, tmp_path: Path) -> None:
    bodies = {n: body for make in CASES.values() for n, (body, _) in kernels(make, True).items()}
    bodies |= products() | routines() | attentions()
    check(bodies, arch, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not real_nvcc(), reason="needs NVIDIA's nvcc")
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("part", ["scans", "products", "ended products"])
def test_every_dtype_compiles_without_warnings_stack_or_spills(
    part: str, arch: str, tmp_path: Path
) -> None:
    """Dtypes that the test above leaves out, as their registers are those of others."""
    if part == "products":
        check(products(OTHER_PRODUCTS), arch, tmp_path)
    elif part == "ended products":
        check(ended_products(), arch, tmp_path)
    else:
        known = routines()
        every = routines(ALL_SCANS, ALL)
        assert len(every) > len(known)
        check({n: body for n, body in every.items() if n not in known}, arch, tmp_path)


def check(bodies: dict[str, str], arch: str, folder: Path) -> None:
    """One call of the compiler for all of these functions."""
    report = ptxas(translation_unit(list(bodies.values())), arch, folder)
    assert sum("registers" in used for used in report.values()) >= len(bodies)
    for name, used in report.items():
        assert used["spills"] == 0, name
        assert used["stack"] == 0, name
        assert used.get("registers", 0) <= registers(name), (name, used)


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for old in GOLDEN.glob("*.cu"):
        old.unlink()
    for case in CASES:
        (GOLDEN / f"{case}.cu").write_text(text_of(case, case in MANY), encoding="utf-8")
    for product in GOLDEN_PRODUCTS:
        (GOLDEN / f"{product}.cu").write_text(products()[product], encoding="utf-8")
    (GOLDEN / f"{GOLDEN_ENDED}.cu").write_text(golden_ended(), encoding="utf-8")
