"""What is done to a matrix product before it is stored: a kernel as a function of the product's.

Owns: the text of that function, which a thread calls with four neighbouring elements of a row of
the product, and what a product can take. Must not know: how the product is made.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from lazygrad.codegen.cpu import heading, readable_name
from lazygrad.codegen.cuda.plan import Plan, needs_wide
from lazygrad.codegen.cuda.product import Finish
from lazygrad.codegen.cuda.render import Writer
from lazygrad.codegen.environment import environment
from lazygrad.codegen.loops import place
from lazygrad.codegen.target import Rendered
from lazygrad.ir import ops
from lazygrad.ir.fusion import FULL
from lazygrad.ir.kernel import Instr, Kernel
from lazygrad.ir.node import Node
from lazygrad.ir.views import contiguous_strides

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


@dataclass(frozen=True)
class LibraryEnd:
    """What a library's product can end with: `name` is "bias", "relu" or "bias_relu"."""

    name: str
    result: Node
    bias: Node | None = None  # added to every row
    offset: int = 0  # bytes from the start of its memory


def library_end(kernel: Kernel) -> LibraryEnd | None:
    """What a kernel does, if it is that alone: every value of it is in the product's dtype."""
    assert kernel.product is not None
    instrs, dtype = kernel.instrs, kernel.product.dtype
    if len(kernel.stores) != 1 or any(instrs[v].dtype is not dtype for v in _made(kernel)):
        return None
    (store,) = kernel.stores
    if store.index is not None or store.access.offset or store.access.box is not None:
        return None
    if store.access.strides != contiguous_strides(kernel.extents):
        return None
    value, names, used = store.value, [], 1
    before = _before_relu(kernel, value)
    if before is not None:
        value, names, used = before, ["relu"], 4
    bias: Instr | None = None
    if instrs[value].op is ops.add:
        left, right = (instrs[number] for number in instrs[value].args)
        product, bias = (left, right) if _is_product(kernel, left) else (right, left)
        names, used = ["bias", *names], used + 2
    else:
        product = instrs[value]
    if not names or len(instrs) != used or not _is_product(kernel, product):
        return None
    result = kernel.buffers[store.buffer]
    if bias is None:
        return LibraryEnd("_".join(names), result)
    if bias.op is not ops.BUFFER or bias.access is None or bias.buffer is None:
        return None
    along_row = (*(0 for _ in kernel.extents[1:]), 1)
    if bias.access.strides != along_row or bias.access.box is not None:
        return None
    source = kernel.buffers[bias.buffer]
    return LibraryEnd("_".join(names), result, source, bias.access.offset * dtype.itemsize)


def _made(kernel: Kernel) -> list[int]:
    return [n for n, ins in enumerate(kernel.instrs) if ins.dtype.kind != "b"]


def _is_product(kernel: Kernel, ins: Instr) -> bool:
    return (
        ins.op is ops.BUFFER
        and ins.buffer is not None
        and kernel.buffers[ins.buffer] is kernel.product
    )


def _before_relu(kernel: Kernel, value: int) -> int | None:
    """The value that relu is taken of, as `where(x <= 0, 0, x)`."""
    instrs = kernel.instrs
    if instrs[value].op is not ops.where:
        return None
    condition, zero, x = instrs[value].args

    def is_zero(number: int) -> bool:
        return instrs[number].op is ops.CONST and float(str(instrs[number].arg)) == 0

    compared = instrs[condition]
    fits = compared.op is ops.le and compared.args == (x, zero) and is_zero(zero)
    return x if fits else None


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
