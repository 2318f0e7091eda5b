"""`lazygrad doctor`: is everything there that compiled kernels need, and what to do if not.

Owns: the checks, each a function that gives findings. Must not know: how programs are made, beyond
running a small one. What is missing without harm (a GPU, pycuda) is a note, not a problem.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import multiprocessing
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lazygrad.cli.output import console, print_json, table
from lazygrad.config import config
from lazygrad.ir.printer import size_text
from lazygrad.runtime import cache, compiler

OK, NOTE, PROBLEM = "ok", "note", "problem"
_STYLE = {OK: "green", NOTE: "yellow", PROBLEM: "bold red"}
_LIBRARIES = ("numpy", "cffi", "jinja2", "networkx", "click", "rich")
_SHOWN_FEATURES = ("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "asimd")
_PROBE = "int lg_probe(int x) { return x + 1; }\n"
_TIMEOUT = 60


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `remedy` says what to do where it is a problem."""

    name: str
    status: str
    detail: str
    remedy: str = ""


def versions() -> Iterator[Finding]:
    """Python and the libraries that lazygrad is made with."""
    supported = sys.version_info >= (3, 11)
    yield Finding(
        "python",
        OK if supported else PROBLEM,
        f"{platform.python_version()} at {sys.executable}",
        "" if supported else "use Python 3.11 or newer",
    )
    for name in _LIBRARIES:
        try:
            importlib.import_module(name)
            yield Finding(name, OK, importlib.metadata.version(name))
        except Exception as failure:  # a broken installation raises anything
            yield Finding(name, PROBLEM, f"cannot be imported: {failure}", f"pip install {name}")


def c_compiler() -> Iterator[Finding]:
    """The compiler, its flags, and whether it makes a library that can be opened."""
    found = compiler.compiler()
    if found is None:
        yield Finding(
            "compiler",
            PROBLEM,
            f"none of {', '.join(compiler.candidates())} was found in PATH",
            "install gcc or clang, or set CC to a compiler's path; until then everything runs on "
            "the numpy interpreter",
        )
        return
    yield Finding("compiler", OK, f"{found.path}: {compiler.version(found)}")
    if config.cc and shutil.which(config.cc) != found.path:
        yield Finding("compiler", NOTE, f"LAZYGRAD_CC={config.cc} was not found")
    yield Finding("flags", OK, " ".join((*compiler.FLAGS, *found.march)))
    yield _probe(found)


def _probe(found: compiler.Compiler) -> Finding:
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="lazygrad-doctor-") as folder:
        source, target = Path(folder, "probe.c"), Path(folder, "probe.so")
        source.write_text(_PROBE, encoding="utf-8")
        command = [found.path, *compiler.FLAGS, *found.march, str(source), "-o", str(target)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_TIMEOUT
            )
        except (OSError, subprocess.TimeoutExpired) as failure:
            return Finding("probe", PROBLEM, f"{found.path}: {failure}", "set CC to another one")
        if done.returncode:
            words = " ".join(done.stderr.split())[:300]
            return Finding(
                "probe",
                PROBLEM,
                f"a one-line program fails: {words}",
                "reinstall the compiler, or set CC to another one",
            )
        milliseconds = 1000 * (time.perf_counter() - start)
    return Finding("probe", OK, f"a one-line program compiles in {milliseconds:.0f} ms")


def cpu() -> Iterator[Finding]:
    """The CPU's features and the vectors that they mean."""
    features = [f for f in _SHOWN_FEATURES if f in compiler.cpu_features()]
    width = compiler.target().vector_bytes
    forced = " (LAZYGRAD_VECTOR_BYTES)" if config.vector_bytes else ""
    yield Finding("cpu", OK, f"{_cpu_name()}: {' '.join(features) or 'no known vector features'}")
    yield Finding("vectors", OK, f"{width} bytes{forced}: {width // 4} float32 at a time")


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def threads() -> Iterator[Finding]:
    """How many threads kernels use, and whether the process may use as many CPUs."""
    count, limit = compiler.available_threads(), _cpu_limit()
    detail = f"{count} for kernels, {os.cpu_count()} CPUs in the machine"
    if limit is not None and limit < count:
        yield Finding(
            "threads",
            NOTE,
            f"{detail}, of which this container may use {limit:g}: "
            f"set LAZYGRAD_NUM_THREADS={max(1, int(limit))}",
        )
    else:
        yield Finding("threads", OK, detail)


