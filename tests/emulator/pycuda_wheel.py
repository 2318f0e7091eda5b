"""pycuda for the running Python: python tests/emulator/pycuda_wheel.py [--install]

The package index has its source only, and that must be told where CUDA is: it looks one folder up
from the first nvcc on PATH, which is wrong for a wrapper, and wants libcuda and libcurand to link
with. Here it is linked with the emulated driver, which has every symbol of cuda.h under the real
library's name (libcuda.so.1), without curand. So the wheel works with a real driver too. It is
kept by content; building it takes a little over a minute.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import emulator

VERSION = "2026.1"
# Python 3.11.3 and older unpack without filters
SAFE: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True)


def wheel() -> Path:
    """The path of the wheel, built when there is none for this Python and these headers."""
    include = emulator.cuda_include()
    digest = hashlib.sha256(f"{VERSION} {sys.version} {sys.platform}".encode())
    digest.update((include / "cuda.h").read_bytes())
    folder = emulator.cache_folder() / f"pycuda-{digest.hexdigest()[:16]}"
    for found in folder.glob("pycuda-*.whl"):
        return found
    with tempfile.TemporaryDirectory() as work:
        pip("download", "--no-deps", "--no-binary", "pycuda", f"pycuda=={VERSION}", "-d", work)
        (archive,) = Path(work).glob("pycuda-*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(work, **SAFE)
        unpacked = archive.with_name(archive.name.removesuffix(".tar.gz"))
        (unpacked / "siteconf.py").write_text(_settings(include), encoding="utf-8")
        pip("wheel", "--no-deps", "-w", str(folder), str(unpacked))
    (made,) = folder.glob("pycuda-*.whl")
    return made


def _settings(include: Path) -> str:
    """What pycuda's setup.py reads beside it; it reads no environment variable."""
    settings = {
        "CUDA_INC_DIR": [str(include)],
        "CUDADRV_LIB_DIR": [str(emulator.driver())],
        "CUDA_ENABLE_CURAND": False,
        "CXXFLAGS": ["-O1", "-g0", "-w"],
    }
    return "".join(f"{name} = {value!r}\n" for name, value in settings.items())


if __name__ == "__main__":
    path = wheel()
    if sys.argv[1:] == ["--install"]:
        pip("install", str(path))
    print(path)
