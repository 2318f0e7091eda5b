"""What `lazygrad doctor` says of a GPU, and of each thing that can be wrong with one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

if "EMULATOR_RUNNING" not in os.environ:
    pytest.skip("breaks what only `make test-emulated` can break", allow_module_level=True)

import emulator


def doctor(folder: Path, before: str = "", **environment: str) -> dict[str, tuple[str, str, str]]:
    """(status, detail, remedy) by name, in a process with these variables and an empty cache that
    first runs `before`."""
    code = f"{before}\nfrom lazygrad.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code, "doctor", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "LAZYGRAD_CACHE_DIR": str(folder / "cache"), **environment},
        check=False,
    )
    assert done.stdout, done.stderr
    record = json.loads(done.stdout)
    assert record["ok"] == (done.returncode == 0)
    return {one["name"]: (one["status"], one["detail"], one["remedy"]) for one in record["checks"]}


def nvcc(folder: Path, *lines: str) -> str:
    """An nvcc: a shell script before the emulator's own."""
    script = folder / "nvcc"
    script.write_text("\n".join(["#!/bin/bash", *lines, f'exec {emulator.NVCC} "$@"', ""]))
    script.chmod(0o755)
    return str(script)


def test_a_gpu_in_order(tmp_path: Path) -> None:
    found = doctor(tmp_path)
    assert found["cuda"][:2] == ("ok", "2 device(s), the first Emulated GPU (on the CPU) (sm_90)")
    assert found["cublas"][0] == found["cublaslt"][0] == found["nvcc"][0] == "ok"
    status, detail, _ = found["gpu program"]
    assert status == "ok" and detail.startswith("is right, after") and "memory are free" in detail
    status, detail, _ = found["processes"]
    assert status == "ok" or ("cannot be used after a fork" in detail and "spawn" in detail)


def test_no_driver(tmp_path: Path) -> None:
    status, detail, _ = (found := doctor(tmp_path, LD_LIBRARY_PATH=""))["cuda"]
    if status == "ok":
        pytest.skip("there is a driver in the usual place")
    assert status == "note" and detail.startswith("Found no NVIDIA driver on your system")
    assert "gpu program" not in found


def test_no_nvcc(tmp_path: Path) -> None:
    nowhere = "from lazygrad.runtime.cuda import compiler; compiler.candidates = lambda: ['a/nvcc']"
    found = doctor(tmp_path, nowhere)
    assert found["nvcc"][:2] == ("note", "not found (tried a/nvcc)")
    status, detail, remedy = found["gpu program"]
    assert status == "problem" and "no nvcc was found" in detail and "LAZYGRAD_NVCC" in remedy


def test_an_nvcc_that_does_not_know_the_gpu(tmp_path: Path) -> None:
    """PTX of the nearest older architecture is used: the program is right all the same."""
    asked = tmp_path / "asked"
    path = nvcc(
        tmp_path,
        'case "$*" in',
        "  *--list-gpu-arch*) echo compute_75; echo compute_80; exit;;",
        "  *-arch=sm_90*) echo \"nvcc fatal: Unsupported gpu architecture 'sm_90'\" >&2; exit 1;;",
        f'  *-arch=*) echo "$*" >> {asked};;',
        "esac",
    )
    found = doctor(tmp_path, LAZYGRAD_NVCC=path)
    assert found["cuda"][1].endswith("which nvcc does not know: PTX is used instead")
    assert found["gpu program"][0] == "ok"
    assert asked.read_text().startswith("-ptx -arch=compute_80 ")


def test_an_nvcc_that_is_a_script_is_named(tmp_path: Path) -> None:
    """Building pycuda takes the folder above it for the toolkit's."""
    path = nvcc(tmp_path)
    status, detail, _ = doctor(tmp_path, LAZYGRAD_NVCC=path)["nvcc script"]
    assert status == "note" and path in detail and "put the toolkit's bin before" in detail


def test_without_cublas_products_are_generated(tmp_path: Path) -> None:
    replaced = "from lazygrad.runtime.cuda import blas; blas.candidates = lambda name=blas.CUBLAS: "
    found = doctor(tmp_path, replaced + "['none.so']")
    assert found["cublas"][:2] == ("note", "not found: matrix products are generated")
    assert "cublaslt" not in found
    found = doctor(tmp_path, replaced + "[name + '.13'] if name == blas.CUBLAS else []")
    assert found["cublas"][0] == "ok"
    assert found["cublaslt"][:2] == ("note", "not found: a bias and relu are kernels")


def test_an_nvcc_that_fails(tmp_path: Path) -> None:
    path = nvcc(tmp_path, 'case "$*" in *-cubin*) echo no licence >&2; exit 3;; esac')
    status, detail, remedy = doctor(tmp_path, LAZYGRAD_NVCC=path)["gpu program"]
    assert status == "problem" and "failed with code 3:\nno licence" in detail
    assert "LAZYGRAD_NVCC" in remedy


def test_no_memory(tmp_path: Path) -> None:
    status, detail, remedy = doctor(tmp_path, EMULATOR_MEMORY="64")["gpu program"]
    assert status == "problem" and "CUDA out of memory. Tried to allocate" in detail
    assert "nvidia-smi" in remedy


def test_an_illegal_access(tmp_path: Path) -> None:
    """Planted in every kernel: the kernel is named."""
    path = nvcc(
        tmp_path,
        'test -f unit.cu && sed -i "/__global__/s/{$/{ *(volatile int *)4096 = 1;/" unit.cu',
    )
    status, detail, remedy = doctor(tmp_path, LAZYGRAD_NVCC=path)["gpu program"]
    assert status == "problem" and "CUDA error:" in detail and "an illegal memory access" in detail
    assert "in one of the last kernels: lg_" in detail and "CUDA_LAUNCH_BLOCKING=1" in remedy
