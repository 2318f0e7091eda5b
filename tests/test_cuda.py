"""The CUDA backend as a user meets it: devices, memory, errors. On a GPU or the emulated one."""

from __future__ import annotations

import gc
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lazygrad as lg
import lazygrad.nn.functional as F
from lazygrad.bench import device as benchmark
from lazygrad.runtime.cuda import blas, compiler
from lazygrad.runtime.cuda import program as programs
from lazygrad.runtime.cuda.device import Backend
from lazygrad.runtime.cuda.driver import Gpu
from lazygrad.runtime.cuda.graphs import Graph
from lazygrad.runtime.cuda.memory import GpuBuffer
from lazygrad.runtime.cuda.reports import MOST_OPEN
from lazygrad.runtime.device import device
from lazygrad.runtime.stats import stats

if not lg.cuda.is_available():
    pytest.skip("needs a GPU, or `make test-emulated`", allow_module_level=True)
EMULATED = "EMULATOR_RUNNING" in os.environ


@pytest.fixture(scope="module")
def gpu() -> Backend:
    found = device("cuda:0")
    assert isinstance(found, Backend)
    return found


def rows(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


# -- values ---------------------------------------------------------------------------------------
CASES: dict[str, Callable[[lg.Tensor], lg.Tensor]] = {
    "chain": lambda x: (x * 2 + 1).tanh() - x.exp(),
    "bias": lambda x: x + x[0],
    "ragged": lambda x: x.reshape(-1)[:1001] * 3,
    "half": lambda x: (x.half() * x.half()).float(),
    "bfloat16": lambda x: (x.bfloat16().sigmoid() * 2).float(),
    "double": lambda x: x.double().sin(),
    "bool": lambda x: (x > 0) & ~(x < 1),
    "integers": lambda x: (x * 100).int() // 7 % 5,
    "transpose": lambda x: x.t() * 2 + x.t().flip(0),
    "transposed copy": lambda x: x.t().contiguous(),
    "padded": lambda x: F.pad(x, (1, 2, 3, 0)),
    "cat": lambda x: lg.cat([x, x * 2], 1),
    "sum": lambda x: x.sum(),
    "sum of rows": lambda x: x.sum(1),
    "sum of columns": lambda x: x.sum(0),
    "sum of long rows": lambda x: x.repeat(1, 60).sum(1),
    "sum of tall columns": lambda x: x.repeat(60, 1).sum(0),
    "sum of much": lambda x: x.repeat(20, 20).sum(),
    "sum of two axes": lambda x: x.reshape(10, 10, 37).sum((0, 2)),
    "prod": lambda x: (x.abs() + 0.5).prod(1),
    "any": lambda x: (x > 2).any(1),
    "argmax": lambda x: x.argmax(1),
    "argmin of columns": lambda x: x.argmin(0),
    "max with nan": lambda x: lg.where(x > 2, float("nan"), x).max(1).values,
    "softmax": lambda x: lg.softmax(x, 1),
    "softmax of columns": lambda x: lg.softmax(x, 0),
    "layer norm": lambda x: F.layer_norm(x, (37,)),
    "variance": lambda x: x.var(1),
    "logsumexp": lambda x: x.logsumexp(1),
    "product": lambda x: x.t() @ x,
    "batched product": lambda x: x.reshape(10, 10, 37) @ x.reshape(10, 37, 10),
    "integer product": lambda x: (x * 10).long().t() @ (x * 10).long(),
    "convolution": lambda x: F.conv2d(
        x[:64].reshape(1, 1, 64, 37), x[:4, :9].reshape(4, 1, 3, 3), padding=1
    ),
    "gather": lambda x: x[lg.arange(0, 100, 3, device=x.device)],
    "scatter add": lambda x: lg.zeros(5, 37, device=x.device).index_add(
        0, lg.arange(100, device=x.device) % 5, x
    ),
    "cumsum": lambda x: x.cumsum(1),
    "sort": lambda x: x.sort(1).values,
    "topk": lambda x: x.topk(3, 1).values,
    "unique": lambda x: (x * 2).round().unique(),
    "empty": lambda x: x[:0].sum(0),
}


@pytest.mark.parametrize("name", CASES)
def test_same_values_as_on_the_cpu(name: str) -> None:
    x = lg.tensor(rows(100, 37))
    want, got = CASES[name](x), CASES[name](x.cuda())
    assert got.is_cuda and got.dtype is want.dtype and got.shape == want.shape
    np.testing.assert_allclose(got.cpu().numpy(), want.numpy(), rtol=2e-5, atol=2e-5)


def test_gradients_as_on_the_cpu() -> None:
    found = []
    for where in ("cpu", "cuda"):
        x = lg.tensor(rows(20, 30), device=where, requires_grad=True)
        w = lg.tensor(rows(30, 5), device=where, requires_grad=True)
        loss = F.cross_entropy(F.gelu(x @ w), lg.arange(20, device=where) % 5)
        loss.backward()
        found.append([t.cpu().detach().numpy() for t in (loss, x.grad, w.grad)])
    for want, got in zip(*found):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_gradients_cross_devices() -> None:
    x = lg.tensor(rows(4, 5), requires_grad=True)
    (x.cuda() * 3).cpu().sum().backward()
    assert x.grad.device == lg.device("cpu")
    assert x.grad.tolist() == [[3.0] * 5] * 4


def test_random_numbers_have_the_cpus_bits() -> None:
    for make in (lg.rand, lg.randn):
        lg.manual_seed(3)
        want = make(1000).numpy()
        lg.manual_seed(3)
        np.testing.assert_array_equal(make(1000, device="cuda").cpu().numpy(), want)


def test_a_model_trains() -> None:
    lg.manual_seed(0)
    model = lg.nn.Sequential(lg.nn.Linear(8, 16), lg.nn.ReLU(), lg.nn.Linear(16, 3)).cuda()
    assert all(p.is_cuda for p in model.parameters())
    optimizer = lg.optim.Adam(model.parameters(), lr=0.05)
    x, y = lg.tensor(rows(60, 8)).cuda(), lg.arange(60, device="cuda") % 3
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(p.is_cuda and p.grad.is_cuda for p in model.parameters())


# -- devices --------------------------------------------------------------------------------------
def test_where_tensors_are() -> None:
    x = lg.ones(3, device="cuda")
    assert repr(x) == "tensor([1., 1., 1.], device='cuda:0')"
    assert x.get_device() == 0 and x.cuda() is x and not x.cpu().is_cuda
    assert (x + 1).device == lg.device("cuda", 0) == lg.zeros_like(x).device
    assert lg.rand_like(x).is_cuda and lg.tensor([1], device=0).is_cuda
    assert x.to("cpu").to(x).is_cuda and lg.ones(2).to(0).is_cuda
    assert x.clone().is_cuda and x.new_zeros(2).is_cuda and x.half().is_cuda
    assert pickle.loads(pickle.dumps(x)).is_cuda


def test_numbers_and_0d_tensors_of_the_host_go_along() -> None:
    x = lg.ones(3, device="cuda")
    assert (x * lg.tensor(2.0) + 1).tolist() == [3.0, 3.0, 3.0]
    assert (lg.tensor(2.0) - x).is_cuda


MIXED: dict[str, Callable[[lg.Tensor, lg.Tensor], object]] = {
    "add": lambda a, b: a + b,
    "matmul": lambda a, b: a @ b,
    "cat": lambda a, b: lg.cat([a, b]),
    "where": lambda a, b: lg.where(a > 0, a, b),
    "linear": lambda a, b: F.linear(a, b),
}


@pytest.mark.parametrize("name", MIXED)
def test_tensors_of_two_devices_do_not_meet(name: str) -> None:
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        MIXED[name](lg.ones(3, 3), lg.ones(3, 3, device="cuda"))


def test_numpy_does_not_read_a_gpus_memory() -> None:
    x = lg.ones(3, device="cuda")
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        x.numpy()
    assert x.numpy(force=True).tolist() == [1, 1, 1]


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        lg.ones(3, device="cuda:99")


def test_the_default_device() -> None:
    lg.set_default_device("cuda")
    try:
        assert lg.ones(3).is_cuda and lg.randn(3).is_cuda and lg.arange(3).is_cuda
        assert lg.tensor([1.0]).is_cuda and lg.nn.Linear(2, 2).weight.is_cuda
    finally:
        lg.set_default_device(None)
    assert not lg.ones(3).is_cuda


def test_inplace_and_views() -> None:
    x = lg.zeros(4, 5, device="cuda")
    x[1] = 7
    x[:, 2].add_(1)
    x.copy_(x.cpu() * 2)
    other = [0, 0, 2, 0, 0]
    assert x.cpu().tolist() == [other, [14, 14, 16, 14, 14], other, other]


def test_an_index_may_mix_what_the_host_and_the_device_have() -> None:
    x = lg.arange(12.0).reshape(3, 4)
    mask, places = np.array([True, False, True]), lg.tensor([1, 2])
    want = x[mask, places].tolist()
    y = x.cuda()
    assert y[mask, places.cuda()].tolist() == y[mask, places].tolist() == want
    y[mask, places.cuda()] = lg.tensor([7.0, 8.0]).cuda()
    assert y.cpu()[mask, places].tolist() == [7, 8]
    y[lg.arange(12).reshape(3, 4) > 7] = 0
    y[[False, True, False]] = 1
    assert y.cpu()[1:].tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]
    with pytest.raises(IndexError, match="index 3 is out of bounds"):
        y[[3]]  # at the call: the host has it


