"""Who makes a matrix product on a GPU: cuBLASLt, cuBLAS, or a kernel of ours.

Owns: that choice, and what is done in the product of what follows it. Must not know: how the
libraries are called, or what text is generated.

Values must not depend on what is done to them afterwards. So what cuBLASLt can finish, it makes
without an end too, by the same algorithm; and of its ends only those are used that round as the
same ops one by one do: a bias and relu of float32 and float64. Half types it rounds once where two
ops round twice, and in gelu it has a tanh of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lazygrad.runtime.cuda import blas, blaslt
from lazygrad.runtime.device import Product, Text

if TYPE_CHECKING:
    from typing import Any

    from lazygrad.codegen.cuda.epilogue import LibraryEnd
    from lazygrad.codegen.target import Rendered
    from lazygrad.ir.node import Node
    from lazygrad.ir.steps import MatmulStep
    from lazygrad.runtime.cuda.device import Backend
    from lazygrad.runtime.cuda.program import Library

_BLAS, _BLASLT = "cublas_", "cublaslt_"  # then the dtype, and an epilogue: names of products


def product(backend: Backend, step: MatmulStep, finish: Rendered | None) -> Product:
    """A product, with what is done in it."""
    from lazygrad.codegen.products import matmul_dims

    dims, dtype = matmul_dims(step), step.node.dtype
    if backend.blas is None or not blas.takes(dtype, dims):
        return _generated(step, finish, dims)
    if not _by_lt(backend, step, ""):
        return Product(f"{_BLAS}{dtype.name}", None, dims, 1, 1)
    end, name = _end(step), f"{_BLASLT}{dtype.name}"
    dims = _lt_dims(step)
    if end is None:
        return Product(name, None, (*dims, 0), 1, 1)
    buffers = (end.result,) if end.bias is None else (end.result, end.bias)
    return Product(f"{name}_{end.name}", None, (*dims, end.offset), 1, 1, buffers=buffers)


def finishes(backend: Backend, step: MatmulStep) -> tuple[bool, str]:
    """Whether the epilogue of a product is done in it, and why (not)."""
    from lazygrad.codegen.products import matmul_dims

    if backend.blas is None or not blas.takes(step.node.dtype, matmul_dims(step)):
        return True, "done to the product in registers"
    refusal = _refusal(backend, step)
    if refusal:
        return False, f"cuBLAS makes the product, {refusal}"
    end = _end(step)
    assert end is not None
    return True, f"cuBLASLt does it, by its epilogue {end.name.upper()}"


def _refusal(backend: Backend, step: MatmulStep) -> str:
    """Why cuBLASLt cannot finish a product that cuBLAS takes; empty if it can."""
    end = _end(step)
    if backend.blaslt is None:
        return "and there is no cuBLASLt here to finish it"
    if step.node.dtype.name not in blaslt.DTYPES:
        return f"and cuBLASLt would round {step.node.dtype.name} once where two ops round twice"
    if end is None:
        return "and of cuBLASLt's epilogues only a bias and relu give the bits of the ops"
    if step.kept:
        return "which something else reads, and cuBLASLt stores one result"
    if not _by_lt(backend, step, ""):
        return "for which cuBLASLt has no algorithm"
    if not _by_lt(backend, step, end.name):
        return f"by an algorithm of cuBLASLt that has no epilogue {end.name.upper()}"
    if "relu" in end.name and not backend.blaslt.keeps_nan:
        return "and cuBLASLt's relu loses NaN on this device"
    return ""


def _end(step: MatmulStep) -> LibraryEnd | None:
    from lazygrad.codegen.cuda.epilogue import library_end

    return None if step.epilogue is None else library_end(step.epilogue)


def _by_lt(backend: Backend, step: MatmulStep, epilogue: str) -> bool:
    """Whether cuBLASLt makes this product."""
    dtype = step.node.dtype.name
    lt = backend.blaslt
    return lt is not None and dtype in blaslt.DTYPES and lt.can(dtype, epilogue, _lt_dims(step))


def _lt_dims(step: MatmulStep) -> tuple[int, ...]:
    """A product's integers, then how its operands are aligned."""
    from lazygrad.codegen.products import matmul_dims

    size = step.node.dtype.itemsize
    aligned = [blaslt.alignment(size * one.view.offset) for one in (step.a, step.b)]
    return (*matmul_dims(step), *aligned)


def _generated(step: MatmulStep, finish: Rendered | None, dims: tuple[int, ...]) -> Product:
    from lazygrad.codegen.cuda import epilogue
    from lazygrad.codegen.cuda import product as text

    dtype, offsets = step.node.dtype, (step.a.view.offset, step.b.view.offset)
    ended: text.Finish | None = None
    buffers: tuple[Node, ...] = ()
    if step.epilogue is not None and finish is not None:
        ended = epilogue.finish_of(step.epilogue, finish, step.stored)
        own = (step.node,) if step.stored else ()
        buffers = (*own, *epilogue.buffers_beside(step.epilogue))
    form = text.product_form(dtype, dims, offsets, ended)
    symbol, body = text.product_source(dtype, dims, form, ended)
    every = dims if finish is None else (*dims, *finish.dims)
    blocks, code = text.product_blocks(dims, form), Text(body, (symbol,))
    return Product(symbol, code, every, blocks, text.THREADS, buffers=buffers)


def said(symbol: str) -> str:
    """Who makes a product of this name; empty if it is a kernel of ours."""
    if symbol.startswith(_BLAS):
        return "by cuBLAS"
    if not symbol.startswith(_BLASLT):
        return ""
    _, _, epilogue = symbol.removeprefix(_BLASLT).partition("_")
    return f"by cuBLASLt, epilogue {epilogue.upper()}" if epilogue else "by cuBLASLt"


def library_function(backend: Backend, name: str) -> Library:
    """A library's product, as it is named in a launch."""
    if name.startswith(_BLASLT):
        dtype, _, epilogue = name.removeprefix(_BLASLT).partition("_")
        lt = backend.blaslt
        if lt is None:
            raise RuntimeError("cuBLASLt was there when this program was made, and is not now")
        made = lt

        def by_lt(addresses: np.ndarray, dims: np.ndarray, stream: Any) -> None:
            made.matmul(dtype, epilogue, addresses.tolist(), dims.tolist(), stream)

        return by_lt
    found, dtype = backend.blas, name.removeprefix(_BLAS)
    if found is None:
        raise RuntimeError("cuBLAS was there when this program was made, and is not now")
    return lambda addresses, dims, stream: found.product(dtype, addresses, dims, stream)
