"""Counts that do not depend on the machine's mood: what a change may not make worse unseen.

Owns: what is counted of each workload in steady state (ops recorded, kernels, bytes that the
kernels move, bytes of memory, compiles, Python calls), and, by valgrind's callgrind, the
instructions of kernels. Must not know: the file they are kept in, or what differs too much.
"""

from __future__ import annotations

import gc
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lazygrad.bench.kernels import watched
from lazygrad.bench.peers import PEERS as _PEERS
from lazygrad.bench.peers import LazygradPeer, environment
from lazygrad.bench.workloads import WORKLOADS
from lazygrad.realize import observers

SMALL = {  # sizes at which everything is still done, quickly
    "ew_1e7": {"n": 200_000}, "axpy_1e7": {"n": 200_000},
    "softmax": {"rows": 64}, "layernorm": {"rows": 64}, "logsumexp": {"rows": 64},
    "var": {"rows": 64}, "mlp_fwdbwd": {"batch": 32}, "mlp_sgd": {"batch": 32},
    "mlp_adam": {"batch": 32}, "convnet": {"batch": 4}, "gpt_block": {"batch": 1, "tokens": 64},
}  # fmt: skip
LEFT_OUT = ("gemm_gelu_2048", "ew_1e7", "randn_1e7", "rand_1e7")  # as others, but longer
INSTRUCTIONS = ("softmax",)  # a minute each


def python_calls(
    call: Callable[[], Any], events: tuple[str, ...] = ("call",), times: int = 5
) -> int:
    """How many functions one call enters, the least of some times.

    Each time in a thread of its own and without the garbage collector: what earlier work left
    pending (finalizers, callbacks of weak references) is not counted.
    """
    counts: list[int] = []

    def run() -> None:
        count = 0

        def note(frame: Any, event: str, arg: Any) -> None:
            nonlocal count
            count += event in events

        sys.setprofile(note)
        try:
            call()
        finally:
            sys.setprofile(None)
        counts.append(count)

    gc.collect()
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(times):
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
    finally:
        if collecting:
            gc.enable()
    if not counts:
        raise RuntimeError("the call raised an exception each time")
    return min(counts)


def planned_bytes(call: Any) -> int:
    """The most memory that a program of one call asks for: its results and its temporaries."""
    found = [0]

    def observe(shape: Any, program: Any) -> None:
        if program is not None:
            found.append(program.arena + sum(o.nbytes for o in program.outputs))

    observers.append(observe)
    try:
        call()
    finally:
        observers.remove(observe)
    return max(found)


def count(name: str) -> dict[str, int]:
    """The counts of one workload, in steady state."""
    w = WORKLOADS[name]
    inputs = w.make(np.random.default_rng(0), **SMALL.get(name, {}))
    peer = LazygradPeer(1)
    call = peer.prepare(w, inputs)
    for _ in range(3):
        call()
    before = peer.counters()
    call()
    after = peer.counters()
    made = {k: after[k] - before[k] for k in ("nodes", "kernels", "compiles", "built")}
    made["bytes"] = sum(row["bytes"] for row in watched(call, 1))
    made["planned bytes"] = planned_bytes(call)
    made["python calls"] = python_calls(call)
    return made


def counts() -> dict[str, dict[str, int]]:
    return {name: count(name) for name in WORKLOADS if name not in LEFT_OUT}


_SCRIPT = """
import sys
import numpy as np
from lazygrad.bench.counts import SMALL
from lazygrad.bench.peers import LazygradPeer
from lazygrad.bench.workloads import WORKLOADS
w = WORKLOADS[sys.argv[1]]
call = LazygradPeer(1).prepare(w, w.make(np.random.default_rng(0), **SMALL.get(w.name, {})))
for _ in range(int(sys.argv[2])):
    call()
"""
_KERNEL = re.compile(r"\blg_\w+_[0-9a-f]{12}\b")
_COMPILER = """#!/bin/sh
for word do
  shift
  [ "$word" = -march=native ] && word=-march=x86-64-v3
  set -- "$@" "$word"
done
exec {cc} "$@"
"""


def instructions(name: str) -> int:
    """Instructions that one call spends in kernels, on AVX2 (valgrind knows no wider).

    Raises FileNotFoundError where valgrind is not installed, RuntimeError where it fails.
    """
    from lazygrad.runtime import compiler

    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise FileNotFoundError("valgrind is not installed")
    with tempfile.TemporaryDirectory() as folder:
        wrapper = Path(folder) / "cc"
        wrapper.write_text(_COMPILER.format(cc=compiler.required().path))
        wrapper.chmod(0o755)
        env = environment(_PEERS["lazygrad"], 1) | {
            "LAZYGRAD_CC": str(wrapper),
            "LAZYGRAD_VECTOR_BYTES": "32",
            "LAZYGRAD_CACHE_DIR": f"{folder}/cache",
        }
        script = [sys.executable, "-c", _SCRIPT, name]
        subprocess.run([*script, "1"], env=env, check=True)
        # whole names: callgrind reads past the end of a name that a pattern with "?" outlasts
        symbols = {
            s
            for unit in Path(folder).glob("cache/**/unit.c")
            for s in _KERNEL.findall(unit.read_text())
        }
        toggles = [f"--toggle-collect={symbol}" for symbol in sorted(symbols)]
        totals = []
        for rounds in (2, 4):
            out = f"--callgrind-out-file={folder}/out"
            command = [valgrind, "--tool=callgrind", *toggles, out, *script, str(rounds)]
            done = subprocess.run(command, env=env, capture_output=True, text=True)
            found = re.search(r"Collected : (\d+)", done.stderr)
            if done.returncode or found is None:
                raise RuntimeError(f"valgrind failed:\n{done.stderr[-2000:]}")
            totals.append(int(found.group(1)))
        return (totals[1] - totals[0]) // 2