# -- lazygrad.cuda --------------------------------------------------------------------------------
def test_properties() -> None:
    assert lg.cuda.device_count() >= 1 and lg.cuda.current_device() == 0
    found = lg.cuda.get_device_properties(0)
    assert found.name == lg.cuda.get_device_name() and found.total_memory > 0
    assert (found.major, found.minor) == lg.cuda.get_device_capability()
    assert found.warp_size == 32 and "total_memory" in repr(found)


def test_manual_seed_gives_the_same_numbers_again() -> None:
    found = []
    for seed in (lg.cuda.manual_seed, lg.cuda.manual_seed_all):
        seed(7)
        found.append(lg.randn(5, device="cuda").tolist())
    assert found[0] == found[1] != lg.randn(5, device="cuda").tolist()


def test_memory_is_counted() -> None:
    gc.collect()
    before = lg.cuda.memory_allocated()
    x = lg.ones(1 << 20, device="cuda") + 1
    lg.realize(x)
    assert lg.cuda.memory_allocated() >= before + (4 << 20)
    assert lg.cuda.max_memory_allocated() >= lg.cuda.memory_allocated()
    assert lg.cuda.memory_reserved() >= lg.cuda.memory_allocated()
    del x
    gc.collect()
    assert lg.cuda.memory_allocated() == before
    lg.cuda.empty_cache()
    assert lg.cuda.memory_reserved() >= lg.cuda.memory_allocated()
    free, total = lg.cuda.mem_get_info()
    assert 0 < free <= total


