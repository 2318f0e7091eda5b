"""A CUDA GPU as a device: CUDA C compiled by nvcc, run through pycuda in one stream.

Owns: the implementation of `Device` for GPUs, and the modules that are loaded on one. Must not
know: planning; what generates text is imported when something is planned.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.codegen.cuda import ARGUMENT_BYTES
from lazygrad.runtime.cuda import blas, blaslt, compiler, products, streams
from lazygrad.runtime.cuda.driver import Gpu
from lazygrad.runtime.cuda.memory import GpuBuffer, GpuPool
from lazygrad.runtime.cuda.program import GpuProgram, Library
from lazygrad.runtime.device import Device, Product, Text

if TYPE_CHECKING:
    from lazygrad.codegen.target import Phase, Rendered
    from lazygrad.ir.dtypes import DType
    from lazygrad.ir.kernel import Kernel
    from lazygrad.ir.node import Node
    from lazygrad.ir.operands import Operand
    from lazygrad.ir.steps import MatmulStep

ARCH = 90  # what is planned for where there is no GPU


class Backend(Device):
    """One GPU."""

    program = GpuProgram
    suffix = "cu"
    blocks = False

    def __init__(self, number: int):
        self.gpu = Gpu(number)
        self.name = f"cuda:{number}"
        self.pool = GpuPool(self.gpu)
        self.arch = 10 * self.gpu.capability[0] + self.gpu.capability[1]
        self._modules: dict[str, list[Any]] = {}
        self.gpu.at_close(self._modules.clear)

    @classmethod
    def planner(cls) -> Device:
        return _Planner(0)

    # -- memory -----------------------------------------------------------------------------------
    def allocate(self, nbytes: int) -> GpuBuffer:
        return GpuBuffer(self.pool, nbytes)

    def from_array(self, values: np.ndarray) -> GpuBuffer:
        buffer = self.allocate(values.nbytes)
        buffer.load(values)
        return buffer

    def synchronize(self) -> None:
        self.gpu.synchronize()
        with self.gpu.active(), self.gpu.failures():
            self.pool.reports.settled()

    @property
    def stream(self) -> int:  # type: ignore[override]
        return int(self.gpu.stream.handle)

    def foreign(self, nbytes: int, address: int, owner: Any) -> GpuBuffer:
        return GpuBuffer(self.pool, nbytes, address, owner)

    def before(self, stream: int | None) -> None:
        if stream == 0:
            raise BufferError("stream 0 is not allowed: 1 is the legacy default stream")
        with self.gpu.active(), self.gpu.failures():
            self.pool.reports.settled()  # others cannot be told later
        streams.follow(self.gpu, self.stream, streams.LEGACY if stream is None else stream)

    def after(self, stream: int) -> None:
        streams.follow(self.gpu, stream, self.stream)

    def event(self) -> Any:
        """An event, recorded now."""
        event = self.gpu.drv.Event()
        event.record(self.gpu.stream)
        return event

    # -- compiling --------------------------------------------------------------------------------
    def compiles(self) -> bool:
        compiler.required()  # there is no interpreter for a GPU's tensors: say what is missing
        return True

    def identity(self) -> tuple[str, ...]:
        libraries = "cublas" if self.blas is not None else ""
        if self.blaslt is not None:  # its algorithms are those of a version for a GPU
            count = self.properties["MULTIPROCESSOR_COUNT"]
            libraries += f" cublaslt {self.blaslt.version} {self.gpu.raw.name()} {count}"
        return (*compiler.identity(self.arch), libraries, str(self.argument_bytes))

    def unit_text(self, texts: Sequence[Text]) -> str:
        from lazygrad.codegen.cuda.render import translation_unit

        return translation_unit([text.body for text in texts])

    def assembly(self, source: str) -> str:
        return compiler.ptx(source, self.arch)

    def functions(self, assembly: str, symbols: list[str]) -> dict[str, str]:
        return compiler.function_ptx(assembly, symbols)

    def build_unit(self, texts: Sequence[Text]) -> str:
        return compiler.build(self.unit_text(texts), texts, self.arch)

    def function(self, path: str, position: int) -> Any:
        """A function of a compiled unit, which is loaded once."""
        found = self._modules.get(path)
        if found is None:
            code = Path(path).read_bytes() + b"\0"
            with self.gpu.active(), self.gpu.failures():
                module = self.gpu.drv.module_from_buffer(code)
                found = [module.get_function(name) for name in compiler.symbols(path)]
            self._modules[path] = found
        return found[position]

    # -- planning ---------------------------------------------------------------------------------
    @property
    def target(self) -> Any:
        return f"sm_{self.arch}"

    @functools.cached_property
    def argument_bytes(self) -> int:
        return compiler.argument_bytes(self.gpu.drv.get_driver_version())

    def render(self, kernel: Kernel) -> Rendered:
        from lazygrad.codegen.cuda.epilogue import render_epilogue
        from lazygrad.codegen.cuda.render import render

        if kernel.product is not None:
            return render_epilogue(kernel)
        return render(kernel, self.argument_bytes)

    def plan_record(self, kernel: Kernel, made: Rendered) -> dict[str, Any]:
        from lazygrad.codegen.cuda.printer import plan_record

        return plan_record(kernel, made)

    def launch_text(self, phase: Phase) -> str:
        return (
            products.said(phase.symbol)
            or f"{phase.items} block{'s' * (phase.items != 1)} of {phase.grain} threads"
        )

    def product(self, step: MatmulStep, finish: Rendered | None) -> Product:
        return products.product(self, step, finish)

    def finishes(self, step: MatmulStep) -> tuple[bool, str]:
        return products.finishes(self, step)

    def routine(self, node: Node, sources: Sequence[Operand]) -> Product | None:
        from lazygrad.codegen.cuda.attention import attention
        from lazygrad.codegen.cuda.routines import routine
        from lazygrad.ir import ops

        attends = node.op is ops.attention or node.op is ops.attention_grad
        made = attention(node, sources) if attends else routine(node)
        if made is None:
            return None
        first, *later = made.phases
        text = Text(made.body, made.symbols)
        return Product(
            first.symbol, text, first.dims, first.items, first.grain, tuple(later), made.scratch
        )

    def attends(self, dtype: DType, width: int) -> bool:
        from lazygrad.codegen.cuda.attention import fits

        return fits(width, dtype)

    @functools.cached_property
    def blas(self) -> blas.Blas | None:
        """cuBLAS on this device, where it is installed."""
        library = blas.load()
        if library is None:
            return None
        with self.gpu.active():
            workspace = self.gpu.drv.mem_alloc(blas.WORKSPACE)
            made = blas.Blas(library, self.gpu, int(workspace))
            beside = blas.load(blas.CUBLASLT)
            if beside is not None:  # work in one stream may have one workspace
                made.lt = blaslt.BlasLt(beside, self.gpu, int(workspace))

        def close() -> None:
            if made.lt is not None:
                made.lt.close()
            made.close()
            workspace.free()

        self.gpu.at_close(close)
        return made

    @property
    def blaslt(self) -> blaslt.BlasLt | None:
        """cuBLASLt on this device, where it is installed beside cuBLAS."""
        return None if self.blas is None else self.blas.lt

    def library_function(self, name: str) -> Library:
        return products.library_function(self, name)

    @property
    def title(self) -> str:
        return f"{self.gpu.raw.name()} ({self.name})"

    def limits(self, elements: int) -> dict[str, float]:
        from lazygrad.runtime.cuda.limits import measure

        return measure(self, elements)

    @functools.cached_property
    def properties(self) -> dict[str, int]:
        """The driver's attributes by name."""
        attributes = self.gpu.raw.get_attributes()
        return {str(key): value for key, value in attributes.items()}


class _Planner(Backend):
    """Plans and text for a GPU that need not be there, without a driver and without cuBLAS."""

    blas = None
    blaslt = None
    argument_bytes = ARGUMENT_BYTES

    def __init__(self, number: int):
        self.name = f"cuda:{number}"
        self.arch = ARCH
