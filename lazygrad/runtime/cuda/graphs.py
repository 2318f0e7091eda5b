"""CUDA graphs through ctypes: launches recorded once and put into the device's stream as one.

Owns: capture, update and launch. Must not know: what is captured. Nothing may be allocated, waited
for or read while a capture goes on; addresses and parameters stay those of the capture until the
graph is captured anew.
"""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lazygrad.runtime.stats import stats

if TYPE_CHECKING:
    from lazygrad.runtime.cuda.driver import Gpu

_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may go on
_UPDATE_FAILED = 910  # CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE: the new graph looks different
_POINTER = ctypes.c_void_p
_lock = threading.RLock()  # one capture at a time: they share the stream that is captured


class Graph:
    """Work for a device's stream: `with graph.captured() as stream: ...`, then `graph.launch()`."""

    def __init__(self, gpu: Gpu):
        self.gpu = gpu
        self._library = ctypes.CDLL("libcuda.so.1")
        self._executable = _POINTER()
        self._stream = _POINTER(int(gpu.stream.handle))
        self.nodes = 0

    def _check(self, status: int, name: str) -> None:
        if status:
            raise RuntimeError(f"CUDA error: {name} failed with code {status}")

    @contextmanager
    def captured(self) -> Iterator[Any]:
        """Record what the block puts into the stream it is given, instead of doing it.

        That stream is not the one that programs run in, which other threads may be using. The
        garbage collector stays off: what it frees could call the driver.
        """
        library = self._library
        stream = _POINTER(int(self.gpu.capture_stream.handle))
        collecting = gc.isenabled()
        with _lock, self.gpu.active():
            gc.disable()
            try:
                status = library.cuStreamBeginCapture_v2(stream, _THREAD_LOCAL)
                self._check(status, "cuStreamBeginCapture")
                graph = _POINTER()
                try:
                    yield self.gpu.capture_stream
                finally:
                    ended = library.cuStreamEndCapture(stream, ctypes.byref(graph))
                self._check(ended, "cuStreamEndCapture")
                try:
                    self._take(graph)
                finally:
                    library.cuGraphDestroy(graph)
            finally:
                if collecting:
                    gc.enable()
        stats.captures += 1

    def _take(self, graph: Any) -> None:
        """Give this graph's parameters to the executable one, or make that."""
        library, count = self._library, ctypes.c_size_t()
        self._check(library.cuGraphGetNodes(graph, None, ctypes.byref(count)), "cuGraphGetNodes")
        self.nodes = count.value
        if self._executable:
            info = (ctypes.c_longlong * 3)()  # a code and the two nodes that differ
            status = library.cuGraphExecUpdate_v2(self._executable, graph, ctypes.byref(info))
            if not status:
                return
            if status != _UPDATE_FAILED:
                self._check(status, "cuGraphExecUpdate")
            self.close()
        made = ctypes.byref(self._executable)
        status = library.cuGraphInstantiateWithFlags(made, graph, ctypes.c_ulonglong(0))
        self._check(status, "cuGraphInstantiate")

    def launch(self) -> None:
        """Put all of it into the device's stream. The device's context must be current."""
        self._check(self._library.cuGraphLaunch(self._executable, self._stream), "cuGraphLaunch")
        stats.graph_launches += 1

    def close(self) -> None:
        if self._executable and self.gpu.usable():
            with self.gpu.active():
                self._library.cuGraphExecDestroy(self._executable)
        self._executable = _POINTER()

    def __del__(self) -> None:
        self.close()
