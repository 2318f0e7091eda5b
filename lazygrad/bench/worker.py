"""One peer in a process of its own: `python -m lazygrad.bench.worker PEER THREADS`.

Owns: the commands that a session sends as lines of JSON, each answered by one line: prepare a
workload and check it, time some calls, drop it, measure peak memory. Must not know: other peers.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from lazygrad.bench import arrays
from lazygrad.bench.large import large
from lazygrad.bench.peer import Peer, Unsupported
from lazygrad.bench.peers import PEERS
from lazygrad.bench.workloads import WORKLOADS, Workload
from lazygrad.runtime.device import HOST


def relative_error(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, over the largest magnitude of the truth."""
    if got.shape != wanted.shape:
        raise ValueError(f"a result of shape {got.shape}, not {wanted.shape}")
    scale = float(np.max(np.abs(wanted))) or 1.0
    worst = float(np.max(np.abs(got.astype(np.float64) - wanted))) / scale
    return worst if worst == worst else float("inf")


def error_of(w: Workload, inputs: Any, results: list[np.ndarray]) -> float:
    """How far results are from the float64 truth, as a relative error."""
    if w.kind == "value":
        wanted = arrays.truth(w.compute, inputs)
        return max(relative_error(a, b) for a, b in zip(results, wanted, strict=True))
    if w.kind == "random":
        (x,) = results
        mean, spread = (0.0, 1.0) if w.compute == "randn" else (0.5, 12**-0.5)
        return max(abs(float(x.mean(dtype=np.float64)) - mean), abs(float(x.std()) - spread))
    loss, grads = float(results[0]), results[1:]
    truth = float(arrays.truth(w.compute, inputs)[0])
    worst = abs(loss - truth) / abs(truth)
    size = sum(float(np.vdot(g, g)) for g in grads) ** 0.5
    rng = np.random.default_rng(1)
    for _ in range(2):
        directions = [rng.normal(size=g.shape) for g in grads]
        slope = arrays.slope(w.compute, inputs, directions)
        got = sum(float(np.vdot(g.astype(np.float64), d)) for g, d in zip(grads, directions))
        worst = max(worst, abs(got - slope) / max(abs(slope), size))
    return worst


