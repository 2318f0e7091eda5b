"""The CPU as a device: C compiled through `compiler`, run by the C runtime.

Owns: the implementation of `Device` for the host. Must not know: planning; the modules that
generate text are imported when something is planned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.runtime import compiler, library
from lazygrad.runtime.device import Device, Product, Text
from lazygrad.runtime.memory import Buffer, from_array
from lazygrad.runtime.program import Program

if TYPE_CHECKING:
    from lazygrad.codegen.target import Phase, Rendered
    from lazygrad.ir.dtypes import DType
    from lazygrad.ir.kernel import Kernel
    from lazygrad.ir.node import Node
    from lazygrad.ir.operands import Operand
    from lazygrad.ir.steps import MatmulStep

UNIT_HEAD = """typedef void (*lg_kernel)(char **p, const i64 *d, i64 lo, i64 hi);
__attribute__((visibility("default"))) const lg_kernel lg_table[] = {%s};
"""


class Backend(Device):
    """The host's CPU."""

    on_host = True
    overwrites = True
    any_sizes = True
    program = Program
    suffix = "c"

    def __init__(self, number: int):
        self.name = "cpu"

    @property
    def units_at_once(self) -> int:  # type: ignore[override]
        return min(2, compiler.available_threads())

    def allocate(self, nbytes: int) -> Buffer:
        return Buffer(nbytes)

    def from_array(self, values: np.ndarray) -> Buffer:
        return from_array(values)

    def foreign(self, nbytes: int, address: int, owner: Any) -> Buffer:
        return Buffer(nbytes, address, owner)

    def synchronize(self) -> None:
        """Programs have ended when `run` returns."""

    def compiles(self) -> bool:
        if compiler.compiler() is not None:
            return True
        compiler.warn_no_compiler()
        return False

    def identity(self) -> tuple[str, ...]:
        found = compiler.required()
        flags = " ".join((*compiler.FLAGS, *found.march))
        return (found.identity, flags, repr(compiler.target()))

    def build_unit(self, texts: Sequence[Text]) -> str:
        flags = dict.fromkeys(flag for text in texts for flag in text.flags)
        return str(compiler.build(self.unit_text(texts), ("-nostdlib", *flags)))

    def unit_text(self, texts: Sequence[Text]) -> str:
        """A complete C source with a table of all functions."""
        from lazygrad.codegen.cpu import translation_unit

        symbols = ", ".join(s for text in texts for s in text.symbols)
        return translation_unit([t.body for t in texts], compiler.target()) + UNIT_HEAD % symbols

    def assembly(self, source: str) -> str:
        return compiler.assembly(source)

    def functions(self, assembly: str, symbols: list[str]) -> dict[str, str]:
        return compiler.function_assembly(assembly, symbols)

    @contextmanager
    def prepared(self) -> Iterator[None]:
        with library.prepared():
            yield

    @property
    def target(self) -> Any:
        return compiler.target()

    def render(self, kernel: Kernel) -> Rendered:
        from lazygrad.codegen.cpu import render

        return render(kernel, compiler.target())

    def plan_record(self, kernel: Kernel, made: Rendered) -> dict[str, Any]:
        from lazygrad.codegen.printer import plan_record

        return plan_record(kernel, made, compiler.target())

    def launch_text(self, phase: Phase) -> str:
        plural = "s" * (phase.items != 1)
        return f"{phase.items} work item{plural}, at least {phase.grain} for each thread"

    def product(self, step: MatmulStep, finish: Rendered | None) -> Product:
        from lazygrad.codegen.gemm import gemm_grain, gemm_items, with_epilogue
        from lazygrad.codegen.products import matmul_dims

        dims = matmul_dims(step)
        text = self._matmul(step.node.dtype)
        made = Product(text.symbols[0], text, dims, gemm_items(dims), gemm_grain(dims))
        if finish is None or step.epilogue is None:
            return made
        dims, at = with_epilogue(dims, finish.dims)
        return replace(
            made,
            dims=dims,
            buffers=(step.node, *step.epilogue.buffers),
            name=f"{made.symbol}_{finish.name.removeprefix('lg_')}",
            calls=(finish.phases[0].symbol, at),
        )

    def finishes(self, step: MatmulStep) -> tuple[bool, str]:
        columns = step.node.shape[-1]
        return True, f"done to each block of the product of {columns} columns as it is complete"

    def routine(self, node: Node, sources: Sequence[Operand]) -> Product | None:
        from lazygrad.codegen.routines import routine

        if node.op.strided:
            return self._attention(node, sources)
        made = routine(node)
        if made is None:
            return None
        text = Text(made.body, (made.symbol,))
        return Product(made.symbol, text, made.dims, made.items, made.grain)

    def early_products(self, dtypes: Sequence[DType]) -> list[Text]:
        return [self._matmul(dtype) for dtype in dtypes]

    def attends(self, dtype: DType, width: int) -> bool:
        return True

    @staticmethod
    def _attention(node: Node, sources: Sequence[Operand]) -> Product:
        from lazygrad.codegen.attention import attention_dims, attention_items, attention_source
        from lazygrad.ir import ops

        symbol = f"lg_{node.op.name}_{node.dtype.short}"
        width = compiler.target().vector_bytes
        body = attention_source(node.op is ops.attention_grad, node.dtype.short, symbol, width)
        items, grain = attention_items(node)
        return Product(symbol, Text(body, (symbol,)), attention_dims(node, sources), items, grain)

    @staticmethod
    def _matmul(dtype: DType) -> Text:
        """The matrix product of a dtype: one text for all programs."""
        from lazygrad.codegen.gemm import gemm_source

        symbol = f"lg_matmul_{dtype.short}"
        # every vector and multiply-add is spelled out: -O1 gives the same speed in 2/3 of the time
        body = gemm_source(dtype.short, symbol, compiler.target().vector_bytes)
        return Text(body, (symbol,), ("-O1",))