def test_events_and_streams() -> None:
    stream = lg.cuda.current_stream()
    start, stop = (lg.cuda.Event(enable_timing=True) for _ in range(2))
    with lg.cuda.stream(lg.cuda.Stream()):
        start.record()
        lg.realize(lg.ones(1000, device="cuda") + 1)
        stop.record(stream)
    stream.synchronize()
    assert start.elapsed_time(stop) >= 0 and stop.query() and stream.query()
    assert stream == lg.cuda.default_stream() and stream.cuda_stream != 0


def test_several_devices() -> None:
    if lg.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    x, y = lg.ones(3, device="cuda:0"), lg.ones(3, device="cuda:1")
    assert (y + 1).device == lg.device("cuda:1") and (x + y.to(x)).tolist() == [2, 2, 2]
    with pytest.raises(RuntimeError, match="cuda:0 and cuda:1"):
        x + y
    with lg.cuda.device(1):
        assert lg.ones(2, device="cuda").get_device() == 1
    assert lg.ones(2, device="cuda").get_device() == 0


def test_a_second_device_does_what_the_first_does() -> None:
    """Training, scans, sorting, random numbers and errors on cuda:1."""
    if lg.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    found = []
    for where in ("cuda:0", "cuda:1"):
        lg.manual_seed(0)
        model = lg.nn.Linear(8, 3).to(where)
        optimizer = lg.optim.Adam(model.parameters(), lr=0.05)
        x = lg.randn(20, 8, device=where)
        loss = F.cross_entropy(model(x), lg.arange(20, device=where) % 3)
        loss.backward()
        optimizer.step()
        made = [loss, *model.parameters(), x.cumsum(1), x.argsort(0), lg.softmax(x, 1)]
        assert all(t.device == lg.device(where) for t in made)
        found.append([t.detach().cpu().numpy() for t in made])
        with pytest.raises(IndexError, match="index 99 is out of bounds"):
            x[lg.tensor([99], device=where) * 1].tolist()
    for one, other in zip(*found):
        np.testing.assert_array_equal(one, other)


