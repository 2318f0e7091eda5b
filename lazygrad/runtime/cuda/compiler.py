"""nvcc: found once, asked for machine code, its results kept by content.

Owns: which nvcc and flags are used, and what is done where it does not know the GPU: it then makes
PTX for the nearest older architecture, which the driver translates. Must not know: what is in the
text.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lazygrad.codegen.cuda import ARGUMENT_BYTES, MANY_ARGUMENT_BYTES
from lazygrad.config import config
from lazygrad.ir.structure import digest
from lazygrad.runtime import cache
from lazygrad.runtime.compiler import CompileError
from lazygrad.runtime.device import Text
from lazygrad.runtime.stats import stats

# -fmad=false: otherwise a*b+c is rounded once inside a kernel and twice across two, and the same
# program gives other bits when it is fused. Never --use_fast_math.
FLAGS = ("-std=c++17", "-O3", "-fmad=false")
SYMBOLS = "symbols.json"
UNITS = ("unit.cubin", "unit.ptx")


class Unsupported(CompileError):
    """This nvcc cannot make code for the GPU."""


def candidates() -> list[str]:
    """Where nvcc may be, in order."""
    homes = [os.environ.get(name, "") for name in ("CUDA_HOME", "CUDA_PATH")]
    places = [str(Path(home, "bin", "nvcc")) for home in homes if home]
    names = [config.nvcc, *places, "nvcc", "/usr/local/cuda/bin/nvcc"]
    return [name for name in dict.fromkeys(names) if name]


def find() -> str | None:
    """The first nvcc that exists."""
    return next((path for name in candidates() if (path := shutil.which(name))), None)


def required() -> str:
    """Path of nvcc. Raises CompileError where there is none."""
    path = find()
    if path is None:
        tried = ", ".join(candidates())
        raise CompileError(
            f"no nvcc was found (tried {tried}). Install the CUDA toolkit, or set LAZYGRAD_NVCC or "
            "CUDA_HOME; `lazygrad doctor` says more.",
            "",
            "",
        )
    return path


@functools.cache
def version(path: str) -> str:
    """What nvcc says of itself: the last line, with the build. Raises CompileError."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise CompileError(f"{path}: {error}", "", "") from None
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise CompileError(f"{path} --version failed: {done.stderr.strip()}", "", done.stderr)
    return lines[-1]


def argument_bytes(driver_version: int) -> int:
    """How many bytes of arguments a launch takes with this nvcc and a driver of CUDA 12.1 (12010)
    or whatever: NVIDIA's blog "CUDA 12.1 Supports Large Kernel Parameters"."""
    found = re.search(r"(?:release |cuda_)(\d+)\.(\d+)", version(required()))
    new = found is not None and (int(found[1]), int(found[2])) >= (12, 1)
    return MANY_ARGUMENT_BYTES if new and driver_version >= 12010 else ARGUMENT_BYTES


def architectures(path: str) -> list[int]:
    """What nvcc can make code for: 80 for compute_80."""
    done = subprocess.run([path, "--list-gpu-arch"], capture_output=True, text=True, check=False)
    return sorted(int(n) for n in re.findall(r"compute_(\d+)\b", done.stdout))


def identity(arch: int) -> tuple[str, ...]:
    path = required()
    return (path, version(path), f"sm_{arch}", " ".join(FLAGS))


def build(source: str, texts: Sequence[Text], arch: int) -> str:
    """Path of the machine code (or PTX) of this text, from the cache or compiled now.

    Raises CompileError when nvcc refuses the text.
    """
    key = digest("cuda unit", source, *identity(arch))
    for name in UNITS:
        folder = cache.find(key, name, SYMBOLS)
        if folder is not None:
            return str(folder / name)
    made: list[str] = []

    def fill(private: Path) -> None:
        (private / "unit.cu").write_text(source, encoding="utf-8")
        symbols = [symbol for text in texts for symbol in text.symbols]
        (private / SYMBOLS).write_text(json.dumps(symbols), encoding="utf-8")
        try:
            made.append(compile_file(private, source, f"sm_{arch}", ("-cubin",), UNITS[0]))
        except Unsupported as error:
            older = [n for n in architectures(required()) if n <= arch]
            if not older:
                raise
            if not (private / "unit.cu").exists():  # pragma: no cover
                raise error
            made.append(compile_file(private, source, f"compute_{older[-1]}", ("-ptx",), UNITS[1]))
        stats.compiles += 1

    folder = cache.make(key, fill)
    return str(folder / made[0])


def compile_file(folder: Path, source: str, arch: str, flags: tuple[str, ...], target: str) -> str:
    """Run nvcc on the folder's unit.cu. Raises CompileError, Unsupported for the architecture."""
    path = required()
    command = [path, *flags, f"-arch={arch}", *FLAGS, "-o", target, "unit.cu"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        log = done.stderr + done.stdout
        head = "\n".join(log.splitlines()[:12])
        what = f"{path} failed with code {done.returncode}:\n{head}"
        if "nsupported gpu architecture" in log or "is not defined for option 'gpu-arch" in log:
            raise Unsupported(what, source, log)
        raise CompileError(what, source, log)
    return target


def ptx(source: str, arch: int) -> str:
    """PTX of this text. Raises CompileError."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "unit.cu").write_text(source, encoding="utf-8")
        made = compile_file(Path(folder), source, f"compute_{arch}", ("-ptx",), UNITS[1])
        return (Path(folder) / made).read_text(encoding="utf-8")


def function_ptx(text: str, symbols: list[str]) -> dict[str, str]:
    """The text of these functions, from the name to the closing brace."""
    found = {}
    for symbol in symbols:
        match = re.search(rf"^[^\n]*\.entry {symbol}\(.*?^}}$", text, re.M | re.S)
        if match is not None:
            found[symbol] = match[0]
    return found


def symbols(path: str) -> list[str]:
    """The functions of a unit, in the order they were asked for."""
    found: list[str] = json.loads((Path(path).parent / SYMBOLS).read_text(encoding="utf-8"))
    return found
