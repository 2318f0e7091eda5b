"""Machine code of CUDA kernels: what ptxas reports of them, and their instructions.

Owns: running NVIDIA's nvcc, cuobjdump and nvdisasm on a text, and reading what they print. They
need no GPU. cuobjdump and nvdisasm are found among Python's packages or on PATH.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import emulator

WARN = "-v,-warn-spills"
FLAGS = ("-std=c++17", "-O3", "-fmad=false", "--Werror", "all-warnings", "-Xptxas", WARN)


@dataclass(frozen=True)
class Code:
    """One kernel: what ptxas says it takes, and how often each instruction is in it."""

    registers: int
    stack: int  # bytes of local memory that ptxas could not avoid
    spills: int  # bytes stored and loaded for want of registers
    shared: int
    instructions: Counter[str]

    def count(self, start: str) -> int:
        """Instructions whose name begins like this: "LDG.E.128", "CALL"."""
        return sum(n for name, n in self.instructions.items() if name.startswith(start))

    def wide(self, kind: str) -> int:
        """16-byte accesses of a kind: LDG, STG (global memory), LDS, STS (shared)."""
        return sum(n for name, n in self.instructions.items() if _is_wide(name, kind))

    def narrow(self, kind: str) -> int:
        """All other accesses of that kind."""
        return self.count(f"{kind}.") + self.instructions[kind] - self.wide(kind)


def _is_wide(name: str, kind: str) -> bool:
    first, *rest = name.split(".")
    return first == kind and "128" in rest


class Refused(RuntimeError):
    """nvcc's words."""


def compile_(text: str, architecture: str = "sm_90", *extra: str) -> dict[str, Code]:
    """Every kernel of the text by name. Raises Refused: also for a warning or a spill."""
    nvcc = emulator.real_nvcc()
    assert nvcc is not None
    with tempfile.TemporaryDirectory() as folder:
        source, cubin = Path(folder, "unit.cu"), Path(folder, "unit.cubin")
        source.write_text(text, encoding="utf-8")
        command = [
            nvcc,
            "-cubin",
            f"-arch={architecture}",
            *FLAGS,
            *extra,
            "-o",
            str(cubin),
            str(source),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Refused(done.stderr)
        return read(done.stderr, disassemble(cubin))


def read(report: str, code: dict[str, Counter[str]]) -> dict[str, Code]:
    """What `ptxas -v` printed, joined with the instructions."""
    found: dict[str, dict[str, int]] = {}
    current: dict[str, int] = {}
    for line in report.splitlines():
        if m := re.search(r"Compiling entry function '(\w+)'", line):
            current = found[m[1]] = {}
        elif m := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+)", line):
            current.update(stack=int(m[1]), spills=int(m[2]) + int(m[3]))
        elif m := re.search(r"Used (\d+) registers", line):
            smem = re.search(r"(\d+) bytes smem", line)
            current.update(registers=int(m[1]), shared=int(smem[1]) if smem else 0)
    return {name: Code(**values, instructions=code[name]) for name, values in found.items()}


@functools.cache
def tool(name: str) -> str | None:
    """cuobjdump or nvdisasm: of the Python packages, else on PATH."""
    for folder in sys.path:
        path = Path(folder) / "nvidia" / "cu13" / "bin" / name
        if path.exists():
            if not os.access(path, os.X_OK):
                path.chmod(path.stat().st_mode | stat.S_IXUSR)
            return str(path)
    return shutil.which(name)


def disassemble(cubin: Path) -> dict[str, Counter[str]]:
    """Per kernel, how often each instruction is there."""
    cuobjdump, nvdisasm = tool("cuobjdump"), tool("nvdisasm")
    assert cuobjdump and nvdisasm
    path = os.pathsep.join([str(Path(nvdisasm).parent), os.environ["PATH"]])
    done = subprocess.run(
        [cuobjdump, "-sass", str(cubin)],
        capture_output=True, text=True, check=True, env=os.environ | {"PATH": path},
    )  # fmt: skip
    code: dict[str, Counter[str]] = {}
    for line in done.stdout.splitlines():
        if m := re.match(r"\s*Function : (\w+)", line):
            current = code[m[1]] = Counter()
        elif m := re.match(r"\s*/\*[0-9a-f]+\*/\s+(?:@!?\w+\s+)?([A-Z][\w.]*)", line):
            current[m[1]] += 1
    return code