# -- errors ---------------------------------------------------------------------------------------
def test_an_index_out_of_range_names_the_line() -> None:
    x, index = lg.ones(5, 3, device="cuda"), lg.tensor([0, 7], device="cuda")
    picked = x[index * 1]
    with pytest.raises(IndexError, match=r"index 7 is out of bounds.*test_cuda.py"):
        picked.tolist()
    assert (x + 1).sum().item() == 30  # the device goes on


def test_a_wrong_number_is_not_seen_and_other_values_are() -> None:
    """The error comes when something is read, as often as that depends on it."""
    x, index = lg.ones(5, 3, device="cuda"), lg.tensor([0, 7], device="cuda")
    other = (x + 1).realize()
    picked = x[index * 1].realize()  # nothing is waited for
    made = picked * 2
    for wrong in (made, picked, made.sum(), picked[0, 0] + other):
        for _ in range(2):
            with pytest.raises(IndexError, match=r"index 7 is out of bounds.*test_cuda.py"):
                wrong.tolist()
    assert other.sum().item() == 30  # it has been said
    lg.cuda.synchronize()
    assert (x * 3).sum().item() == 45


def test_an_error_that_nothing_depends_on_is_said_once() -> None:
    x = lg.ones(5, device="cuda")
    for wait in (lg.cuda.synchronize, (x + 1).realize().tolist, lambda: (x + 2).tolist()):
        x[lg.tensor([9], device="cuda") * 1].realize()
        with pytest.raises(IndexError, match="index 9 is out of bounds"):
            wait()
        lg.cuda.synchronize()
        assert (x + 1).tolist() == [2] * 5


def trained(jit: bool) -> Callable[[lg.Tensor], None]:
    """A step that trains an embedding on words."""
    lg.manual_seed(0)
    model = lg.nn.Sequential(lg.nn.Embedding(20, 8), lg.nn.Linear(8, 5)).to("cuda")
    optimizer = lg.optim.SGD(model.parameters(), lr=0.1)
    target = lg.arange(6, device="cuda") % 5

    def step(words: lg.Tensor) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(words), target).backward()
        optimizer.step()

    return lg.jit(step) if jit else step


