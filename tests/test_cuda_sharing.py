"""GPU memory shared with other libraries: DLPack and the CUDA array interface, their streams, and
copies between the host and the device. On a GPU or the emulated one."""

from __future__ import annotations

import ctypes
import gc
import io
import subprocess
import sys
import threading
import warnings
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.config import config
from lazygrad.runtime.device import device
from lazygrad.tensor import dlpack

if not lg.cuda.is_available():
    pytest.skip("needs a GPU, or `make test-emulated`", allow_module_level=True)


class Other:
    """A small library of its own: it reads and writes GPU memory in a stream of its own."""

    def __init__(self) -> None:
        self.gpu = device("cuda:0").gpu  # type: ignore[attr-defined]
        with self.gpu.active():
            # non-blocking: not even the default stream orders it with others
            handle = ctypes.c_void_p()
            assert ctypes.CDLL("libcuda.so.1").cuStreamCreate(ctypes.byref(handle), 1) == 0
        self.library, self.stream = ctypes.CDLL("libcuda.so.1"), handle

    def read(self, address: int, count: int, kind: type = np.float32) -> list[float]:
        out = np.zeros(count, kind)
        with self.gpu.active():
            copy = self.library.cuMemcpyDtoHAsync_v2
            at = ctypes.c_uint64(address)
            assert copy(out.ctypes.data_as(ctypes.c_void_p), at, out.nbytes, self.stream) == 0
            assert self.library.cuStreamSynchronize(self.stream) == 0
        return out.tolist()

    def fill(self, address: int, word: int, count: int) -> None:
        """Words of 32 bits, in our stream and without waiting."""
        with self.gpu.active():
            at = ctypes.c_uint64(address)
            assert self.library.cuMemsetD32Async(at, word, count, self.stream) == 0


@pytest.fixture(scope="module")
def other() -> Other:
    return Other()


class Array:
    """Memory of the other library with both protocols. It notes what it is asked."""

    def __init__(self, other: Other, count: int):
        self.other, self.count, self.asked = other, count, []
        with other.gpu.active():
            self.memory = other.gpu.drv.mem_alloc(4 * count)
        self.address = int(self.memory)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": (self.count,),
            "typestr": "<f4",
            "data": (self.address, False),
            "version": 3,
            "stream": self.other.stream.value,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __dlpack__(self, *, stream: Any = None, **more: Any) -> Any:
        self.asked.append(stream)
        where = device("cuda:0")
        where.after(self.other.stream.value)  # our stream is the consumer's here
        shared = lg.as_tensor(self)
        return shared.__dlpack__(stream=-1, **more)


ONE = np.float32(1).view(np.int32).item()


# -- out ------------------------------------------------------------------------------------------
def opened(capsule: Any) -> Any:
    """The structure in a capsule, as a consumer reads it."""
    name = next(n for n in dlpack._KINDS if dlpack._is_valid(capsule, n))
    return dlpack._KINDS[name].from_address(dlpack._pointer(capsule, name)).tensor


@pytest.mark.parametrize("version", [None, (1, 0)])
def test_dlpack_hands_out_memory_in_order_with_the_consumers_stream(
    other: Other, version: Any
) -> None:
    x = lg.arange(12.0, device="cuda").reshape(3, 4) * 2
    assert x.__dlpack_device__() == (2, 0)
    capsule = x[1:].__dlpack__(stream=other.stream.value, max_version=version)
    tensor = opened(capsule)
    assert (tensor.device_type, tensor.device_id, tensor.ndim) == (2, 0, 2)
    assert [tensor.shape[0], tensor.shape[1], tensor.strides[0]] == [2, 4, 4]
    assert other.read(tensor.data + tensor.byte_offset, 8) == [8.0 + 2 * i for i in range(8)]
    x.add_(1)  # lands in the memory that was handed out
    lg.cuda.synchronize()
    assert other.read(tensor.data, 2) == [9, 11]


@pytest.mark.parametrize("stream", [None, 1, 2, -1])
def test_dlpack_takes_the_names_of_streams(stream: Any) -> None:
    x = lg.ones(3, device="cuda") * 2
    y = lg.from_dlpack(x.__dlpack__(stream=stream))
    assert y.is_cuda and y.tolist() == [2, 2, 2] and y.data_ptr() == x.data_ptr()


