"""What PyTorch has for complex numbers, of tensors, which are all real here.

Owns: these names. Must not know: anything else.
"""

from __future__ import annotations

from lazygrad.ir import ops
from lazygrad.tensor.core import Tensor, node_of
from lazygrad.tensor.declare import check_tensor, declare
from lazygrad.tensor.history import record
from lazygrad.tensor.views import PROPERTIES, transpose


@declare("conj", "resolve_conj", "resolve_neg")
def conj(input: Tensor) -> Tensor:
    """The tensor itself: it has no imaginary part."""
    check_tensor(input, "conj")
    return input


@declare(inplace=True, out="same")
def conj_physical(input: Tensor) -> Tensor:
    """A copy of the tensor, as it has no imaginary part."""
    check_tensor(input, "conj_physical")
    x = node_of(input)
    return record("ConjPhysicalBackward0", (input,), (x,), ops.copy(x))


@declare(method=False)
def real(input: Tensor) -> Tensor:
    """The tensor itself."""
    check_tensor(input, "real")
    return input


@declare(method=False)
def imag(input: Tensor) -> Tensor:
    """RuntimeError: no tensor here is complex."""
    check_tensor(input, "imag")
    raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")


@declare()
def view_as_real(input: Tensor) -> Tensor:
    """RuntimeError: no tensor here is complex."""
    check_tensor(input, "view_as_real")
    raise RuntimeError("view_as_real is only supported for complex tensors")


@declare()
def adjoint(input: Tensor) -> Tensor:
    """Matrices transposed. RuntimeError for fewer than two dims."""
    check_tensor(input, "adjoint")
    if input.ndim < 2:
        raise RuntimeError(
            "tensor.adjoint() is only supported on matrices or batches of matrices. Got "
            f"{input.ndim}-D tensor."
        )
    return transpose(input, -2, -1)


PROPERTIES |= {"real": real, "imag": imag}