@pytest.mark.parametrize("jit", [False, True])
def test_steps_that_may_report_errors_are_not_waited_for(
    jit: bool, gpu: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = trained(jit)
    words = lg.arange(6, device="cuda")
    for _ in range(5):
        step(words)
    gpu.synchronize()
    waits = []
    monkeypatch.setattr(Gpu, "synchronize", lambda self: waits.append(self))
    monkeypatch.setattr(GpuBuffer, "fetched", lambda *rest: waits.append(rest))
    for _ in range(20):
        step(words)
    assert not waits
    monkeypatch.undo()
    error = r"index out of range in self \(recorded at test_cuda.py"
    with pytest.raises(IndexError, match=error):
        step(words + 20)
        step(words)  # here if it is known by now
        lg.cuda.synchronize()


def test_reports_on_their_way_are_few(gpu: Backend) -> None:
    x, index = lg.ones(5, device="cuda"), lg.tensor([1], device="cuda")
    for _ in range(3 * MOST_OPEN):
        x[index * 1].realize()
        assert len(gpu.pool.reports._open) <= MOST_OPEN
    gpu.synchronize()
    assert len(gpu.pool.reports._free[2]) <= MOST_OPEN


def test_out_of_memory_names_the_largest(gpu: Backend) -> None:
    kept = lg.ones(1 << 20, device="cuda") * 2
    lg.realize(kept)
    with pytest.raises(lg.cuda.OutOfMemoryError, match="CUDA out of memory") as error:
        gpu.allocate(1 << 50)
    assert "4.00 MiB  mul[1048576] test_cuda.py" in str(error.value)
    assert kept[0].item() == 2
    gc.collect()
    before = gpu.pool.in_use
    with pytest.raises(lg.cuda.OutOfMemoryError):
        gpu.allocate(1 << 50)
    assert gpu.pool.in_use == before


def test_memory_that_is_held_is_given_back_before_memory_runs_out(
    gpu: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver refuses once, then has what the pool had kept."""
    pool, asked = gpu.pool, []
    gpu.allocate(1 << 20)  # kept from here on
    real = type(pool).new

    def refusing(self: object, size: int) -> object:
        asked.append(pool.held)
        if len(asked) == 1:
            raise MemoryError("out of memory")
        return real(pool, size)

    monkeypatch.setattr(type(pool), "new", refusing)
    made = gpu.allocate(3 << 20)
    assert made.nbytes == 3 << 20 and len(asked) == 2 and asked[1] == 0
    assert pool.held == 0


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_after_a_fork() -> None:
    code = """
import os, sys, lazygrad as lg
x = lg.ones(3, device="cuda")
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
    print(x.sum().item())
else:
    try: x.cpu().tolist()
    except RuntimeError as error: print(error, flush=True)
    os._exit(0)
"""
    done = run(code)
    assert "you must use the 'spawn' start method\n3.0" in done.stdout, done.stderr


def test_the_process_ends_well_with_live_tensors() -> None:
    done = run("import lazygrad as lg; x = lg.ones(3, device='cuda') + 1; print(x.tolist())")
    assert done.returncode == 0 and done.stdout == "[2.0, 2.0, 2.0]\n" and not done.stderr


def test_without_nvcc(tmp_path: Path) -> None:
    code = "import lazygrad as lg; (lg.ones(3, device='cuda') + 1).tolist()"
    done = run(code, PATH=str(tmp_path), LAZYGRAD_CACHE_DIR=str(tmp_path), CUDA_HOME="")
    if Path("/usr/local/cuda/bin/nvcc").exists():
        pytest.skip("there is an nvcc in the usual place")
    assert "no nvcc was found" in done.stderr and "lazygrad doctor" in done.stderr


@pytest.mark.skipif(not EMULATED, reason="a kernel that the emulator ends")
def test_an_illegal_access_names_kernel_and_line() -> None:
    code = """
import lazygrad as lg
from lazygrad.ir.node import Node
x = lg.ones(1000, device="cuda") + 1
lg.realize(x)
x._storage.node.buffer.address = 4096
y = x * 3
y.tolist()
"""
    done = run(code)
    (line,) = [s for s in done.stderr.splitlines() if s.startswith("RuntimeError: CUDA error:")]
    assert "an illegal memory access" in line and "lg_mul" in line and "(<string>:7)" in line


def test_what_compiled_code_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its text, nvcc's version, the architecture and the flags: each makes another key."""
    keys: list[str] = []

    def found(key: str, *rest: str) -> Path:
        keys.append(key)
        return Path("there")

    monkeypatch.setattr(compiler.cache, "find", found)
    compiler.build("text", [], 90)
    compiler.build("text", [], 90)
    compiler.build("other text", [], 90)
    compiler.build("text", [], 80)
    with monkeypatch.context() as changed:
        changed.setattr(compiler, "version", lambda path: "another version")
        compiler.build("text", [], 90)
    with monkeypatch.context() as changed:
        changed.setattr(compiler, "FLAGS", (*compiler.FLAGS, "-G"))
        compiler.build("text", [], 90)
    assert keys[0] == keys[1] and len(set(keys)) == 5


@pytest.mark.parametrize("name", [blas.CUBLAS, blas.CUBLASLT])
def test_where_cublas_is_looked_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Python's packages, then in the toolkit, then where the loader looks."""
    package, toolkit = tmp_path / "site", tmp_path / "toolkit"
    for folder in (package / "nvidia" / "cublas" / "lib", toolkit / "lib64"):
        folder.mkdir(parents=True)
        (folder / f"{name}.12").write_bytes(b"")
    monkeypatch.setattr(sys, "path", [str(package)])
    monkeypatch.setenv("CUDA_HOME", str(toolkit))
    monkeypatch.delenv("CUDA_PATH", raising=False)
    found = blas.candidates(name)
    first, second, *rest = found
    assert first == str(package / "nvidia" / "cublas" / "lib" / f"{name}.12")
    assert second == str(toolkit / "lib64" / f"{name}.12")
    assert rest[-3:] == [f"{name}.13", f"{name}.12", name]
    monkeypatch.setattr(blas, "candidates", lambda name: [first, str(tmp_path / "none")])
    assert blas.load(name) is None  # a file that is no library is passed over


@pytest.mark.skipif(not EMULATED, reason="uses the emulator's nvcc")
def test_an_nvcc_that_does_not_know_the_gpu(tmp_path: Path, monkeypatch: object) -> None:
    fake = tmp_path / "nvcc"
    fake.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "  *--list-gpu-arch*) echo compute_75; echo compute_80;;\n"
        "  *--version*) echo release 1;;\n"
        '  *compute_80*) while [ $# -gt 1 ]; do [ "$1" = -o ] && echo ptx > "$2"; shift; done;;\n'
        "  *) echo \"nvcc fatal: Unsupported gpu architecture 'sm_90'\" >&2; exit 1;;\n"
        "esac\n"
    )
    fake.chmod(0o755)
    monkeypatch.setattr(compiler, "required", lambda: str(fake))  # type: ignore[attr-defined]
    path = compiler.build("text", [], 90)
    assert path.endswith("unit.ptx") and Path(path).read_text() == "ptx\n"


# -- what a program costs -------------------------------------------------------------------------
def test_the_same_program_is_compiled_once() -> None:
    def step(rows_: int) -> float:
        x = lg.ones(rows_, 40, device="cuda")
        return float((x.exp() / 7).softmax(1).sum().item())

    step(640)
    compiles = stats.compiles
    step(1280)
    step(960)
    assert stats.compiles == compiles


def test_fused_and_unfused_have_the_same_bits() -> None:
    x = lg.tensor(rows(50, 1000)).cuda()
    fused = ((x * 3).exp() + 1).half().float().sum(1)
    parts = x
    for step in (lambda t: t * 3, lg.exp, lambda t: t + 1, lg.Tensor.half, lg.Tensor.float):
        parts = step(parts)
        lg.realize(parts)
    assert fused.tolist() == parts.sum(1).tolist()


class Driver:
    """Counts what is put into a stream by `program.issue`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.launches = 0
        issue = programs.issue

        def counted(launch: object, calls: list[object], *rest: object) -> None:
            self.launches += len(calls)
            issue(launch, calls, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(programs, "issue", counted)


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
def test_an_optimizer_step_is_one_launch(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all parameters, as it is one kernel on the CPU."""
    found = []
    for where in ("cpu", "cuda"):
        values = [rows(n, 8) for n in (1, 3, 40, 130)] + [rows(n, 4)[0] for n in (1, 1)]
        parameters = [lg.nn.Parameter(lg.tensor(v).to(where)) for v in values]
        lg.realize(*parameters)
        options = {"momentum": 0.9} if kind == "SGD" else {}
        optimizer = getattr(lg.optim, kind)(parameters, lr=0.1, **options)
        counts = []
        for step in range(3):
            for p in parameters:
                p.grad = p.detach() * 0.5 + step
            lg.realize(*(p.grad for p in parameters))
            driver, kernels = Driver(monkeypatch), stats.kernels
            optimizer.step()
            lg.realize(*parameters, *state_of(optimizer))
            counts.append(stats.kernels - kernels)
            if where == "cuda":
                assert driver.launches == counts[-1]
            monkeypatch.undo()
        # the first step makes the state too; the host may have no compiler
        assert where == "cpu" or counts[1:] == [1, 1]
        found.append([p.detach().cpu().numpy() for p in parameters])
    for want, got in zip(*found):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def state_of(optimizer: lg.optim.Optimizer) -> list[lg.Tensor]:
    states = optimizer.state.values()
    return [v for state in states for v in state.values() if isinstance(v, lg.Tensor)]


def test_more_instances_than_fit_into_a_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """32 and 256 where arguments may be many bytes; older toolkits and drivers: all that fit."""
    tensors = [lg.tensor(np.float32([n, 1])).cuda() for n in range(300)]
    lg.realize(*tensors)
    for limit, sign, count, launches in (
        (32764, 1, 70, 1),
        (32764, 1, 300, 2),
        (4096, -1, 70, 1),
        (4096, -1, 300, 4),
    ):
        monkeypatch.setitem(device("cuda:0").__dict__, "argument_bytes", limit)
        made = [t * 2 + count if sign > 0 else t * 2 - count for t in tensors[:count]]
        driver = Driver(monkeypatch)
        lg.realize(*made)
        assert driver.launches == launches
        wanted = [[2 * n + sign * count, 2 + sign * count] for n in range(count)]
        assert [m.cpu().tolist() for m in made] == wanted


def test_a_captured_graph_runs_again_and_takes_new_addresses(gpu: Backend) -> None:
    tensors = [lg.full((1000,), float(n), device="cuda") * 2 for n in range(4)]
    lg.realize(*tensors)
    a, b, c, d = (t._storage.node.buffer for t in tensors)
    graph = Graph(gpu.gpu)
    with gpu.gpu.active():
        for target, source in ((a, b), (c, d)):
            with graph.captured() as stream:
                gpu.gpu.drv.memcpy_dtod_async(target.address, source.address, 4000, stream)
            assert graph.nodes == 1
            graph.launch()
    assert [t[999].item() for t in tensors] == [2, 2, 6, 6]


def test_a_recorded_step_is_one_graph() -> None:
    found = []
    for where in ("cpu", "cuda"):
        lg.manual_seed(0)
        model = lg.nn.Sequential(lg.nn.Linear(8, 16), lg.nn.ReLU(), lg.nn.Linear(16, 3)).to(where)
        optimizer = lg.optim.Adam(model.parameters(), lr=0.05)

        @lg.jit
        def step(x: lg.Tensor, y: lg.Tensor, model=model, optimizer=optimizer) -> lg.Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        x, y = lg.tensor(rows(60, 8)).to(where), lg.arange(60, device=where) % 3
        lg.realize(x, y)
        losses = []
        for _ in range(12):
            stats.reset()
            losses.append(step(x, y).item())
        found.append(losses)
        assert where == "cpu" or step.replays >= 8
    assert (stats.captures, stats.graph_launches) == (0, 1)  # of the last step
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)


