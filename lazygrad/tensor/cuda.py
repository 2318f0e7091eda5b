"""The `lazygrad.cuda` namespace: which GPUs there are, their memory, streams and events.

Owns: PyTorch's functions about devices. Must not know: how a device works, which the driver and
the backend do; both are imported when a function needs them. All work of a device is put into one
stream, in the order in which values are wanted, so streams here are names for that one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lazygrad.runtime.memory import OutOfMemoryError as OutOfMemoryError
from lazygrad.tensor import generator as _generator
from lazygrad.tensor import size as _size

if TYPE_CHECKING:
    from lazygrad.runtime.cuda.device import Backend

_KIND = "cuda"


def _driver() -> Any:
    from lazygrad.runtime.cuda import driver

    return driver


def device_count() -> int:
    """How many GPUs there are; 0 without a driver or pycuda."""
    return int(_driver().device_count())


def is_available() -> bool:
    """Whether tensors can be moved to a GPU."""
    return device_count() > 0


def is_initialized() -> bool:
    """Whether a GPU is in use."""
    from lazygrad.runtime.device import beyond_host

    return bool(beyond_host)


def init() -> None:
    """Open the current device now. Raises what `Tensor.cuda` raises."""
    _backend(None)


def _number(device: Any) -> int:
    if device is None:
        return _size.current.get(_KIND, 0)
    if isinstance(device, int):
        return device
    found = _size.device(device)
    if found.type != _KIND:
        raise ValueError(f"Expected a cuda device, but got: {found}")
    return current_device() if found.index is None else found.index


def _backend(device: Any) -> Backend:
    from lazygrad.runtime.device import device as opened

    found: Any = opened(f"{_KIND}:{_number(device)}")
    return found


def restored(where: str) -> str:
    """The device for a tensor that was saved on this one. RuntimeError where it is absent."""
    if not where.startswith(_KIND):
        return where
    if not is_available():
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but lazygrad.cuda.is_available() "
            "is False. If you are running on a CPU-only machine, please use lazygrad.load with "
            "map_location=lazygrad.device('cpu') to map your storages to the CPU."
        )
    return f"{_KIND}:{_number(where)}"


def current_device() -> int:
    """The number of the device that "cuda" stands for."""
    return _backend(None).gpu.number


def set_device(device: Any) -> None:
    """Make "cuda" stand for this device."""
    number = _number(device)
    if number >= 0:
        _size.current[_KIND] = _backend(number).gpu.number


class device:
    """Within the block, "cuda" stands for this device."""

    def __init__(self, device: Any):
        self.number = _number(device)

    def __enter__(self) -> None:
        self._before = _size.current.get(_KIND, 0)
        set_device(self.number)

    def __exit__(self, *error: Any) -> None:
        _size.current[_KIND] = self._before


# -- what a device is -----------------------------------------------------------------------------


def get_device_name(device: Any = None) -> str:
    return str(_backend(device).gpu.raw.name())


def get_device_capability(device: Any = None) -> tuple[int, int]:
    return _backend(device).gpu.capability


class _Properties:
    """What `get_device_properties` gives."""

    def __init__(self, backend: Backend):
        gpu, values = backend.gpu, backend.properties
        self.name = str(gpu.raw.name())
        self.major, self.minor = gpu.capability
        self.total_memory = int(gpu.raw.total_memory())
        self.multi_processor_count = values["MULTIPROCESSOR_COUNT"]
        self.warp_size = values["WARP_SIZE"]
        self.max_threads_per_multi_processor = values["MAX_THREADS_PER_MULTIPROCESSOR"]
        self.shared_memory_per_block = values["MAX_SHARED_MEMORY_PER_BLOCK"]
        self.L2_cache_size = values["L2_CACHE_SIZE"]

    def __repr__(self) -> str:
        return (
            f"_CudaDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory // 2**20}MB, "
            f"multi_processor_count={self.multi_processor_count})"
        )


def get_device_properties(device: Any = None) -> _Properties:
    return _Properties(_backend(device))


def get_arch_list() -> list[str]:
    """Architectures that nvcc makes code for; none without one."""
    from lazygrad.runtime.cuda import compiler

    path = compiler.find()
    return [f"sm_{number}" for number in compiler.architectures(path)] if path else []


# -- memory ---------------------------------------------------------------------------------------


def memory_allocated(device: Any = None) -> int:
    """Bytes in use by tensors."""
    return _backend(device).pool.in_use


def max_memory_allocated(device: Any = None) -> int:
    return _backend(device).pool.peak


def memory_reserved(device: Any = None) -> int:
    """Bytes that the driver has given, in use or not."""
    return _backend(device).pool.reserved


def max_memory_reserved(device: Any = None) -> int:
    return _backend(device).pool.peak_reserved


def reset_peak_memory_stats(device: Any = None) -> None:
    pool = _backend(device).pool
    pool.peak, pool.peak_reserved = pool.in_use, pool.reserved


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, total) bytes of the device."""
    gpu = _backend(device).gpu
    with gpu.active():
        free, total = gpu.drv.mem_get_info()
    return int(free), int(total)


