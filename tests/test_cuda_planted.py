"""Bugs planted in generated kernels and in the backend: the emulated GPU finds each of them.

What has no bug comes first: the same programs are right then.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

if "EMULATOR_RUNNING" not in os.environ:
    pytest.skip("needs the emulated GPU of `make test-emulated`", allow_module_level=True)

import emulator

RIGHT = "right"
WRONG = "NaN"
TURNED = "lg.arange(3150.0).reshape(70, 45)", "x.t() * 2"
SOFTMAX = "lg.arange(3072.0).reshape(3, 1024).sin()", "lg.softmax(x, 1)"
BARRIER, LOADED = "^  __syncthreads();", r"if (i0 < across \&\& i1 < along)"
# of a program: what sed does to its kernels' text, and what is found
PLANTED: dict[str, tuple[tuple[str, str], str, str]] = {
    "nothing, transposed": (TURNED, "", RIGHT),
    "nothing, by rows": (SOFTMAX, "", RIGHT),
    "missing barrier": (TURNED, f"s/{BARRIER}//", WRONG),
    "divergent barrier": (
        TURNED,
        f"s/{BARRIER}/  if (threadIdx.x % 3) __syncthreads();/",
        "barrier",
    ),
    "read past the end": (TURNED, f"s/{LOADED}/if (1)/", "past the end of a device block"),
    "store past the end": (
        TURNED,
        "s/if (i0 >= across || i1 >= along) continue;//",
        "past the end of a device block",
    ),
    "uninitialised shared memory": (
        TURNED,
        rf"s/{LOADED}/if (i0 + 1 < across \&\& i1 < along)/",
        WRONG,
    ),
    "misaligned vector": (SOFTMAX, "s/v_load<4>(p0 +/v_load<4>(p0 + 1 +/", "misaligned access"),
}
PROGRAM = """
import numpy as np, lazygrad as lg
{before}
host = {make}
def result(x): return {result}
want = result(host).numpy()
try:
    got = result(host.cuda()).cpu().numpy()
except RuntimeError as error:
    print(error)
else:
    print("NaN" if np.isnan(got).any() else "right" if np.allclose(got, want) else "wrong")
"""


def outcome(program: tuple[str, str], folder: Path, before: str = "", **environment: str) -> str:
    """What the program prints in a process of its own, with an empty cache."""
    make, result = program
    strict = {"EMULATOR_ALIGN": "16", "LAZYGRAD_POOL": "0", "EMULATOR_ORDER": "2"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before, make=make, result=result)],
        capture_output=True,
        text=True,
        env={**os.environ, "LAZYGRAD_CACHE_DIR": str(folder), **strict, **environment},
        check=False,
    )
    assert done.stdout, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", PLANTED)
def test_bugs_in_generated_kernels(name: str, tmp_path: Path) -> None:
    program, edit, found = PLANTED[name]
    nvcc = tmp_path / "nvcc"
    nvcc.write_text(
        f"#!/bin/bash\ntest -f unit.cu && sed -i '{edit}' unit.cu\nexec {emulator.NVCC} \"$@\"\n"
    )
    nvcc.chmod(0o755)
    assert found in outcome(program, tmp_path, LAZYGRAD_NVCC=str(nvcc))


# what the backend waits for, left out; an emulated GPU that works at once does not show it
LARGE = "lg.arange(40000.0).reshape(200, 200)", "x * 2"
SMALL_BLOCKS = "from lazygrad.runtime.cuda import staging; staging.BLOCK = staging.SMALL\n"
UNSYNCHRONISED = {
    "a copy to the host": (
        "def early(target, source, event): target[...] = source\nstaging._arrive = early"
    ),
    "the last use of a pinned block": (
        "plain = staging.Staging._next\n"
        "def early(self):\n"
        "    made = plain(self)\n"
        "    self._blocks[-1] = made[0], self.gpu.drv.Event()  # never recorded: no wait\n"
        "    return made\n"
        "staging.Staging._next = early"
    ),
}


@pytest.mark.parametrize("name", UNSYNCHRONISED)
def test_lazy_streams_find_what_is_not_waited_for(name: str, tmp_path: Path) -> None:
    before = SMALL_BLOCKS + UNSYNCHRONISED[name]
    assert outcome(LARGE, tmp_path, before, EMULATOR_LAZY="1") != RIGHT
    assert outcome(LARGE, tmp_path, before, EMULATOR_LAZY="0") == RIGHT
    assert outcome(LARGE, tmp_path, SMALL_BLOCKS, EMULATOR_LAZY="1") == RIGHT