def test_what_dlpack_refuses() -> None:
    x = lg.ones(3, device="cuda")
    with pytest.raises(BufferError, match="stream 0 is not allowed"):
        x.__dlpack__(stream=0)
    with pytest.raises(BufferError, match="DLPack device"):
        x.__dlpack__(dl_device=(2, 1))
    with pytest.raises(BufferError, match="DLPack device"):
        x.__dlpack__(dl_device=(1, 0), copy=False)


def test_dlpack_copies_to_the_host_where_that_is_asked() -> None:
    x = lg.arange(4.0, device="cuda")
    assert lg.from_dlpack(x.__dlpack__(dl_device=(1, 0))).device == lg.device("cpu")
    assert np.from_dlpack(x, device="cpu").tolist() == [0, 1, 2, 3]
    assert lg.from_dlpack(x, device="cpu").device == lg.device("cpu")
    with pytest.raises(ValueError, match="by a copy only"):
        lg.from_dlpack(lg.ones(2), device="cuda", copy=False)


def test_the_array_interface_names_memory_and_stream(other: Other) -> None:
    x = lg.arange(12.0, device="cuda").reshape(3, 4) + 1
    whole, part = x.__cuda_array_interface__, x[1:, ::2].__cuda_array_interface__
    assert whole["shape"] == (3, 4) and whole["strides"] is None and whole["version"] == 3
    assert whole["typestr"] == "<f4" and whole["stream"] == lg.cuda.current_stream().cuda_stream
    assert part["shape"] == (2, 2) and part["strides"] == (16, 8)
    assert part["data"] == (whole["data"][0] + 16, False)
    device("cuda:0").before(other.stream.value)  # as a consumer does with `stream`
    assert other.read(whole["data"][0], 12) == [1.0 + i for i in range(12)]


def test_what_the_array_interface_refuses() -> None:
    assert not hasattr(lg.ones(2), "__cuda_array_interface__")
    with pytest.raises(RuntimeError, match="requires grad"):
        _ = lg.ones(2, device="cuda", requires_grad=True).__cuda_array_interface__
    with pytest.raises(TypeError, match="BFloat16"):
        _ = lg.ones(2, device="cuda", dtype=lg.bfloat16).__cuda_array_interface__


# -- in -------------------------------------------------------------------------------------------
def test_memory_is_taken_in_by_the_array_interface(other: Other) -> None:
    array = Array(other, 1000)
    other.fill(array.address, ONE, 1000)
    x = lg.as_tensor(array)  # waits for the producer's stream
    assert x.is_cuda and x.shape == (1000,) and x.data_ptr() == array.address
    assert (x * 2).sum().item() == 2000
    x[:2] = 5
    lg.cuda.synchronize()
    assert other.read(array.address, 3) == [5, 5, 1]
    other.fill(array.address, 0, 1000)  # the producer writes on: it is seen, once in order
    device("cuda:0").after(other.stream.value)
    assert x.sum().item() == 0
    assert lg.asarray(array, device="cpu").tolist() == [0] * 1000


def test_memory_is_taken_in_by_dlpack(other: Other) -> None:
    array = Array(other, 64)
    other.fill(array.address, ONE, 64)
    x = lg.from_dlpack(array)
    assert array.asked == [lg.cuda.current_stream().cuda_stream]
    assert x.is_cuda and x.data_ptr() == array.address and x.sum().item() == 64
    gone: list[int] = []
    array.memory = _Watched(array.memory, gone)  # what the producer keeps until it is told
    del array
    y = x + 1
    assert y[0].item() == 2 and not gone
    del x
    gc.collect()
    assert gone == [1]


class _Watched:
    def __init__(self, memory: Any, gone: list[int]):
        self.memory, self.gone = memory, gone

    def __del__(self) -> None:
        self.gone.append(1)


def test_an_address_of_the_host_is_refused() -> None:
    class Wrong:
        def __init__(self) -> None:
            self.values = np.zeros(3, np.float32)
            data = (self.values.ctypes.data, False)
            self.__cuda_array_interface__ = dict(shape=(3,), typestr="<f4", data=data, version=3)

    with pytest.raises(BufferError, match="not an address of CUDA memory"):
        lg.as_tensor(Wrong())


