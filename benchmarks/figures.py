"""The figures of the README: first result, recording, a chain and a softmax, beside PyTorch.

Run `python benchmarks/figures.py [--json FILE]`. Every figure is the median of rounds that are
interleaved with the peers'; threads are the same for all. PyTorch is measured where installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FIRST = """
import time
start = time.perf_counter()
import lazygrad as lg
ready = time.perf_counter()
a, b = lg.rand(64, 64), lg.rand(64, 64)
lg.realize(a, b)
begin = time.perf_counter()
((a @ b).relu() * 2).sigmoid().sum().item()
print(ready - start, time.perf_counter() - begin)
"""
ALL = """
import time
import lazygrad as lg
begin = time.perf_counter()
a, b = lg.rand(64, 64), lg.rand(64, 64)
((a @ b).relu() * 2).sigmoid().sum().item()
print(0, time.perf_counter() - begin)
"""


def process(text: str, cache: str) -> list[float]:
    """Numbers that a fresh process prints, with this cache folder."""
    env = dict(os.environ, LAZYGRAD_CACHE_DIR=cache, PYTHONPATH=str(HERE.parent))
    done = subprocess.run(
        [sys.executable, "-c", text], env=env, capture_output=True, text=True, check=True
    )
    return [float(word) for word in done.stdout.split()]


def first_results(rounds: int) -> dict[str, float]:
    imports, cold, warm = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(process(ALL, cache)[1])
            taken = process(ALL, cache)
            warm.append(taken[1])
            imports.append(process(FIRST, cache)[0])
    return {
        "import, s": statistics.median(imports),
        "first result after import, empty cache, s": statistics.median(cold),
        "first result after import, warm disk cache, s": statistics.median(warm),
    }


def recording() -> dict[str, float]:
    import lazygrad as lg

    x = lg.rand(16)
    y = lg.rand(16)
    lg.realize(x, y)
    leaf = lg.rand(16, requires_grad=True)

    def per_op(step: Callable[[], Any], count: int = 2000) -> float:
        times = []
        for _ in range(15):
            begin = time.perf_counter()
            for _ in range(count):
                step()
            times.append((time.perf_counter() - begin) / count)
        return statistics.median(times) * 1e6

    return {
        "recording x * y, us": per_op(lambda: x * y),
        "recording x * 2.0, us": per_op(lambda: x * 2.0),
        "recording x * y with gradient, us": per_op(lambda: leaf * y),
    }


def timed(run: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def against_torch(rounds: int) -> list[dict[str, Any]]:
    import numpy as np

    import lazygrad as lg

    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=10_000_000).astype(np.float32) for _ in range(3)]
    rows = rng.normal(size=(10240, 1024)).astype(np.float32)

    def workloads(t: Any) -> dict[str, Callable[[], Any]]:
        a, b, c = (t.tensor(x) for x in arrays)
        m = t.tensor(rows)
        return {
            "tanh(a*b+c)*sigmoid(a)-exp(-b*b), 40 MB arrays": lambda: (
                t.tanh(a * b + c) * t.sigmoid(a) - t.exp(-b * b)
            ),
            "softmax over rows of 10240x1024 (40 MB)": lambda: t.softmax(m, 1),
        }

    peers: dict[str, dict[str, Callable[[], Any]]] = {"lazygrad": workloads(lg)}
    if importlib.util.find_spec("torch"):
        import torch

        peers["torch eager"] = workloads(torch)
    results = []
    for name in peers["lazygrad"]:
        times: dict[str, list[float]] = {peer: [] for peer in peers}
        for _ in range(rounds + 1):
            for peer, table in peers.items():
                run = table[name]
                finish = (lambda r=run: r().realize()) if peer == "lazygrad" else run
                times[peer].append(timed(finish))
        results.append(
            {"workload": name} | {p: statistics.median(t[1:]) * 1e3 for p, t in times.items()}
        )
    return results


def machine() -> dict[str, Any]:
    import numpy

    import lazygrad as lg
    from lazygrad.runtime import compiler

    found = compiler.compiler()
    versions = {
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "lazygrad": lg.__version__,
    }
    if importlib.util.find_spec("torch"):
        import torch

        versions["torch"] = torch.__version__
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": model,
        "threads": compiler.available_threads(),
        "vector bytes": compiler.target().vector_bytes,
        "compiler": compiler.version(found) if found else None,
        "versions": versions,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    result: dict[str, Any] = {"machine": machine()}
    threads = result["machine"]["threads"]
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(threads)
    result["load average at start"] = os.getloadavg()[0]
    result["first"] = first_results(given.rounds)
    result["recording"] = recording()
    result["workloads, ms"] = against_torch(given.rounds)
    text = json.dumps(result, indent=2)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
