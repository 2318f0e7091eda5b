"""A GPU for tests: a driver library that runs CUDA C on the CPU, and an nvcc to compile for it.

Owns: where CUDA's headers are, building the driver (once per content), and the environment in
which a program finds it. Must not know: lazygrad. README.md says how it works.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NVCC = HERE / "bin" / "nvcc"
SOURCES = sorted((HERE / "driver").glob("*"))
FLAGS = ("-std=c++17", "-O2", "-g1", "-fPIC", "-fvisibility=hidden", "-w")
LIBRARIES = {"cublas.cc": "libcublas.so.13", "cublaslt.cc": "libcublasLt.so.13"}
RUNNING = "EMULATOR_RUNNING"  # set for a process that `run.py` has started


def cache_folder() -> Path:
    root = os.environ.get("EMULATOR_CACHE")
    if root:
        return Path(root)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lazygrad-emulator"


@functools.cache
def cuda_include() -> Path:
    """The folder with cuda.h: of NVIDIA's header packages for Python, else of a real nvcc.

    Raises FileNotFoundError where there is neither.
    """
    named = os.environ.get("EMULATOR_CUDA_INCLUDE")
    candidates = [Path(named)] if named else []
    candidates += [Path(p) / "nvidia" / "cu13" / "include" for p in sys.path]
    for found in candidates:
        if (found / "cuda.h").exists() and (found / "crt" / "host_defines.h").exists():
            return found
    nvcc = real_nvcc()
    if nvcc is not None:  # it may be a wrapper: the tool itself says where it lives
        done = subprocess.run(
            [nvcc, "--dryrun", "-c", "x.cu"], capture_output=True, text=True, check=False
        )
        top = re.search(r"^#\$ TOP=(.+)$", done.stderr, re.MULTILINE)
        if top and (Path(top[1]) / "include" / "cuda.h").exists():
            return (Path(top[1]) / "include").resolve()
    raise FileNotFoundError(
        "CUDA's headers were not found: install the emulator's packages (pip install -e "
        "'.[emulator]'), or put a toolkit's nvcc on PATH"
    )


def real_nvcc() -> str | None:
    """NVIDIA's compiler, where a toolkit or its Python package is installed."""
    folders = [f for f in os.environ.get("PATH", "").split(os.pathsep) if Path(f) != NVCC.parent]
    folders += [str(Path(p) / "nvidia" / "cu13" / "bin") for p in sys.path]
    return shutil.which("nvcc", path=os.pathsep.join([*folders, "/usr/local/cuda/bin"]))


def _names(include: Path) -> set[str]:
    """Every function that cuda.h declares, under its plain and its versioned name."""
    names: set[str] = set()
    for extra in ([], ["-D__CUDA_API_VERSION_INTERNAL"]):
        command = ["g++", "-E", "-I", str(include), *extra, str(include / "cudaProfiler.h")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        names |= set(re.findall(r"\b(cu[A-Z]\w+)\s*\(", done.stdout))
    return names


def _run(command: list[str], text: str | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def _build(folder: Path, include: Path) -> None:
    """libcuda.so.1 with every symbol of cuda.h (those that are not written answer "not
    supported"), libcublas.so.13 and libcublasLt.so.13."""
    compile_ = ["g++", *FLAGS, "-isystem", str(include)]
    objects = []
    for source in SOURCES:
        if source.suffix == ".cc" and source.name not in LIBRARIES:
            objects.append(str(folder / f"{source.stem}.o"))
            _run([*compile_, "-c", str(source), "-o", objects[-1]])
    have = set(re.findall(r" T (cu\w+)", _run(["nm", *objects])))
    rest = "".join(
        f"int {name}(void) {{ return 801; }}\n" for name in sorted(_names(include) - have)
    )
    objects.append(str(folder / "rest.o"))
    _run(["gcc", "-w", "-fPIC", "-x", "c", "-c", "-", "-o", objects[-1]], rest)
    library = folder / "libcuda.so.1"
    _run(["g++", "-shared", "-Wl,-soname,libcuda.so.1", "-o", str(library), *objects, "-ldl"])
    (folder / "libcuda.so").symlink_to(library.name)  # what a linker asks for
    for source, name in LIBRARIES.items():
        command = [*compile_, "-shared", f"-Wl,-soname,{name}", str(HERE / "driver" / source)]
        command += ["-o", str(folder / name), "-L", str(folder), "-lcuda"]
        _run([*command, "-Wl,-rpath,$ORIGIN"])
    for path in objects:
        os.unlink(path)


@functools.cache
def driver() -> Path:
    """The folder with libcuda.so.1 and libcublas.so.13, built when their sources are new."""
    include = cuda_include()
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for path in [*SOURCES, Path(__file__), include / "cuda.h"]:
        digest.update(path.read_bytes())
    folder = cache_folder() / f"driver-{digest.hexdigest()[:16]}"
    if not folder.exists():
        private = folder.with_name(f"{folder.name}.{os.getpid()}")
        private.mkdir(parents=True)
        _build(private, include)
        try:
            private.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(private)
    return folder


def environment() -> dict[str, str]:
    """Variables by which a new process, and its children, find this driver and this nvcc."""
    folder = str(driver())
    paths = [folder, *os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)]
    return {
        "LD_LIBRARY_PATH": os.pathsep.join(p for p in dict.fromkeys(paths) if p),
        "PATH": os.pathsep.join([str(NVCC.parent), os.environ.get("PATH", "")]),
        "CUDA_HOME": str(HERE),
        "CUDA_PATH": str(HERE),
        RUNNING: "1",
        "EMULATOR_CACHE": str(cache_folder()),
        "EMULATOR_CUDA_INCLUDE": str(cuda_include()),
    }


class Driver:
    """The emulated driver of this process, which `run.py` started."""

    def __init__(self) -> None:
        self.library = library = ctypes.CDLL("libcuda.so.1")
        library.emulator_set.argtypes = [ctypes.c_char_p, ctypes.c_long]
        library.emulator_get.argtypes = [ctypes.c_char_p]
        library.emulator_get.restype = ctypes.c_long

    def get(self, name: str) -> int:
        """A setting, or a count of this process: launches, graph_launches, instantiated."""
        return int(self.library.emulator_get(name.encode()))

    def set(self, **values: int) -> None:
        """Change settings: order, seed, lazy, devices, memory, align, multiprocessors."""
        for name, value in values.items():
            if self.library.emulator_set(name.encode(), value):
                raise ValueError(f"the emulator has no setting {name!r}")

    def recover(self) -> None:
        """After a fault: forget it, as a new process would."""
        self.library.emulator_recover()

    def drain(self) -> None:
        """Do all work that a lazy stream still holds."""
        self.library.emulator_drain()
