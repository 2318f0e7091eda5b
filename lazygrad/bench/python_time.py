"""What Python costs: recording an operation, finding the plan of a step, importing.

Owns: what is measured, each beside the goal it has, and the table. Must not know: how operations
are recorded. Times are the least of some rounds: what they vary by is the machine's.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from lazygrad.bench.peers import inherited

ROUNDS, TIMES = 25, 400
HEAD = ("what", "time", "goal", "met")
IMPORT = "import time; t = time.perf_counter(); import lazygrad; print(time.perf_counter() - t)"


def least(call: Callable[[], Any], times: int = TIMES) -> float:
    """Seconds of one call: the least of some rounds, what they leave behind let go in between."""
    found = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(times):
            call()
        found.append((time.perf_counter() - begin) / times)
    return min(found)


def recording() -> dict[str, dict[str, float]]:
    """Seconds to record one operation, without and with a gradient."""
    import lazygrad as lg
    from lazygrad.nn import functional as F

    y, w, b = (lg.ones(*shape).realize() for shape in ((16, 16), (16, 16), (16,)))

    def calls(x: Any) -> dict[str, Callable[[], Any]]:
        return {
            "x + y": lambda: x + y,
            "x * 2.0": lambda: x * 2.0,
            "x.T": lambda: x.T,
            "x.reshape(256)": lambda: x.reshape(256),
            "x.sum()": lambda: x.sum(),
            "x @ w": lambda: x @ w,
            "linear(x, w, b)": lambda: F.linear(x, w, b),
            "relu(x)": lambda: lg.relu(x),
        }

    found = {}
    for name, needs in (("without gradient", False), ("with gradient", True)):
        x = lg.ones(16, 16).realize().requires_grad_(needs)
        found[name] = {text: least(call) for text, call in calls(x).items()}
    return found


def lookup(length: int = 400) -> float:
    """Seconds for each node of a graph to find the program of it, by its key."""
    import lazygrad as lg
    from lazygrad.ir.structure import Numbering
    from lazygrad.realize import is_known, realize_nodes

    x, a = lg.ones(16).realize(), lg.ones(16).realize()

    def graph() -> Any:
        y = x
        for _ in range(length // 2):
            y = y * a + 0.5
        return y._storage.node

    realize_nodes([graph()])
    node = graph()
    count = [0]

    def find() -> None:
        nodes = Numbering()
        nodes.add([node])
        shape = nodes.structure([node])
        count[0] = len(shape.order)
        assert is_known(shape)

    return least(find, 5) / count[0]


def imports() -> float:
    """Seconds to import lazygrad, in a new process: the least of some."""
    run = [sys.executable, "-c", IMPORT]
    return min(
        float(
            subprocess.run(run, env=inherited(), capture_output=True, text=True, check=True).stdout
        )
        for _ in range(5)
    )


def measure() -> list[dict[str, Any]]:
    """All of it, as rows: what, seconds, and the goal if there is one."""
    goals = {"without gradient": 1e-6, "with gradient": 2e-6}
    rows: list[dict[str, Any]] = [
        {"what": f"{text}, {kind}", "seconds": seconds, "goal": goals[kind]}
        for kind, times in recording().items()
        for text, seconds in times.items()
    ]
    rows.append({"what": "finding a plan, for each node", "seconds": lookup(), "goal": 0.2e-6})
    rows.append({"what": "import lazygrad", "seconds": imports(), "goal": None})
    return rows


def cells(row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    seconds, goal = row["seconds"], row["goal"]
    if goal is None:
        return [row["what"], f"{seconds * 1e3:.0f} ms", "-", "-"]
    met = "yes" if seconds <= goal else "no"
    return [row["what"], f"{seconds * 1e6:.2f} us", f"{goal * 1e6:.1f} us", met]
