"""A run of the harness: workers started, workloads checked, rounds interleaved, one record.

Owns: the order of measurement, how many calls a round has, the machine's description and the form
of the record (plain data, written as JSON). Must not know: how a peer computes, or how a record is
shown.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lazygrad.bench import python_time
from lazygrad.bench.peers import KEEPERS, PEERS, environment, inherited
from lazygrad.bench.workloads import WORKLOADS
from lazygrad.runtime.device import HOST

FORMAT = 1
FIRST = ("ew_1e5", "softmax", "mlp_fwdbwd")  # workloads whose first calls are measured
PEAK = ("mlp_fwdbwd", "gpt_block")
# workloads whose batch is changed; the whole block's kernels would hide what that takes
NEW_SIZES: dict[str, dict[str, Any]] = {
    "small_mlp_sgd": {},
    "mlp_fwdbwd": {},
    "convnet": {},
    "gpt_block": {"tokens": 16, "width": 48},
}
BATCHES = (9, 3, 7, 5, 6)  # one after the other
BURST = 0.1  # seconds of calls in one round
MOST_CALLS = 300
BUSY = 0.2  # part of the cores that others use, before the run, from which figures say little

Tick = Callable[[str], None]
Save = Callable[[dict[str, Any]], None]


@dataclass
class Options:
    """What to measure. Empty lists mean all that can be; no rounds, no workload."""

    workloads: Sequence[str] = ()
    peers: Sequence[str] = ()
    threads: Sequence[int] = ()
    rounds: int = 9
    seed: int = 0
    first: bool = False
    peak: bool = False
    kernels: bool = False
    scaling: bool = False
    device: str = HOST

    def chosen_peers(self) -> list[str]:
        return [p for p in (self.peers or PEERS) if PEERS[p].installed()]

    def chosen_workloads(self) -> list[str]:
        return list(self.workloads or WORKLOADS)

    def chosen_threads(self) -> list[int]:
        from lazygrad.runtime.compiler import available_threads

        return list(self.threads) or sorted({1, available_threads()})


@dataclass
class Process:
    """A worker that is running: orders go in as lines of JSON, answers come back."""

    name: str
    threads: int
    env: dict[str, str] = field(default_factory=dict)
    device: str = HOST

    def __post_init__(self) -> None:
        self.pipe = subprocess.Popen(
            [sys.executable, "-m", "lazygrad.bench.worker", self.name, str(self.threads)],
            env=environment(PEERS[self.name], self.threads, self.device) | self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.opened = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.pipe.stdout is not None
        line = self.pipe.stdout.readline()
        if not line:
            return {"failed": f"the process ended with code {self.pipe.wait()}"}
        return json.loads(line)  # type: ignore[no-any-return]

    def ask(self, do: str, **order: Any) -> dict[str, Any]:
        assert self.pipe.stdin is not None
        try:
            self.pipe.stdin.write(json.dumps({"do": do, **order}) + "\n")
            self.pipe.stdin.flush()
        except BrokenPipeError:
            return {"failed": "the process has ended"}
        return self._answer()

    def close(self) -> None:
        assert self.pipe.stdin is not None
        self.pipe.stdin.close()
        try:
            self.pipe.wait(10)
        except subprocess.TimeoutExpired:
            self.pipe.kill()


@contextmanager
def opened(
    names: Sequence[str], threads: int, device: str = HOST, **env: str
) -> Iterator[dict[str, Process]]:
    """Workers by peer; those that cannot start are left out."""
    made = {name: Process(name, threads, env, device) for name in names}
    try:
        yield {name: p for name, p in made.items() if "failed" not in p.opened}
    finally:
        for process in made.values():
            process.close()


def summary(times: Sequence[float]) -> dict[str, float]:
    """Median and quartiles, in seconds."""
    if len(times) < 2:
        return {"median": times[0], "low": times[0], "high": times[0]}
    low, median, high = statistics.quantiles(times, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high}


def measure_workload(
    name: str, workers: dict[str, Process], options: Options, tick: Tick, **order: Any
) -> Iterator[dict[str, Any]]:
    """Check a workload on all peers, then time it in interleaved rounds. `order` says more to
    the workers: `check=False`, how many elements."""
    answers: dict[str, dict[str, Any]] = {}
    for peer, worker in workers.items():
        tick(f"{name}: {peer}")
        answers[peer] = worker.ask("prepare", name=name, seed=options.seed, **order)
    ready = {p: w for p, w in workers.items() if "first" in answers[p]}
    limit = WORKLOADS[name].tolerance if name in WORKLOADS else 0.0
    good = [p for p in ready if not answers[p].get("error", 0.0) > limit]
    rounds: dict[str, list[float]] = {p: [] for p in good}
    calls = {peer: 1 for peer in good}
    for number in range(options.rounds + 1):
        tick(f"{name}: round {number}")
        for peer in good[number % len(good) :] + good[: number % len(good)]:
            answer = ready[peer].ask("time", calls=calls[peer])
            if "times" not in answer:
                answers[peer] = answer
                continue
            taken = statistics.median(answer["times"])
            calls[peer] = int(min(max(BURST / max(taken, 1e-7), 1), MOST_CALLS))
            if number:  # the first round only says how many calls a round has
                rounds[peer].append(taken)
    for peer, worker in workers.items():
        worker.ask("drop")
        answer = answers[peer]
        row: dict[str, Any] = {"workload": name, "peer": peer, "threads": worker.threads}
        row.update((k, answer[k]) for k in ("first", "error", "counts", "steady") if k in answer)
        if rounds.get(peer):
            row |= summary(rounds[peer])
        elif "failed" in answer:
            row["failed"] = answer["failed"]
        elif "error" in answer:
            row["failed"] = f"relative error {answer['error']:.1e}, more than {limit:.0e}"
        if len(row) > 3:
            yield row


def first_calls(peer: str, threads: int, options: Options) -> Iterator[dict[str, Any]]:
    """First calls in new processes: with empty caches, with those filled, and of a new shape."""
    for name in FIRST:
        with tempfile.TemporaryDirectory() as caches:
            env = {
                "XDG_CACHE_HOME": caches,
                "LAZYGRAD_CACHE_DIR": f"{caches}/lazygrad",
                "TORCHINDUCTOR_CACHE_DIR": f"{caches}/inductor",
                "JAX_COMPILATION_CACHE_DIR": f"{caches}/jax",
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            }
            row: dict[str, Any] = {"workload": name, "peer": peer, "threads": threads}
            for when in ("cold", "warm"):
                with opened([peer], threads, **env) as workers:
                    if peer not in workers:
                        return
                    worker = workers[peer]
                    order = {"name": name, "seed": options.seed, "check": False}
                    answer = worker.ask("prepare", **order)
                    row[when] = answer.get("first")
                    if when == "warm" and WORKLOADS[name].other:
                        answer = worker.ask("prepare", **order, shape=WORKLOADS[name].other)
                        row["new shape"] = answer.get("first")
                        row["new shape later"] = answer.get("later")
                        row["new shape compiles"] = answer.get("counts", {}).get("compiles")
        yield row


def new_sizes(options: Options) -> Iterator[dict[str, Any]]:
    """What the first call of further batch sizes takes beside that of the same size once it is
    known, both with new tensors. Of lazygrad without `lg.jit`, whose step would be another."""
    threads = max(options.chosen_threads())
    for name, shape in NEW_SIZES.items() if "lazygrad" in options.chosen_peers() else ():
        order = {"name": name, "seed": options.seed, "check": False}
        with opened(["lazygrad"], threads) as workers:
            ask = workers["lazygrad"].ask
            ask("prepare", **order, shape=shape)
            answers = [ask("prepare", **order, shape=shape | {"batch": b})
                       for b in BATCHES for _ in range(2)]  # fmt: skip
        pairs = list(zip(answers[::2], answers[1::2], strict=True))
        yield {
            "workload": name,
            "peer": "lazygrad",
            "threads": threads,
            "batches": BATCHES,
            "extra": [new["first"] - known["first"] for new, known in pairs],
            "compiles": sum(new["counts"]["compiles"] for new, _ in pairs),
        }


def imports(rounds: int = 5) -> dict[str, float]:
    """Seconds that `import X` takes in a new process."""
    found = {}
    for module, part in dict.fromkeys((e.module, e.part) for e in PEERS.values() if e.installed()):
        text = f"import time; t = time.perf_counter(); import {module}{part}; " + (
            "print(time.perf_counter() - t)"
        )
        times = [
            subprocess.run(
                [sys.executable, "-c", text], env=inherited(), capture_output=True, text=True
            )
            for _ in range(rounds)
        ]
        good = [float(done.stdout.split()[-1]) for done in times if done.returncode == 0]
        if good:
            found[module] = statistics.median(good)
    return found


def peaks(options: Options) -> Iterator[dict[str, Any]]:
    threads = max(options.chosen_threads())
    for name in PEAK:
        for peer in options.chosen_peers():
            if peer in KEEPERS:
                continue
            with opened([peer], threads) as workers:
                if peer in workers:
                    answer = workers[peer].ask("peak", name=name, seed=options.seed)
                    if "peak" in answer:
                        yield {"workload": name, "peer": peer, "peak": answer["peak"]}


def kernel_rows(options: Options) -> Iterator[dict[str, Any]]:
    """Every kernel of lazygrad in every workload, on all threads."""
    threads = max(options.chosen_threads())
    for name in options.chosen_workloads():
        with opened(["lazygrad"], threads) as workers:
            answer = workers["lazygrad"].ask("kernels", name=name, seed=options.seed)
            for row in answer.get("kernels", []):
                yield {"workload": name, "threads": threads, **row}


SCALED = ("lazygrad", "lazygrad_jit", "numpy", "torch", "jax")
SIZES = tuple(10**k for k in range(1, 9))
LENGTHS = tuple(10**k for k in range(1, 6))


def scaling(options: Options, tick: Tick) -> Iterator[dict[str, Any]]:
    """The chain on 10 to 1e8 elements, and graphs of 10 to 100,000 ops."""
    for threads in options.chosen_threads():
        for peer in (p for p in options.chosen_peers() if p in SCALED):
            tick(f"scaling: {peer}, {threads} threads")
            with opened([peer], threads) as workers:
                for n in SIZES if peer in workers else ():
                    order = {"name": "ew_1e5", "seed": options.seed, "shape": {"n": n}}
                    answer = workers[peer].ask("scale", **order, calls=max(3, 30_000 // n))
                    if "seconds" in answer:
                        yield {"kind": "size", "peer": peer, "threads": threads, "n": n, **answer}
    for peer in (p for p in options.chosen_peers() if p in ("lazygrad", "torch")):
        tick(f"scaling: graphs, {peer}")
        with opened([peer], 1) as workers:
            for n in LENGTHS if peer in workers else ():
                answer = workers[peer].ask("length", ops=n)
                if "seconds" in answer:
                    yield {"kind": "length", "peer": peer, "threads": 1, "n": n, **answer}


def recording(options: Options) -> Iterator[dict[str, Any]]:
    """Seconds an op of the libraries that record."""
    for peer in (p for p in options.chosen_peers() if p in ("lazygrad", "torch")):
        with opened([peer], 1) as workers:
            if peer in workers:
                yield {"peer": peer, **workers[peer].ask("record")}


def machine() -> dict[str, Any]:
    """The machine and what it runs, as far as figures depend on it."""
    import lazygrad
    from lazygrad.runtime import compiler

    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    found = compiler.compiler()
    return {
        "cpu": model,
        "cores": compiler.available_threads(),
        "vector bytes": compiler.target().vector_bytes,
        "compiler": compiler.version(found) if found else None,
        "python": platform.python_version(),
        "lazygrad": lazygrad.__version__,
        "system": platform.platform(),
    }


def in_use(seconds: float = 2.0) -> float:
    """The part of the cores that is in use while this process sleeps.

    Where the system does not tell, its average of the last minute, which remembers earlier runs.
    """
    stat = Path("/proc/stat")
    if not stat.exists():
        return os.getloadavg()[0] / (os.cpu_count() or 1)

    def ticks() -> tuple[int, int]:
        found = [int(n) for n in stat.read_text().split("\n", 1)[0].split()[1:9]]
        return sum(found), found[3] + found[4]  # all, idle or waiting for a disk

    before = ticks()
    time.sleep(seconds)
    whole, idle = (now - then for now, then in zip(ticks(), before, strict=True))
    return 1 - idle / whole if whole else 0.0


def begun(options: Options) -> dict[str, Any]:
    """A record in which nothing has been measured yet."""
    load = in_use()
    return {
        "format": FORMAT,
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": {},
        "load before": load,
        "busy": load > BUSY,
        "rounds": options.rounds,
        "seed": options.seed,
        "limits": {},
        "results": [],
    }


def run(
    options: Options, tick: Tick = lambda text: None, save: Save = lambda record: None
) -> dict[str, Any]:
    """All that is asked for, as one record. `save` gets it each time that a part is complete."""
    from lazygrad.bench import limits

    record = begun(options)
    for threads in options.chosen_threads() if options.rounds else ():
        tick(f"limits of {threads} threads")
        record["limits"][str(threads)] = limits.measure(threads)
        for name in options.chosen_workloads():
            with opened(options.chosen_peers(), threads) as workers:
                for peer, worker in workers.items():
                    record["versions"][PEERS[peer].module] = worker.opened["version"]
                record["results"] += measure_workload(name, workers, options, tick)
            save(record)
    if options.first:
        tick("imports")
        record["imports"] = imports()
        record["first"] = []
        for peer in options.chosen_peers():
            if peer not in KEEPERS:
                tick(f"first calls: {peer}")
                record["first"] += first_calls(peer, max(options.chosen_threads()), options)
        record["new sizes"] = list(new_sizes(options))
        record["recording"] = list(recording(options))
        record["python"] = python_time.measure()
        save(record)
    if options.peak:
        tick("peak memory")
        record["peak"] = list(peaks(options))
        save(record)
    if options.kernels:
        tick("kernels")
        record["kernels"] = list(kernel_rows(options))
        save(record)
    if options.scaling:
        record["scaling"] = list(scaling(options, tick))
        save(record)
    return record


BESIDE = ("first", "new sizes", "recording", "peak", "kernels", "scaling")


def _which(row: dict[str, Any]) -> tuple[Any, ...]:
    """What a row is of: all kernels of a workload, and all sizes of a peer, go together."""
    return tuple(row.get(key) for key in ("workload", "peer", "threads", "kind"))


def _best_limits(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """What the machine can do, by threads: the best that either run found."""
    made = dict(old)
    for threads, limits in new.items():
        earlier = old.get(threads, limits)
        made[threads] = {
            name: (min if name == "chain" else max)(value, earlier.get(name, value))
            for name, value in limits.items()
        }
    return made


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """`old` with what `new` measured in place of what it had of the same.

    A workload at one number of threads is replaced with all its peers: their times are of one
    interleaved run. Of what is measured beside, rows are. Raises ValueError if the two are not of
    the same machine.
    """
    if old["machine"] != new["machine"]:
        raise ValueError(f"records of two machines: {old['machine']} and {new['machine']}")
    again = {(r["workload"], r["threads"]) for r in new["results"]}
    kept = [r for r in old["results"] if (r["workload"], r["threads"]) not in again]
    order = {name: place for place, name in enumerate(WORKLOADS)}
    rows = sorted(kept + new["results"], key=lambda r: (r["threads"], order[r["workload"]]))
    beside = {
        name: [r for r in old.get(name, ()) if _which(r) not in {*map(_which, new.get(name, ()))}]
        + new.get(name, [])
        for name in BESIDE
        if name in old or name in new
    }
    return {
        **old,
        **new,
        **beside,
        "busy": old["busy"] or new["busy"],
        "versions": old["versions"] | new["versions"],
        "limits": _best_limits(old["limits"], new["limits"]),
        "results": rows,
    }


def steps(options: Options) -> int:
    """How often `run` will tick, about."""
    peers, rounds = len(options.chosen_peers()), options.rounds + 1
    each = len(options.chosen_workloads()) * (peers + rounds) + 1 if options.rounds else 0
    return len(options.chosen_threads()) * each + (peers + 1) * options.first + options.peak
