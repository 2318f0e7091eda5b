"""A record as tables: ours beside the best peer, the goal, the part of the machine's limit.

Owns: the comparison of times with goals and limits, of two records with each other, and the page
docs/performance.md. Must not know: how figures were taken, or the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lazygrad.bench import python_time
from lazygrad.bench.peers import KEEPERS, OURS, PEERS
from lazygrad.bench.workloads import WORKLOADS, Workload

Record = dict[str, Any]
NOISE = 1.05  # changes below this ratio are not reported


@dataclass(frozen=True)
class Line:
    """One workload at one number of threads. Times are seconds; `part` is of the limit."""

    workload: Workload
    threads: int
    plain: float | None
    jit: float | None
    peers: dict[str, float]
    goal: float
    part: float | None

    @property
    def ours(self) -> float | None:
        """With `lg.jit` where it was measured: the peers are compiled."""
        return self.jit if self.jit is not None else self.plain

    @property
    def best(self) -> tuple[str, float] | None:
        found = {p: t for p, t in self.peers.items() if p not in KEEPERS}
        return min(found.items(), key=lambda item: item[1]) if found else None

    @property
    def ratio(self) -> float | None:
        return self.best[1] / self.ours if self.best and self.ours else None

    @property
    def met(self) -> bool | None:
        return None if self.ratio is None else self.ratio >= self.goal


def part_of_limit(w: Workload, seconds: float | None, limits: dict[str, float]) -> float | None:
    """How much of what the machine can do was reached."""
    if seconds is None or not w.limit:
        return None
    if w.limit == "c":
        return limits["chain"] / seconds
    if w.limit == "fma":
        return w.flops / seconds / 1e9 / limits["fma"]
    return w.bytes / seconds / 1e9 / limits[w.limit]


def lines(record: Record) -> list[Line]:
    """One line for each workload and number of threads that was measured."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    for row in record["results"]:
        times = found.setdefault((row["workload"], row["threads"]), {})
        if "median" in row:
            times[row["peer"]] = row["median"]
    made = []
    for (name, threads), times in found.items():
        w = WORKLOADS[name]
        plain, jit = (times.get(p) for p in OURS)
        peers = {p: t for p, t in times.items() if p not in OURS}
        part = part_of_limit(w, jit if jit is not None else plain, record["limits"][str(threads)])
        goal = w.goals[0 if threads == 1 else 1]
        made.append(Line(w, threads, plain, jit, peers, goal, part))
    return made


def time_text(seconds: float | None) -> str:
    """Three digits: 1.23 us, 45.6 ms, 789 ms."""
    if seconds is None:
        return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size or unit == "us":
            return f"{seconds / size:.3g} {unit}"
    raise AssertionError


def _number(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None else format(value, form)


HEAD = ("workload", "threads", "lazygrad", "lg.jit", "best peer", "its time", "ratio", "goal",
        "met", "of limit", "wanted")  # fmt: skip


def cells(line: Line) -> list[str]:
    """A line as text, in the order of HEAD."""
    best = line.best or ("-", None)
    w = line.workload
    return [
        w.title, str(line.threads), time_text(line.plain), time_text(line.jit), best[0],
        time_text(best[1]), _number(line.ratio), _number(line.goal, ".2g"),
        {True: "yes", False: "no", None: "-"}[line.met],
        f"{_number(line.part)} {w.limit}" if line.part is not None else "-",
        _number(w.fraction) if w.fraction else "-",
    ]  # fmt: skip


def all_peers(record: Record) -> tuple[list[str], list[list[str]]]:
    """Every peer's time in every workload: head and rows."""
    made = lines(record)
    names = [p for p in PEERS if any(p in line.peers for line in made)]
    rows = [
        [line.workload.name, str(line.threads), time_text(line.plain), time_text(line.jit)]
        + [time_text(line.peers.get(p)) for p in names]
        for line in made
    ]
    return ["workload", "threads", *OURS, *names], rows


def compare(old: Record, new: Record) -> Iterator[tuple[str, str, int, float, float, float]]:
    """What changed beyond the noise: (workload, peer, threads, old, new, new/old) in seconds.

    A change counts where the quartiles of the two do not meet and the medians differ by 5 %.
    """
    known = {(r["workload"], r["peer"], r["threads"]): r for r in old["results"] if "median" in r}
    for row in new["results"]:
        before = known.get((row["workload"], row["peer"], row["threads"]))
        if before is None or "median" not in row:
            continue
        apart = row["low"] > before["high"] or row["high"] < before["low"]
        ratio = row["median"] / before["median"]
        if apart and not 1 / NOISE < ratio < NOISE:
            yield (row["workload"], row["peer"], row["threads"], before["median"], row["median"],
                   ratio)  # fmt: skip


# -- the page -------------------------------------------------------------------------------------
def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    right = (
        "---:" if h not in ("workload", "best peer", "met", "peer", "call") else "---" for h in head
    )
    body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(head) + " |", "| " + " | ".join(right) + " |", *body])


