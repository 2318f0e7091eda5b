"""Order between our stream and those of other libraries, whose handles are all that is known.

Owns: the events that make one stream wait for another, and whose memory an address is. Must not
know: what is in the streams. pycuda has no stream made from a handle, so this goes through ctypes.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lazygrad.runtime.cuda.driver import Gpu

LEGACY, PER_THREAD = 1, 2  # handles of the default streams
_NO_TIMING = 2  # CU_EVENT_DISABLE_TIMING
_ORDINAL = 9  # CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
_POINTER = ctypes.c_void_p


def _check(status: int, name: str) -> None:
    if status:
        raise RuntimeError(f"CUDA error: {name} failed with code {status}")


def follow(gpu: Gpu, first: int, second: int) -> None:
    """What the stream `second` is given from now on waits for what `first` was given so far."""
    library, event = ctypes.CDLL("libcuda.so.1"), _POINTER()
    with gpu.active():
        _check(library.cuEventCreate(ctypes.byref(event), _NO_TIMING), "cuEventCreate")
        try:
            _check(library.cuEventRecord(event, _POINTER(first)), "cuEventRecord")
            _check(library.cuStreamWaitEvent(_POINTER(second), event, 0), "cuStreamWaitEvent")
        finally:
            library.cuEventDestroy_v2(event)  # it goes when both have come past it


def device_of(address: int) -> int:
    """The number of the device that this memory is on. Raises BufferError if it is on none."""
    library, number = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
    found = library.cuPointerGetAttribute(ctypes.byref(number), _ORDINAL, ctypes.c_uint64(address))
    if found:
        raise BufferError(f"{address:#x} is not an address of CUDA memory")
    return number.value
