"""CUDA graphs through ctypes: what a stream was given, recorded once and launched as one.

Owns: capture and launch. Must not know: what is captured. Nothing may be allocated, waited for or
read while a capture goes on; addresses and parameters stay those of the capture.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lazygrad.runtime.cuda.driver import Gpu

_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may go on
_POINTER = ctypes.c_void_p


class Graph:
    """Work on a device's stream: `with graph.captured(): ...`, then `graph.launch()`."""

    def __init__(self, gpu: Gpu):
        self.gpu = gpu
        self._library = ctypes.CDLL("libcuda.so.1")
        self._executable = _POINTER()
        self.nodes = 0
        gpu.at_close(self.close)

    def _check(self, status: int, name: str) -> None:
        if status:
            raise RuntimeError(f"CUDA error: {name} failed with code {status}")

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Record what the block puts into the stream, instead of doing it."""
        library, stream = self._library, _POINTER(int(self.gpu.stream.handle))
        with self.gpu.active():
            status = library.cuStreamBeginCapture_v2(stream, _THREAD_LOCAL)
            self._check(status, "cuStreamBeginCapture")
            graph = _POINTER()
            try:
                yield
            finally:
                ended = library.cuStreamEndCapture(stream, ctypes.byref(graph))
            self._check(ended, "cuStreamEndCapture")
            self._instantiate(graph)

    def _instantiate(self, graph: Any) -> None:
        library, count = self._library, ctypes.c_size_t()
        try:
            status = library.cuGraphGetNodes(graph, None, ctypes.byref(count))
            self._check(status, "cuGraphGetNodes")
            made = ctypes.byref(self._executable)
            status = library.cuGraphInstantiateWithFlags(made, graph, ctypes.c_ulonglong(0))
            self._check(status, "cuGraphInstantiate")
        finally:
            library.cuGraphDestroy(graph)
        self.nodes = count.value

    def launch(self) -> None:
        """Put all of it into the stream."""
        with self.gpu.active():
            stream = _POINTER(int(self.gpu.stream.handle))
            self._check(self._library.cuGraphLaunch(self._executable, stream), "cuGraphLaunch")

    def close(self) -> None:
        if self._executable and self.gpu.usable():
            with self.gpu.active():
                self._library.cuGraphExecDestroy(self._executable)
            self._executable = _POINTER()
