"""Steps: what a schedule is made of, and which values each reads and writes.

Owns: the kinds of steps. Must not know: their order, or where values lie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lazygrad.ir.kernel import Kernel
from lazygrad.ir.node import Node
from lazygrad.ir.operands import Operand, is_virtual


@dataclass
class KernelStep:
    """One launch: kernels with the same text and independent of each other, side by side."""

    kernels: list[Kernel]
    signature: str = ""


@dataclass
class MatmulStep:
    """A product, and the kernel that is run on each of its blocks once that is complete."""

    node: Node
    a: Operand
    b: Operand
    epilogue: Kernel | None = None
    kept: bool = True  # whether anything else reads the product
    stored: bool = True  # whether the product is in memory at all


@dataclass
class HostStep:
    """Runs on the host by its numpy meaning."""

    node: Node
    sources: tuple[Operand, ...]


Step = KernelStep | MatmulStep | HostStep


# Whether a backend does the epilogue of a product in its blocks, and why (not).
Finishes = Callable[[MatmulStep], tuple[bool, str]]


def nbytes(node: Node) -> int:
    return node.numel * node.dtype.itemsize


def reads(step: Step) -> list[Node]:
    """Values a step reads from memory."""
    if isinstance(step, KernelStep):
        return list(dict.fromkeys(n for kernel in step.kernels for n in _read_by(kernel)))
    if isinstance(step, MatmulStep):
        ended = _read_by(step.epilogue) if step.epilogue else ()
        return [step.a.base, step.b.base, *(n for n in ended if step.stored or n is not step.node)]
    return [s.base for s in step.sources]


def _read_by(kernel: Kernel) -> list[Node]:
    at = [ins.buffer for ins in kernel.instrs if ins.buffer is not None]
    return [kernel.buffers[n] for n in dict.fromkeys(at) if not is_virtual(kernel.buffers[n])]


def _written_by(kernel: Kernel) -> list[Node]:
    return list(dict.fromkeys(kernel.buffers[s.buffer] for s in kernel.stores))


def writes(step: Step) -> list[Node]:
    if isinstance(step, KernelStep):
        return list(dict.fromkeys(n for kernel in step.kernels for n in _written_by(kernel)))
    if isinstance(step, MatmulStep) and step.epilogue is not None:
        return [*([step.node] if step.stored else ()), *_written_by(step.epilogue)]
    return [step.node]


def fetched(step: Step) -> list[Node]:
    """What a step reads that was there before: not the product whose blocks it finishes."""
    own = step.node if isinstance(step, MatmulStep) else None
    return [n for n in reads(step) if n is not own]


def delivered(step: Step) -> list[Node]:
    """What a step writes for others: not a product that its epilogue alone reads."""
    own = step.node if isinstance(step, MatmulStep) and not step.kept else None
    return [n for n in writes(step) if n is not own]