FIRST_HEAD = ("workload", "call", "lazygrad", "lg.jit", "torch_compile", "goal", "tinygrad", "jax",
              "ratio", "met")  # fmt: skip
_AGAINST = {"cold": ("tinygrad", "jax"), "warm": ("tinygrad",)}  # not to be slower than these
TENTH = 10  # times as fast as torch.compile the first call has to be


def first_cells(record: Record) -> list[list[str]]:
    """First calls, ours beside the compilers': the ratio is to the goal, 1 where it is just met."""
    made = []
    for name in dict.fromkeys(r["workload"] for r in record["first"]):
        rows = {r["peer"]: r for r in record["first"] if r["workload"] == name}
        for call, rivals in _AGAINST.items():
            times = {p: r[call] for p, r in rows.items() if r.get(call)}
            ours = times.get("lazygrad_jit", times.get("lazygrad"))
            goals = [times["torch_compile"] / TENTH] if "torch_compile" in times else []
            goals += [times[p] for p in rivals if p in times]
            ratio = min(goals) / ours if goals and ours else None
            shown = [times.get(p) for p in (*OURS, "torch_compile")]
            tenth = [t / TENTH if t else None for t in shown[2:]]
            shown += [*tenth, times.get("tinygrad"), times.get("jax")]
            verdict = "-" if ratio is None else "yes" if ratio >= 1 else "no"
            made.append([name, call, *map(time_text, shown), _number(ratio), verdict])
    return made


def _first_calls(record: Record) -> list[str]:
    imports = record.get("imports", {})
    rows = sorted(record["first"], key=lambda r: r["workload"])
    new = [r for r in rows if r.get("new shape")]
    return [
        "\n## First calls\n\nA new process each, without its imports; cold: all caches empty, "
        "warm: disk caches of an earlier process. The goal: a tenth of torch.compile's time, and "
        "no more than tinygrad's and, cold, jax's; *ratio*: the least of them over ours.\n",
        _table(FIRST_HEAD, first_cells(record)),
        "\nThe first call of another size in the warm process, and the least of the three that "
        "follow.\n",
        _table(
            ("workload", "peer", "new shape", "later", "compiles"),
            [[r["workload"], r["peer"], time_text(r["new shape"]),
              time_text(r.get("new shape later")), _number(r.get("new shape compiles"), "d")]
             for r in new],
        ),
        "\nImports, each in a new process.\n",
        _table(("peer", "import"), [[k, time_text(v)] for k, v in imports.items()]),
    ]  # fmt: skip


NEW_SIZE_GOAL = 2e-3  # seconds that a new batch size may take beyond a known one


