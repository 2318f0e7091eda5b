"""What is done to a matrix product before it is stored: a kernel as a function of the product's.

Owns: the text of that function, which a thread calls with four neighbouring elements of a row of
the product, and what a product can take. Must not know: how the product is made.
"""

from __future__ import annotations

import hashlib

from lazygrad.codegen.cpu import heading, readable_name
from lazygrad.codegen.cuda.plan import Plan, needs_wide
from lazygrad.codegen.cuda.product import Finish
from lazygrad.codegen.cuda.render import Writer
from lazygrad.codegen.environment import environment
from lazygrad.codegen.loops import place
from lazygrad.codegen.target import Rendered
from lazygrad.ir import ops
from lazygrad.ir.fusion import FULL
from lazygrad.ir.kernel import Kernel
from lazygrad.ir.node import Node

PIECE = 4  # elements of a row that are finished at a time
LIGHT = 5  # values moved, the product among them, that leave room for a large tile


def epilogue_plan(kernel: Kernel) -> Plan:
    """Threads are the product's: what is left to plan is how a piece is read and written."""
    return Plan("epilogue", place(kernel, None), needs_wide(kernel), PIECE)


def buffers_beside(kernel: Kernel) -> tuple[Node, ...]:
    """What a kernel reads and writes beside the product, which it is given."""
    return tuple(node for node in kernel.buffers if node is not kernel.product)


def is_light(kernel: Kernel) -> bool:
    """Whether it leaves a thread enough registers for a large tile."""
    moved = sum(i.op is ops.BUFFER for i in kernel.instrs) + len(kernel.stores)
    narrow = all(i.dtype.itemsize < 8 for i in kernel.instrs if i.level == FULL)
    return narrow and moved <= LIGHT


def _pointers(kernel: Kernel, writer: Writer) -> list[str]:
    """Parameters: those of `buffers_beside`."""
    named = zip(kernel.buffers, writer.e.pointers())
    return [text for node, text in named if node is not kernel.product]


def finish_of(kernel: Kernel, made: Rendered, kept: bool) -> Finish:
    """What a product's text needs to know of the kernel that `render_epilogue` made."""
    writer = Writer(kernel, epilogue_plan(kernel))
    pointers = tuple(_pointers(kernel, writer))
    light, index = is_light(kernel), writer.e.index
    return Finish(made.name, made.body, pointers, index, len(made.dims), light, kept)


def render_epilogue(kernel: Kernel) -> Rendered:
    """The kernel as a function of CUDA C that is a part of a product's text."""
    writer = Writer(kernel, epilogue_plan(kernel))
    e, (stage,) = writer.e, writer.plan.loops.stages
    assert kernel.product is not None
    at = kernel.buffers.index(kernel.product)
    pointers = _pointers(kernel, writer)
    given = [n for n, i in enumerate(kernel.instrs) if i.op is ops.BUFFER and i.buffer == at]
    for number in given:
        e.chunked[number] = "r"
    columns = e.extent[e.axis]
    ragged = kernel.extents[-1] % PIECE != 0
    context = writer.context()
    context |= writer.chunked(
        stage.values, stage.stores, f"{columns} - x0" if ragged else str(PIECE), given
    )
    context["split_row"] = writer.split("row", list(range(e.axis)))
    context |= {"ragged": ragged, "columns": columns, "stored": e.storage(kernel.product.dtype)}
    dims = f"const Dims<{e.index}, {len(e.params.values)}> &d"
    context["parameters"] = ", ".join([*pointers, dims])
    template = environment().get_template("cuda/epilogue.cu.j2")
    plain = template.render(**context, symbol="SYMBOL", notes=False, heading="")
    key = hashlib.blake2b(plain.encode(), digest_size=6).hexdigest()
    symbol = f"lg_{readable_name(kernel)}_{key}"

    def shown() -> str:
        notes = {"symbol": symbol, "notes": True, "heading": heading(kernel, "epilogue")}
        return str(template.render(**context, **notes))

    text = plain.replace("SYMBOL", symbol)
    return Rendered(symbol, text, shown, (), tuple(e.params.values), (), 0)
