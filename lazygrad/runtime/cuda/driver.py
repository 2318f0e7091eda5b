"""The CUDA driver: opened at first use, its context on whichever thread needs it, its errors.

Owns: the import of pycuda, the primary context and stream of each device, and what is said where
there is no driver, no device, or the process has forked. Must not know: memory, kernels, programs.

At exit, live allocations must go before the context does (pycuda would abort the process): what
is registered with `Gpu.at_close` runs first.
"""

from __future__ import annotations

import atexit
import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lazygrad.ir.node import Place, place_text

Issued = tuple[str, tuple[Place, ...]]  # a kernel's name, and whose lines it computes


_forked: list[bool] = []
_REMEMBERED = 64  # launches that an error may have come from


@functools.cache
def driver() -> Any:
    """pycuda.driver, initialised. Raises AssertionError or RuntimeError where it cannot be."""
    try:
        import pycuda.driver as drv
    except ImportError as error:
        if "libcuda" in str(error):
            raise RuntimeError(
                "Found no NVIDIA driver on your system (libcuda.so.1 cannot be loaded). Please "
                "check that you have an NVIDIA GPU and installed a driver from "
                "http://www.nvidia.com/Download/index.aspx; `lazygrad doctor` shows what there is."
            ) from None
        raise AssertionError(
            "Lazygrad not compiled with CUDA enabled: pycuda cannot be imported "
            f"({error}). `pip install lazygrad[cuda]` installs it; `lazygrad doctor` says more."
        ) from None
    try:
        drv.init()
        count = drv.Device.count()
    except drv.Error as error:
        raise RuntimeError(f"The NVIDIA driver cannot be initialised: {error}") from None
    if not count:
        raise RuntimeError("No CUDA GPUs are available")
    os.register_at_fork(after_in_child=lambda: _forked.append(True))
    return drv


def device_count() -> int:
    """How many devices there are; 0 where the driver or pycuda is missing."""
    try:
        return int(driver().Device.count())
    except (AssertionError, RuntimeError):
        return 0


def _shown(name: str, places: tuple[Place, ...]) -> str:
    """A kernel and the user's lines behind it, at most four."""
    lines = [line for line in dict.fromkeys(map(place_text, places)) if line]
    said = ", ".join(lines[:4]) + (", ..." if len(lines) > 4 else "")
    return f"{name} ({said})" if said else name


class Gpu:
    """One device: its primary context (which other libraries share) and our stream."""

    def __init__(self, number: int):
        drv = driver()
        count = drv.Device.count()
        if not 0 <= number < count:
            raise RuntimeError(
                f"CUDA error: invalid device ordinal: {number}, where there are {count} devices"
            )
        self.number = number
        self.drv = drv
        self.raw = drv.Device(number)
        self.context = self.raw.retain_primary_context()
        self.owner = threading.get_ident()  # of the thread that keeps the context, if one does
        self.closed = False
        self.recent: deque[Issued] = deque(maxlen=_REMEMBERED)  # kernels an error may be of
        self._closing: list[Callable[[], None]] = []
        self.context.push()
        self.stream = drv.Stream()
        self.capture_stream = drv.Stream()  # what graphs are recorded from; nothing runs in it
        if threading.current_thread() is not threading.main_thread():
            self.owner = 0  # a thread must not end with a context
            drv.Context.pop()
        self.capability: tuple[int, int] = self.raw.compute_capability()
        atexit.register(self.close)

    def at_close(self, action: Callable[[], None]) -> None:
        self._closing.append(action)

    def usable(self) -> bool:
        """Whether the driver may still be called: not at exit, nor in a forked child."""
        return not self.closed and not _forked

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make this device's context current on this thread. Raises RuntimeError after a fork.

        pycuda's own stack says which one is: another library may have pushed its context over ours
        (pycuda.autoprimaryctx does), and memory is freed on any thread in the very context object
        that it was allocated in, in no other.
        """
        if _forked:
            raise RuntimeError(
                "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, "
                "you must use the 'spawn' start method"
            )
        if self.drv.Context.get_current() is self.context:
            yield
            return
        self.context.push()
        try:
            yield
        finally:
            self.drv.Context.pop()

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Say which kernels an error of the driver may have come from, and their lines."""
        try:
            yield
        except self.drv.Error as error:
            names = list(dict.fromkeys(_shown(*one) for one in reversed(self.recent)))
            one = "" if len(names) == 1 else "; CUDA_LAUNCH_BLOCKING=1 finds the one"
            where = f" in one of the last kernels: {', '.join(names[:8])}{one}" if names else ""
            raise RuntimeError(f"CUDA error: {error}{where}") from error

    def synchronize(self) -> None:
        """Wait until the stream has come to its end. Raises RuntimeError for what went wrong."""
        with self.active(), self.failures():
            self.stream.synchronize()
        self.recent.clear()

    def close(self) -> None:
        """Let go of everything, last of all of the context."""
        if self.closed or _forked:
            return
        try:
            with self.active():
                try:
                    self.stream.synchronize()
                    for action in self._closing:
                        action()
                finally:
                    del self.stream, self.capture_stream
        except self.drv.Error:  # said when it happened; a device in error lets go of nothing
            pass
        finally:
            self._closing.clear()
            self.closed = True
            kept = self.drv.Context.get_current() is self.context
            if kept and threading.get_ident() == self.owner:
                self.drv.Context.pop()