def memory_stats(device: Any = None) -> dict[str, int]:
    pool = _backend(device).pool
    return {
        "allocated_bytes.all.current": pool.in_use,
        "allocated_bytes.all.peak": pool.peak,
        "reserved_bytes.all.current": pool.reserved,
        "reserved_bytes.all.peak": pool.peak_reserved,
    }


def empty_cache() -> None:
    """Give memory that no tensor uses back to the driver."""
    from lazygrad.runtime.device import beyond_host

    for name in list(beyond_host):
        _backend(name).pool.trim()


# -- order ----------------------------------------------------------------------------------------


def synchronize(device: Any = None) -> None:
    """Wait until everything that was started on the device has ended."""
    _backend(device).synchronize()


class Stream:
    """The device's stream: there is one, whichever object names it."""

    def __init__(self, device: Any = None, priority: int = 0, **more: Any):
        self._backend = _backend(device)
        self.device = _size.device(_KIND, self._backend.gpu.number)

    @property
    def cuda_stream(self) -> int:
        """The driver's handle."""
        return int(self._backend.gpu.stream.handle)

    def synchronize(self) -> None:
        self._backend.synchronize()

    def query(self) -> bool:
        """Whether everything that was started has ended."""
        with self._backend.gpu.active():
            return bool(self._backend.gpu.stream.is_done())

    def wait_stream(self, stream: Stream) -> None:
        """Wait on the device for another device's stream; within one all is in order."""
        if stream._backend is not self._backend:
            self.wait_event(stream.record_event())

    def wait_event(self, event: Event) -> None:
        if event._event is not None:
            with self._backend.gpu.active():
                self._backend.gpu.stream.wait_for_event(event._event)

    def record_event(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and other._backend is self._backend

    def __hash__(self) -> int:
        return hash(self._backend.name)


def current_stream(device: Any = None) -> Stream:
    return Stream(device)


default_stream = current_stream


@contextmanager
def stream(stream: Stream | None) -> Iterator[None]:
    """Nothing changes: the device has one stream."""
    yield


class Event:
    """A point in a device's stream."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, **more: Any):
        self._event: Any = None
        self._backend: Backend | None = None

    def record(self, stream: Stream | None = None) -> None:
        self._backend = _backend(None) if stream is None else stream._backend
        with self._backend.gpu.active():
            self._event = self._backend.event()

    def query(self) -> bool:
        return self._event is None or bool(self._event.query())

    def wait(self, stream: Stream | None = None) -> None:
        (stream or Stream()).wait_event(self)

    def synchronize(self) -> None:
        if self._event is not None and self._backend is not None:
            with self._backend.gpu.active(), self._backend.gpu.failures():
                self._event.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to another. Raises RuntimeError before both are recorded."""
        if self._event is None or end_event._event is None:
            raise RuntimeError("Both events must be recorded before calculating elapsed time.")
        end_event.synchronize()
        return float(self._event.time_till(end_event._event))


# -- random numbers -------------------------------------------------------------------------------


def manual_seed(seed: int) -> None:
    """Seed the generator, which all devices share: they draw the same numbers."""
    _generator.manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    _generator.seed()


seed_all = seed


def initial_seed() -> int:
    return _generator.initial_seed()