def test_the_same_bytes_as_another_dtype() -> None:
    x = lg.tensor([[1.0, -2.0], [3.0, 4.0]], device="cuda")
    bits = x.view(lg.int32)
    assert bits.is_cuda and bits[0, 0].item() == ONE
    assert x.t()[1].view(lg.int32).tolist() == [bits[0, 1].item(), bits[1, 1].item()]
    assert x.view(lg.int16).shape == (2, 4) and x.view(lg.float64).shape == (2, 1)
    bits[0, 0] = 0
    assert x.tolist() == [[0, -2], [3, 4]]


def test_a_recorded_function_reads_and_writes_shared_memory(other: Other) -> None:
    array = Array(other, 8)
    x = lg.as_tensor(array)
    x.fill_(1)
    step = lg.jit(lambda x: (x.add_(1), x * 2)[1])
    for number in range(4):
        assert step(x).tolist() == [2.0 * (number + 2)] * 8
        assert other.read(array.address, 8) == [number + 2.0] * 8
    assert step.replays >= 2


# -- copies --------------------------------------------------------------------------------------
@pytest.mark.parametrize("nbytes", [4, 64 << 10, (64 << 10) + 4, 4 << 20, (12 << 20) + 40])
def test_copies_of_any_size_are_whole_and_of_their_moment(nbytes: int) -> None:
    values = np.arange(nbytes // 4, dtype=np.int32)
    want = values + 1
    x = lg.from_numpy(values).cuda()
    moved = x + 1
    values[:] = -1  # what was given is on its way: it does not change with the array
    lg.realize(moved)
    assert (moved.cpu().numpy() == want).all()
    assert (x.cpu().numpy() == want - 1).all()


# -- files ----------------------------------------------------------------------------------------
def test_saved_tensors_are_loaded_where_map_location_says() -> None:
    x = lg.arange(6.0, device="cuda").reshape(2, 3)
    file = io.BytesIO()
    lg.save({"x": x, "row": x[1], "half": x.half()}, file)

    def load(where: Any) -> dict[str, lg.Tensor]:
        file.seek(0)
        return lg.load(file, map_location=where)

    for where, kind in (
        (None, "cuda"),
        ("cpu", "cpu"),
        ("cuda:0", "cuda"),
        (lg.device("cpu"), "cpu"),
    ):
        found = load(where)
        assert {t.device.type for t in found.values()} == {kind}, where
        assert found["x"].tolist() == [[0, 1, 2], [3, 4, 5]] and found["half"].dtype is lg.float16
        found["row"][0] = 9  # still on the memory of x
        assert found["x"][1, 0].item() == 9
    model = lg.nn.Linear(3, 2)
    model.load_state_dict(lg.nn.Linear(3, 2).cuda().state_dict())
    assert not model.weight.is_cuda


def test_memory_is_freed_on_any_thread_below_another_librarys_context(
    other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It pushes an object of its own for the same context, as pycuda.autoprimaryctx does."""
    monkeypatch.setattr(config, "pool", False)
    gpu: Any = device("cuda:0")
    gc.collect()
    before = gpu.pool.reserved
    theirs = other.gpu.raw.retain_primary_context()
    theirs.push()
    try:
        held = [gpu.allocate(5000)]
        assert gpu.pool.reserved == before + 5000
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pycuda warns of what it cannot free
            thread = threading.Thread(target=held.clear)
            thread.start()
            thread.join()
    finally:
        other.gpu.drv.Context.pop()
    assert gpu.pool.reserved == before


def test_a_device_opened_by_eight_threads_is_one_and_closes_quietly() -> None:
    script = """
import sys, threading
import lazygrad as lg
from lazygrad.runtime.device import device
sys.setswitchinterval(1e-6)
start, found = threading.Barrier(8), []
def work():
    start.wait()
    found.append(device("cuda:0"))
    assert lg.ones(4000, device="cuda").sum().item() == 4000
threads = [threading.Thread(target=work) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
print(len(found), len(set(map(id, found))))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (run.stdout, run.stderr, run.returncode) == ("8 1\n", "", 0)
