"""What kernels report of the values they met: errors that are known when the GPU has come so far.

Owns: reading back the cells of programs without waiting for them, and what memory holds values
that an error has spoilt. Must not know: what the errors are of, or how programs run.

A program copies its cells to pinned memory in the stream and goes on. Its error is raised by the
first call that gives a value to the host or waits for the device. Whatever reads a value of that
program, or one that was made from it, raises it too, as often as that is tried: no wrong number is
seen. What is said of values that were computed before anybody asked for them (`ahead`) is told to
those who read them alone.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.ir.thread import thread

if TYPE_CHECKING:
    from lazygrad.runtime.cuda.driver import Gpu

MOST_OPEN = 64  # programs whose reports are on their way

# from a program's cells (a pair of numbers for each) to the first error, if there is one
Judge = Callable[[np.ndarray], Exception | None]


class Report:
    """What one run of a program will have said."""

    __slots__ = ("ahead", "cells", "error", "event", "judge")

    def __init__(self, cells: np.ndarray, event: Any, judge: Judge):
        self.ahead = bool(thread.__dict__["ahead"])  # nobody has asked for these values
        self.cells: np.ndarray | None = cells  # None when it is known
        self.event = event
        self.judge: Judge | None = judge
        self.error: Exception | None = None


class Reports:
    """Those of one device, in the order of its stream. The context must be current, but for
    `forget`."""

    def __init__(self, gpu: Gpu):
        self.gpu = gpu
        self._open: deque[Report] = deque()
        self._of: dict[int, tuple[Report, ...]] = {}  # by the address of what was written
        self._unsaid: list[Exception] = []  # errors that nobody has been told of
        self._free: dict[int, list[tuple[np.ndarray, Any]]] = {}  # pinned memory by its length
        self._lock = threading.RLock()
        gpu.at_close(self._close)

    def before(self, read: Iterable[int]) -> tuple[Report, ...]:
        """What will be said of the values at these addresses. Raises what is known of them."""
        if not self._of:
            return ()
        with self._lock:
            while self._open and self._open[0].event.query():
                self._known(self._open.popleft())
            of = self._of
            found = dict.fromkeys(r for at in read if at in of for r in of[at])
            self._raise(found)
            return tuple(r for r in found if r.cells is not None)

    def after(
        self, inherited: tuple[Report, ...], written: Sequence[int], cells: Any, judge: Judge
    ) -> None:
        """A program has been put into the stream that wrote to these addresses; `cells`: the buffer
        that it reports in, if it does."""
        if cells is None and not inherited and not self._of:
            return
        with self._lock:
            reports = inherited
            if cells is not None:
                reports = (*inherited, self._sent(cells, judge))
            for at in written:
                if reports:
                    self._of[at] = reports
                else:
                    self._of.pop(at, None)

    def _sent(self, cells: Any, judge: Judge) -> Report:
        """The report, on its way to the host."""
        if len(self._open) >= MOST_OPEN:
            first = self._open.popleft()
            first.event.synchronize()
            self._known(first)
        drv, count, stream = self.gpu.drv, cells.nbytes // 8, self.gpu.stream
        free = self._free.setdefault(count, [])
        made = drv.pagelocked_empty, drv.Event
        host, event = free.pop() if free else (made[0](count, np.int64), made[1]())
        drv.memcpy_dtoh_async(host, cells.address, stream)
        event.record(stream)
        report = Report(host, event, judge)
        self._open.append(report)
        return report

    def _known(self, report: Report) -> None:
        assert report.cells is not None and report.judge is not None
        report.error = report.judge(report.cells)
        self._free[len(report.cells)].append((report.cells, report.event))
        report.cells = report.event = report.judge = None
        if report.error is not None and not report.ahead:
            self._unsaid.append(report.error)

    def settled(self, *read: int) -> None:
        """Wait for all reports that are open. Raises what is said of the values at these addresses,
        or else an error that nobody has been told of."""
        if not self._of and not self._open and not self._unsaid:
            return
        with self._lock:
            while self._open:
                self._open[0].event.synchronize()
                self._known(self._open.popleft())
            self._of = {
                at: bad
                for at, reports in self._of.items()
                if (bad := tuple(r for r in reports if r.error is not None))
            }
            self._raise(r for at in read for r in self._of.get(at, ()))
            if self._unsaid:
                raise self._unsaid.pop(0)

    def _raise(self, reports: Iterable[Report]) -> None:
        for report in reports:
            if report.error is not None:
                if report.error in self._unsaid:
                    self._unsaid.remove(report.error)
                raise copy.copy(report.error)  # it may be raised again

    def forget(self, address: int) -> None:
        """This memory holds no value any more."""
        if self._of:
            with self._lock:
                self._of.pop(address, None)

    def _close(self) -> None:
        self._open.clear()
        self._free.clear()