def _new_sizes(record: Record) -> list[str]:
    rows = []
    for r in record["new sizes"]:
        least, most = min(r["extra"]), max(r["extra"])
        each = [time_text(max(seconds, 0.0)) for seconds in r["extra"]]
        verdict = "yes" if most <= NEW_SIZE_GOAL else "in part" if least <= NEW_SIZE_GOAL else "no"
        rows.append([r["workload"], *each, str(r["compiles"]), verdict])
    batches = [f"batch {b}" for b in record["new sizes"][0]["batches"]]
    return [
        "\n## New batch sizes\n\nWhat the first call of each takes beyond that of the same size "
        "once it is known, both with new tensors, one size after the other in a process that had "
        f"one other; the goal is {time_text(NEW_SIZE_GOAL)} and no compile. The block is one of 16 "
        "tokens and width 48, so that its kernels do not hide it.\n",
        _table(("workload", *batches, "compiles", "met"), rows),
    ]


def page(record: Record, notes: str) -> str:
    """docs/performance.md: what was measured, with `notes` (written by people) at its place."""
    made = lines(record)
    judged = [line for line in made if line.met is not None]
    met = sum(1 for line in judged if line.met)
    m = record["machine"]
    limits = "; ".join(
        f"{threads} thread{'s' if threads != '1' else ''}: read {v['read']:.0f}, triad "
        f"{v['triad']:.0f}, copy {v['copy']:.0f} GB/s, multiply-add {v['fma']:.0f} GFLOP/s, "
        f"hand-written chain of 1e7 {v['chain'] * 1e3:.2f} ms"
        for threads, v in record["limits"].items()
    )
    versions = ", ".join(f"{k} {v}" for k, v in record["versions"].items())
    parts = [
        "# Performance\n",
        "Made by `python -m lazygrad bench --page docs/performance.md`; the notes are kept, the "
        "tables are not to be edited. Medians of interleaved rounds, every result checked against "
        "float64 first. *ratio*: the best peer's time over ours, ours with `lg.jit` where that was "
        "measured; plain lazygrad is shown beside it. *of limit*: the part reached of what the "
        "machine can do, the best that was measured in the runs of this record.\n",
        f"{record['date']}, {m['cores']} cores of {m['cpu']} (vectors of {m['vector bytes']} "
        f"bytes), {m['compiler']}, Python {m['python']}; {versions}."
        + (" **The machine was busy: read nothing from it.**" if record["busy"] else "")
        + f" Limits: {limits}.\n",
        f"{met} of {len(judged)} goals are met.\n",
        _table(HEAD, [cells(line) for line in made]),
    ]
    if record.get("first"):
        parts += _first_calls(record)
    if record.get("new sizes"):
        parts += _new_sizes(record)
    if record.get("recording"):
        parts.append("\n## Recording\n\nOne op on 16 elements, of 2,000; for PyTorch, running "
                     "it.\n")  # fmt: skip
        forms = [k for k in record["recording"][0] if k != "peer"]
        parts.append(_table(
            ("peer", *forms),
            [[r["peer"], *(time_text(r.get(f)) for f in forms)] for r in record["recording"]],
        ))  # fmt: skip
    if record.get("python"):
        parts.append("\n## Python\n\nAs `python -m lazygrad bench python` prints it.\n")
        rows = [python_time.cells(row) for row in record["python"]]
        parts.append(_table(python_time.HEAD, rows))
    if record.get("peak"):
        parts.append("\n## Peak memory\n\nBeyond the inputs, of five calls.\n")
        parts.append(_table(
            ("workload", "peer", "peak"),
            [[r["workload"], r["peer"], f"{r['peak'] / 1e6:.1f} MB"] for r in record["peak"]],
        ))  # fmt: skip
    head, rows = all_peers(record)
    parts += [
        "\n## Every peer\n\n`_keep`: with the C allocator told to keep freed memory, which shows "
        "how much of a lead is page faults of fresh outputs and not code.\n",
        _table(head, rows),
        "\n## Notes\n",
        notes.strip() + "\n",
    ]
    return "\n".join(parts)


def notes_of(text: str) -> str:
    """The notes of an earlier page."""
    return text.partition("\n## Notes\n")[2]