def resident(name: str = "VmRSS") -> int:
    """Bytes of this process in memory now; VmHWM: at most, since it was reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return 0


class Worker:
    """The prepared workload and the commands on it."""

    def __init__(self, peer: Peer):
        self.peer = peer
        self.call: Any = None

    def _inputs(
        self, name: str, seed: int, shape: dict[str, Any], elements: int = 0
    ) -> tuple[Workload, Any]:
        w = large(elements)[name] if elements else WORKLOADS[name]
        return w, w.make(np.random.default_rng(seed), **shape)

    def prepare(
        self, name: str, seed: int, check: bool = True, shape: Any = None, elements: int = 0
    ) -> Any:
        w, inputs = self._inputs(name, seed, shape or {}, elements)
        self.call = self.peer.prepare(w, inputs)
        before = self.peer.counters()
        begin = time.perf_counter()
        result = self.call()
        self.peer.wait(result)
        first = time.perf_counter() - begin
        answer: dict[str, Any] = {"first": first, "counts": self._since(before)}
        if check and w.kind == "step":
            losses = [float(self.peer.fetch(result)[0])]
            losses += [float(self.peer.fetch(self.call())[0]) for _ in range(arrays.STEPS - 1)]
            wanted = arrays.mlp_losses(inputs, w.leaves, w.options["optimizer"])
            answer["error"] = relative_error(np.array(losses), np.array(wanted))
        elif check:
            answer["error"] = error_of(w, inputs, self.peer.fetch(result))
        del result
        times = []
        for _ in range(3):  # whatever compiles at a second or third call has done so
            begin = time.perf_counter()
            self.peer.wait(self.call())
            times.append(time.perf_counter() - begin)
        answer["later"] = min(times)
        before = self.peer.counters()
        self.call()
        answer["steady"] = self._since(before)
        return answer

    def limits(self, elements: int) -> Any:
        """The device's, which lazygrad can tell."""
        return self.peer.limits(elements)  # type: ignore[attr-defined]

    def _since(self, before: dict[str, int]) -> dict[str, int]:
        return {k: v - before[k] for k, v in self.peer.counters().items()}

    def time(self, calls: int) -> Any:
        call, times = self.call, []
        gc.collect()
        if self.peer.device != HOST:  # calls follow each other, and the last is waited for
            result = call()
            self.peer.wait(result)
            begin = time.perf_counter()
            for _ in range(calls):
                result = call()
            self.peer.wait(result)
            return {"times": [(time.perf_counter() - begin) / calls]}
        for _ in range(calls):
            begin = time.perf_counter()
            result = call()
            del result
            times.append(time.perf_counter() - begin)
        return {"times": times}

    def peak(self, name: str, seed: int) -> Any:
        """Bytes that five calls need beyond the inputs and what was there before."""
        w, inputs = self._inputs(name, seed, {})
        self.call = self.peer.prepare(w, inputs)
        before = resident()
        Path("/proc/self/clear_refs").write_text("5")
        for _ in range(5):
            self.call()
        return {"peak": resident("VmHWM") - before}

    def kernels(self, name: str, seed: int) -> Any:
        """lazygrad's kernels of one call."""
        from lazygrad.bench.kernels import watched

        w, inputs = self._inputs(name, seed, {})
        call = self.peer.prepare(w, inputs)
        call()
        return {"kernels": watched(call)}

    def scale(self, name: str, seed: int, shape: Any, calls: int) -> Any:
        """The least time of some calls of another size."""
        w, inputs = self._inputs(name, seed, shape)
        call = self.peer.prepare(w, inputs)
        call()
        times = []
        for _ in range(calls):
            begin = time.perf_counter()
            result = call()
            times.append(time.perf_counter() - begin)
            del result
        return {"seconds": min(times)}

    def length(self, ops: int) -> Any:
        """Seconds to record and run a chain of so many ops, and its gradient, anew each time."""
        module = self.peer.module  # type: ignore[attr-defined]
        x = module.ones(16, requires_grad=True)
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            y = x
            for _ in range(ops // 2):
                y = y * 1.0001
                y = y + 0.01
            y.sum().backward()
            x.grad.sum().item()
            times.append(time.perf_counter() - begin)
            del y
            x.grad = None
        return {"seconds": min(times)}

    def record(self) -> Any:
        """Seconds to record, or for an eager library run, one small op."""
        module = self.peer.module  # type: ignore[attr-defined]
        x, y = module.ones(16), module.ones(16)
        leaf = module.ones(16, requires_grad=True)
        forms = {"x * y": lambda: x * y, "x * 2.0": lambda: x * 2.0, "leaf * y": lambda: leaf * y}
        answer = {}
        for text, form in forms.items():
            times = []
            for _ in range(15):
                begin = time.perf_counter()
                for _ in range(2000):
                    form()
                times.append((time.perf_counter() - begin) / 2000)
            answer[text] = sorted(times)[7]
        return answer

    def drop(self) -> Any:
        self.call = None
        gc.collect()
        return {}


def main() -> None:
    name, threads = sys.argv[1], int(sys.argv[2])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer
    opened = time.perf_counter()
    try:
        entry = PEERS[name]
        peer = entry.make(threads, entry.compiled)
        worker = Worker(peer)
        reply: Any = {"version": peer.version(), "import": time.perf_counter() - opened}
    except Exception as error:
        reply = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), file=answers, flush=True)
    if "failed" in reply:
        return
    for line in sys.stdin:
        order = json.loads(line)
        try:
            reply = getattr(worker, order.pop("do"))(**order)
        except Unsupported:
            reply = {"unsupported": True}
        except Exception as error:
            traceback.print_exc()
            reply = {"failed": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