def test_a_replay_reads_new_memory_new_numbers_and_reports_errors() -> None:
    table = lg.arange(10.0, device="cuda").reshape(5, 2)

    @lg.jit
    def scaled(index: lg.Tensor, factor: float) -> lg.Tensor:
        return table[index * 1] * factor

    kept = []
    for number in range(12):  # every call has memory of its own: more sets than graphs are kept
        index = lg.tensor([number % 5, 1], device="cuda")
        kept.append((index, scaled(index, number / 2)))
    assert scaled.replays >= 10
    for number, (_, out) in enumerate(kept):
        row = number % 5 * 2
        want = [[row * number / 2, (row + 1) * number / 2], [number, 3 * number / 2]]
        assert out.tolist() == want
    with pytest.raises(IndexError, match=r"index 7 is out of bounds.*test_cuda.py"):
        scaled(lg.tensor([7, 0], device="cuda"), 1.0).tolist()
    assert scaled(lg.tensor([4, 0], device="cuda"), 1.0).tolist() == [[8, 9], [0, 1]]


def test_a_step_that_moves_values_between_devices_is_not_replayed() -> None:
    @lg.jit
    def step(x: lg.Tensor) -> lg.Tensor:
        return x.cuda() * 2

    with pytest.warns(UserWarning, match="it moves values from one device to another"):
        for _ in range(6):
            assert step(lg.ones(3)).tolist() == [2, 2, 2]


