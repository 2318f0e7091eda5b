"""Devices: what a backend gives the pipeline, and the one table of backends.

Owns: `Device`, the interface that planning and running go through, and which module implements
each kind. Must not know: anything of a backend beyond its module's name, which is imported when
the first device of that kind is asked for.
"""

from __future__ import annotations

import functools
import importlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lazygrad.ir.thread import starts

if TYPE_CHECKING:
    from lazygrad.codegen.target import Phase, Rendered
    from lazygrad.ir.dtypes import DType
    from lazygrad.ir.kernel import Kernel
    from lazygrad.ir.node import Node
    from lazygrad.ir.operands import Operand
    from lazygrad.ir.steps import MatmulStep
    from lazygrad.runtime.program import Program

# The registry: a backend is the class `Backend` of the module named here, called with the number
# of the device, and nothing else anywhere.
BACKENDS = {"cpu": "lazygrad.runtime.cpu", "cuda": "lazygrad.runtime.cuda.device"}
HOST = "cpu"


@dataclass(frozen=True)
class Text:
    """The functions of one kernel, and flags that it is compiled with beyond the usual ones."""

    body: str
    symbols: tuple[str, ...]
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Product:
    """How an op that is a function of its own (a matrix product, a scan) is launched: the
    function's text, parameters, work items and grain, and the calls that follow the first one.
    A function with `scratch` bytes of temporary memory gets their address last. `buffers` are the
    values whose addresses follow those of the sources, where these are more than the op's own.
    `calls`: a function that this one calls, and which integer is its address."""

    symbol: str
    text: Text | None  # None: a function of a library
    dims: tuple[int, ...]
    items: int
    grain: int
    later: tuple[Phase, ...] = ()
    scratch: int = 0
    buffers: tuple[Node, ...] = ()
    name: str = ""  # what a launch is called, if not as the function
    calls: tuple[str, int] | None = None


class Device(ABC):
    """One device of a backend. A buffer is an object of the backend's with `nbytes`, `address`,
    `array(dtype, shape)` (a numpy array of its values: its own memory or, where numpy cannot read
    that, a copy), `assign(buffer)` and `clone()`."""

    name: str
    on_host: ClassVar[bool] = False  # whether numpy reads and writes its memory
    program: ClassVar[type[Program]]  # how finished programs run
    suffix: ClassVar[str]  # of files with its source
    overwrites: ClassVar[bool] = False  # whether kernels may write where they read
    any_sizes: ClassVar[bool] = (
        False  # whether text says nothing of sizes, and plans may serve many
    )
    blocks: ClassVar[bool] = True  # whether a product's blocks are in memory when they are finished
    units_at_once: int = 1  # how many units to compile side by side

    @classmethod
    def planner(cls) -> Device:
        """One that is asked for plans and text only: the machine need not have the device."""
        return cls(0)

    @abstractmethod
    def __init__(self, number: int): ...

    # -- memory -----------------------------------------------------------------------------------
    @abstractmethod
    def allocate(self, nbytes: int) -> Any:
        """A new buffer. Raises MemoryError."""

    @abstractmethod
    def from_array(self, values: np.ndarray) -> Any:
        """A new buffer with a copy of the values."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until everything that was started has ended."""

    # -- memory shared with other libraries -------------------------------------------------------
    stream: int | None = None  # handle of the queue that work is put into, where there is one

    @abstractmethod
    def foreign(self, nbytes: int, address: int, owner: Any) -> Any:
        """A buffer on memory that `owner` keeps for as long as the buffer is there."""

    def before(self, stream: int | None) -> None:
        """Have another library's stream wait for what was started here. Raises BufferError for a
        handle that is none; None is that library's default."""
        if stream is not None:
            raise BufferError(f"stream should be None on {self.name}, but got {stream}")

    def after(self, stream: int) -> None:
        """Have what is started here wait for another library's stream. Raises BufferError where
        there are none."""
        raise BufferError(f"{self.name} has no streams, but got {stream}")

    def attends(self, dtype: DType, width: int) -> bool:
        """Whether attention is a function of its own, for rows of so many columns."""
        return False

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name

    def limits(self, elements: int) -> dict[str, float]:
        """What the device can do at most, measured on so many float32: bytes per second of a
        `copy`, operations per second of a matrix `product`."""
        raise NotImplementedError(f"the limits of {self.name} are not measured here")

    # -- compiling --------------------------------------------------------------------------------
    @abstractmethod
    def compiles(self) -> bool:
        """Whether programs can be compiled; the interpreter runs them otherwise."""

    @abstractmethod
    def identity(self) -> tuple[str, ...]:
        """Whatever compiled programs depend on beside their text: a part of cache keys."""

    @abstractmethod
    def build_unit(self, texts: Sequence[Text]) -> str:
        """Compile these functions in one unit: the path of the result. Raises CompileError."""

    @abstractmethod
    def unit_text(self, texts: Sequence[Text]) -> str:
        """The whole source of a unit."""

    @abstractmethod
    def assembly(self, source: str) -> str:
        """What the compiler makes of a unit, as text. Raises CompileError."""

    @abstractmethod
    def functions(self, assembly: str, symbols: list[str]) -> dict[str, str]:
        """The instructions of these functions, cut out of what `assembly` gave."""

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Have whatever running needs ready at the end of the block."""
        yield

    # -- planning ---------------------------------------------------------------------------------
    @property
    @abstractmethod
    def target(self) -> Any:
        """What code is generated for."""

    @abstractmethod
    def render(self, kernel: Kernel) -> Rendered:
        """A kernel as text."""

    @abstractmethod
    def plan_record(self, kernel: Kernel, made: Rendered) -> dict[str, Any]:
        """What was decided for a kernel, as `codegen.printer` shows it."""

    @abstractmethod
    def launch_text(self, phase: Phase) -> str:
        """What the numbers of a launch mean."""

    @abstractmethod
    def product(self, step: MatmulStep, finish: Rendered | None) -> Product:
        """A matrix product, with what its blocks get."""

    def finishes(self, step: MatmulStep) -> tuple[bool, str]:
        """Whether the epilogue of a product is done in its blocks, and why (not)."""
        return False, f"products on {self.name} are not made in blocks"

    def routine(self, node: Node, sources: Sequence[Operand]) -> Product | None:
        """A function for an op without a kernel; None: the host runs it by its numpy meaning."""
        return None

    def early_products(self, dtypes: Sequence[DType]) -> list[Text]:
        """Texts of matrix products that are known before anything is planned."""
        return []


starts(lambda now: now.update(ahead=False))  # values are computed that nobody has asked for
_opening = threading.RLock()  # threads that ask at once are given one device


@functools.cache
def device(name: str) -> Device:
    """The device of this name (`kind` or `kind:number`). Raises RuntimeError where it is absent."""
    with _opening:
        return _open(name)


@functools.cache
def _open(name: str) -> Device:
    kind, _, number = name.partition(":")
    module = importlib.import_module(BACKENDS[kind])
    opened: Device = module.Backend(int(number or 0))
    if not opened.on_host:
        beyond_host.append(name)
    return opened


def planner(kind: str) -> Device:
    """What plans for devices of this kind, whether there is one or not."""
    backend: type[Device] = importlib.import_module(BACKENDS[kind]).Backend
    return backend.planner()


beyond_host: list[str] = []  # devices in use whose memory is not the host's


def from_array(values: np.ndarray, name: str) -> Any:
    """A new buffer on a device with a copy of the values."""
    return device(name).from_array(values)