def _cpu_limit() -> float | None:
    """CPUs that the control group allows."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def cache_folder() -> Iterator[Finding]:
    """The folder of the disk cache: there, ours, writable, and libraries can be opened in it."""
    folder = cache.root()
    elsewhere = "set LAZYGRAD_CACHE_DIR to a folder that you own"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.stat()
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder):
            pass
    except OSError as failure:
        yield Finding("cache", PROBLEM, f"{folder} cannot be written to: {failure}", elsewhere)
        return
    entries = cache.entries()
    size = size_text(sum(e.nbytes for e in entries))
    free = size_text(shutil.disk_usage(folder).free)
    mode = stat.filemode(found.st_mode)
    detail = f"{folder} ({mode}): {len(entries)} entries, {size}; {free} free"
    if hasattr(os, "getuid") and found.st_uid not in (os.getuid(), 0):
        yield Finding("cache", PROBLEM, f"{detail}; belongs to user {found.st_uid}", elsewhere)
    elif found.st_mode & 0o002:
        yield Finding(
            "cache",
            PROBLEM,
            f"{detail}; anyone may write to it, and so change what you run",
            f"chmod go-w {folder}",
        )
    elif _is_noexec(folder):
        yield Finding(
            "cache",
            PROBLEM,
            f"{detail}; mounted noexec, so nothing compiled can be opened there",
            "set LAZYGRAD_CACHE_DIR to a folder on another file system",
        )
    else:
        yield Finding("cache", OK, detail)


def _is_noexec(folder: Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0))


def gpu() -> Iterator[Finding]:
    """What there is of CUDA; nothing of it is needed, so what is missing is a note."""
    from lazygrad.runtime.cuda import blas
    from lazygrad.runtime.cuda import compiler as nvcc

    there = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
    yield Finding("gpu", OK if there else NOTE, "NVIDIA driver found" if there else "none found")
    if importlib.util.find_spec("pycuda") is None:
        yield Finding("pycuda", NOTE, "not installed: pip install lazygrad[cuda] (docs/cuda.md)")
    else:
        yield Finding("pycuda", OK, importlib.metadata.version("pycuda"))
        yield _device()
    path = nvcc.find()
    if path is None:
        yield Finding("nvcc", NOTE, f"not found (tried {', '.join(nvcc.candidates())})")
    else:
        yield Finding("nvcc", OK, _nvcc_version(path))
    if path is not None and Path(path).read_bytes()[:2] == b"#!":
        detail = "is a script: building pycuda takes the folder above it for the toolkit's"
        yield Finding("nvcc script", NOTE, f"{path} {detail}; put the toolkit's bin before in PATH")
    found = blas.load()
    words = "found" if found is not None else "not found: matrix products are generated"
    yield Finding("cublas", OK if found is not None else NOTE, words)
    if found is not None:
        beside = blas.load(blas.CUBLASLT)
        words = "found" if beside is not None else "not found: a bias and relu are kernels"
        yield Finding("cublaslt", OK if beside is not None else NOTE, words)
    if _device_count():
        yield _gpu_program()
        yield _processes()


def _device_count() -> int:
    if importlib.util.find_spec("pycuda") is None:
        return 0
    from lazygrad.runtime.cuda.driver import device_count

    return device_count()


def _gpu_program() -> Finding:
    """One program on the first GPU: what fails is said in the words that a user would see."""
    from lazygrad.runtime.compiler import CompileError
    from lazygrad.runtime.memory import OutOfMemoryError
    from lazygrad.tensor.cuda import mem_get_info

    start = time.perf_counter()
    try:
        good = _run_small_program("cuda:0")
        free, total = mem_get_info(0)
    except CompileError as failure:
        remedy = "set LAZYGRAD_NVCC to the nvcc of a toolkit, CUDA 12 or 13"
        return Finding("gpu program", PROBLEM, f"a small program fails: {failure}", remedy)
    except OutOfMemoryError as failure:
        remedy = "nvidia-smi lists the processes that hold the GPU's memory"
        return Finding("gpu program", PROBLEM, f"a small program fails: {failure}", remedy)
    except RuntimeError as failure:
        remedy = "CUDA_LAUNCH_BLOCKING=1 makes an error name its kernel; please report it"
        return Finding("gpu program", PROBLEM, f"a small program fails: {failure}", remedy)
    if not good:
        words = "a small program gives wrong results"
        return Finding("gpu program", PROBLEM, words, "please report it")
    milliseconds = 1000 * (time.perf_counter() - start)
    left = f"{size_text(free)} of {size_text(total)} of the GPU's memory are free"
    return Finding("gpu program", OK, f"is right, after {milliseconds:.0f} ms; {left}")


def _processes() -> Finding:
    """How multiprocessing starts processes: after a fork a GPU cannot be used."""
    method = multiprocessing.get_start_method()
    if method != "fork":
        return Finding("processes", OK, f"multiprocessing starts them by {method}")
    detail = "multiprocessing forks, and a GPU cannot be used after a fork: for work on a GPU call "
    return Finding("processes", NOTE, f"{detail}multiprocessing.set_start_method('spawn')")


def _device() -> Finding:
    """Whether a GPU can be opened, and compiled for."""
    from lazygrad.runtime.cuda import compiler as nvcc
    from lazygrad.runtime.cuda.driver import driver

    try:
        drv = driver()
        first = drv.Device(0)
        arch = 10 * first.compute_capability()[0] + first.compute_capability()[1]
    except (AssertionError, RuntimeError) as failure:
        return Finding("cuda", NOTE, str(failure))
    detail = f"{drv.Device.count()} device(s), the first {first.name()} (sm_{arch})"
    path = nvcc.find()
    known = nvcc.architectures(path) if path else []
    if known and arch not in known:
        return Finding("cuda", NOTE, f"{detail}, which nvcc does not know: PTX is used instead")
    return Finding("cuda", OK, detail)


def _nvcc_version(path: str) -> str:
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, check=False, timeout=_TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        return f"{path}: {failure}"
    lines = [line for line in done.stdout.splitlines() if "release" in line]
    return f"{path}: {lines[0].strip() if lines else 'unknown version'}"


def settings() -> Iterator[Finding]:
    """Settings that change what runs."""
    if config.backend == "interp":
        yield Finding("backend", NOTE, "LAZYGRAD_BACKEND=interp: nothing is compiled")
    if config.validate:
        yield Finding("validate", NOTE, "LAZYGRAD_VALIDATE is set: every program runs twice")


def small_program() -> Iterator[Finding]:
    """One program through the whole pipeline, compared with numpy."""
    if compiler.compiler() is None or config.backend == "interp":
        yield Finding("pipeline", NOTE, "not tried: programs run on the numpy interpreter")
        return
    start = time.perf_counter()
    try:
        good = _run_small_program("cpu")
    except Exception as failure:  # whatever it is, it is what the user would see
        yield Finding(
            "pipeline",
            PROBLEM,
            f"a small program fails: {failure}",
            "LAZYGRAD_BACKEND=interp works around it; please report it",
        )
        return
    milliseconds = 1000 * (time.perf_counter() - start)
    if good:
        yield Finding("pipeline", OK, f"a small program is right, after {milliseconds:.0f} ms")
    else:
        yield Finding(
            "pipeline",
            PROBLEM,
            "a small program gives wrong results",
            "LAZYGRAD_BACKEND=interp works around it; please report it",
        )


def _run_small_program(where: str) -> bool:
    import numpy as np

    from lazygrad.ir import ops
    from lazygrad.ir.dtypes import float32
    from lazygrad.realize import read, realize_nodes
    from lazygrad.runtime.device import from_array

    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    leaf = ops.buffer_leaf(from_array(values, where), (4, 6), float32, where)
    total = ops.sum_(ops.mul(leaf, leaf), arg=(1,))
    realize_nodes([total])
    return bool(np.allclose(read(total), (values**2).sum(1, keepdims=True)))


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    versions,
    c_compiler,
    cpu,
    threads,
    cache_folder,
    small_program,
    gpu,
    settings,
)


def run_doctor(as_json: bool) -> int:
    """Run all checks and print what they found. Returns the exit code: 1 for any problem."""
    findings = [finding for check in CHECKS for finding in check()]
    problems = [f for f in findings if f.status == PROBLEM]
    if as_json:
        record: dict[str, Any] = {"ok": not problems, "checks": [asdict(f) for f in findings]}
        print_json(record)
    else:
        _print(findings, problems)
    return 1 if problems else 0


def _print(findings: list[Finding], problems: list[Finding]) -> None:
    from rich.markup import escape

    shown = table("", "", "")
    for finding in findings:
        status = f"[{_STYLE[finding.status]}]{finding.status}[/]"
        shown.add_row(status, finding.name, escape(finding.detail))
        if finding.remedy:
            shown.add_row("", "", escape(f"-> {finding.remedy}"))
    screen = console()
    screen.print(shown)
    if problems:
        screen.print(f"{len(problems)} problem{'s' * (len(problems) > 1)}: see the arrows above")
    else:
        screen.print("all is well")