@pytest.mark.skipif(not EMULATED, reason="counts what the driver was asked")
def test_a_replay_asks_the_driver_once() -> None:
    import emulator

    driver = emulator.Driver()

    @lg.jit
    def chain(x: lg.Tensor) -> lg.Tensor:
        return (x.softmax(1) @ x.t()).sum(0).softmax(0)

    x = lg.tensor(rows(30, 40)).cuda()
    lg.realize(x)
    for _ in range(4):
        lg.realize(chain(x))
    names = ("launches", "graph_launches", "instantiated")
    before = [driver.get(name) for name in names]
    out = chain(x)
    assert [driver.get(name) - b for name, b in zip(names, before)] == [0, 1, 0]
    np.testing.assert_allclose(out.tolist(), chain.__wrapped__(x).tolist(), rtol=1e-6)


@pytest.mark.skipif(not EMULATED, reason="`make test-gpu` runs it at full size")
def test_the_benchmark_runs_on_what_is_installed(tmp_path: Path) -> None:
    for name in ("click", "rich", "cffi"):  # a bare machine has none of these
        (tmp_path / f"{name}.py").write_text("raise ImportError")
    command = [sys.executable, "-m", "lazygrad", "bench", "--device", "cuda", "--elements", "3e4"]
    command += ["--rounds", "1", "-w", "chain", "-w", "matmul", "-p", "lazygrad"]
    command += ["--out", str(tmp_path / "record.json")]
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parent.parent)])
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "correct: 4 of 4" in done.stdout and "limits: copy" in done.stdout
    record = json.loads((tmp_path / "record.json").read_text())
    assert all(value > 0 for value in record["limits"].values())
    table = benchmark.rows_of(record)
    assert [row[0][:5] for row in table[1:]] == ["tanh(", "128^3"]
    assert "GB/s" in table[1][3] and "TFLOP/s" in table[2][3] and table[1][4] != "-"
    wrong = {**record, "checks": [{**record["checks"][0], "error": 0.5}]}
    assert "WRONG chain, lazygrad: relative error 5.0e-01" in benchmark.text_of(wrong)
