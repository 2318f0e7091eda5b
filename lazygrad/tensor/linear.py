"""Matrix products in all their spellings.

Owns: matmul and what is said through it (mm, bmm, mv, dot, addmm, ...), and the shape
errors. Must not know: how a product is computed.
"""

from __future__ import annotations

from math import prod
from typing import Any

from lazygrad.autograd.composite import composite
from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.node import Node
from lazygrad.ir.views import View
from lazygrad.tensor import promotion as P
from lazygrad.tensor.core import Tensor, axis_of, nodes_of, shape_of, view_of
from lazygrad.tensor.declare import check_kind, check_tensor, declare
from lazygrad.tensor.history import needs_grad, record, with_inputs
from lazygrad.tensor.kernels import require, require_same
from lazygrad.tensor.quick import of_matrices
from lazygrad.tensor.size import extents
from lazygrad.tensor.templates import templated
from lazygrad.tensor.views import infer_size


def _dtypes(name: str, a: Node, b: Node) -> None:
    if a.dtype is not b.dtype:
        names = {"float32": "float", "float64": "double", "int64": "long long", "int32": "int"}
        names |= {"float16": "c10::Half", "bfloat16": "c10::BFloat16"}
        raise RuntimeError(
            "expected m1 and m2 to have the same dtype, but got: "
            f"{names.get(a.dtype.name, a.dtype.name)} != {names.get(b.dtype.name, b.dtype.name)}"
        )


def _product(a: Node, b: Node, name: str = "mm") -> Node:
    if 0 not in a.shape and 0 not in b.shape:
        require(name, a.dtype)
    return ops.matmul(a, b)


def _check_mm(a: Node, b: Node) -> None:
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({a.shape[0]}x{a.shape[1]} and "
            f"{b.shape[0]}x{b.shape[1]})"
        )


@declare(out="same")
@of_matrices
@templated
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    check_tensor(input, "mm")
    check_tensor(mat2, "mm", "mat2", 2)
    a, b = nodes_of(input, mat2)
    if len(a.shape) != 2:
        raise RuntimeError("self must be a matrix")
    if len(b.shape) != 2:
        raise RuntimeError("mat2 must be a matrix")
    _dtypes("mm", a, b)
    _check_mm(a, b)
    return record("MmBackward0", (input, mat2), (a, b), _product(a, b))


@declare(out="same")
@templated
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices."""
    check_tensor(input, "bmm")
    check_tensor(mat2, "bmm", "mat2", 2)
    a, b = nodes_of(input, mat2)
    if len(a.shape) != 3:
        raise RuntimeError("batch1 must be a 3D tensor")
    if len(b.shape) != 3:
        raise RuntimeError("batch2 must be a 3D tensor")
    if a.numel and b.numel:
        require("bmm", a.dtype)
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: "
            f"[{a.shape[0]}, {a.shape[2]}] but got: [{b.shape[0]}, {b.shape[1]}]."
        )
    _dtypes("bmm", a, b)
    return record("BmmBackward0", (input, mat2), (a, b), _product(a, b, "bmm"))


@declare(out="same")
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix times a vector."""
    a, b = nodes_of(input, vec)
    if len(a.shape) != 2 or len(b.shape) != 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got 1, {len(a.shape)}, {len(b.shape)}"
        )
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({a.shape[0]}), mat ({a.shape[0]}x{a.shape[1]}), "
            f"vec ({b.shape[0]})"
        )
    _dtypes("mv", a, b)
    node = ops.reshape(_product(a, ops.reshape(b, arg=(b.shape[0], 1)), "mv"), arg=(a.shape[0],))
    return record("MvBackward0", (input, vec), (a, b), node)


@declare(out="same")
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors."""
    check_tensor(input, "dot")
    check_tensor(tensor, "dot", "tensor", 2)
    a, b = nodes_of(input, tensor)
    if len(a.shape) != 1 or len(b.shape) != 1:
        raise RuntimeError(
            f"1D tensors expected, but got {len(a.shape)}D and {len(b.shape)}D tensors"
        )
    if a.dtype is not b.dtype:
        raise RuntimeError(
            "dot : expected both vectors to have same dtype, but found "
            f"{P.type_name(a.dtype)} and {P.type_name(b.dtype)}"
        )
    if a.shape != b.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor {extents(a.shape)} and src "
            f"{extents(b.shape)} to have the same number of elements, but got {a.shape[0]} and "
            f"{b.shape[0]} elements respectively"
        )
    require("dot", a.dtype)
    node = ops.reshape(ops.sum_(ops.mul(a, b), arg=(0,)), arg=())
    return record("DotBackward0", (input, tensor), (a, b), node)


vdot = declare("vdot", out="same")(lambda input, other: dot(input, other))


@declare(out="same")
@of_matrices
@templated
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product, broadcasting batches; vectors count as rows or columns."""
    check_tensor(input, "matmul")
    check_tensor(other, "matmul", "other", 2)
    p, q = len(shape_of(input)), len(shape_of(other))
    if p == 0 or q == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {p}D and {q}D"
        )
    if p == 2 and q == 2:
        return mm(input, other)
    if p == 1 and q == 1:
        return dot(input, other)
    if p == 2 and q == 1:
        return mv(input, other)
    if p == 1 and q == 2:
        return mm(input.unsqueeze(0), other).squeeze_(0)
    a, b = nodes_of(input, other)
    _dtypes("matmul", a, b)
    left, right = a, b
    if p == 1:
        left = ops.reshape(a, arg=(1, a.shape[0]))
    if q == 1:
        right = ops.reshape(b, arg=(b.shape[0], 1))
    if left.shape[-1] != right.shape[-2]:
        if q <= 2:
            rows = prod(left.shape[:-1])
            raise RuntimeError(
                f"mat1 and mat2 shapes cannot be multiplied ({rows}x{left.shape[-1]} and "
                f"{right.shape[-2]}x{right.shape[-1]})"
            )
        batch = P.joint_shape(left.shape[:-2], right.shape[:-2])
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{prod(batch)}, {left.shape[-1]}] but got: [{prod(batch)}, {right.shape[-2]}]."
        )
    if len(right.shape) == 2 and len(left.shape) > 2:
        # one long matrix: a single product instead of a batch of them
        flat = ops.reshape(left, arg=(prod(left.shape[:-1]), left.shape[-1]))
        node = ops.reshape(_product(flat, right), arg=(*left.shape[:-1], right.shape[-1]))
    else:
        batch = P.joint_shape(left.shape[:-2], right.shape[:-2])
        left = P.spread_to(left, (*batch, *left.shape[-2:]))
        right = P.spread_to(right, (*batch, *right.shape[-2:]))
        node = _product(left, right, "bmm")
    if p == 1:
        node = ops.reshape(node, arg=(*node.shape[:-2], node.shape[-1]))
    if q == 1:
        node = ops.reshape(node, arg=node.shape[:-1])
    turned = p == 2 and needs_grad(input)  # the batches side by side times one matrix
    name = "CloneBackward0" if turned else "UnsafeViewBackward0"
    saves = _saved_factors(input, other, left.shape, right.shape)
    result = record(name, (input, other), (a, b), node, saves=saves)
    return with_inputs(result, _product_outline(input, other, p, q))


def _saved_factors(
    a: Tensor, b: Tensor, left: tuple[int, ...], right: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Each factor for the other's gradient, unless PyTorch's `reshape` of it makes a copy, which
    nobody else can write to. `left` and `right` are the shapes of the batches."""
    p, q = len(shape_of(a)), len(shape_of(b))
    if p == q == 3 and shape_of(a)[0] != shape_of(b)[0]:  # a batch of one is a matrix
        if shape_of(a)[0] == 1 and needs_grad(a):
            p = 2
        elif shape_of(b)[0] == 1 and needs_grad(b):
            q = 2
    first = second = True
    if p > 2 and q > 2:
        first, second = _is_stack(view_of(a).expand(left)), _is_stack(view_of(b).expand(right))
    elif p > 2:
        first = _is_tall(view_of(a))
    elif p == 1 or needs_grad(a):
        view = view_of(b)
        rank = len(view.shape)
        second = _is_tall(view.permute((*range(rank - 2), rank - 1, rank - 2)))
    return ((0, 1),) * first + ((1, 0),) * second


def _is_tall(view: View) -> bool:
    """Whether these matrices lie in memory as a single one does."""
    return view.reshape((prod(view.shape[:-1]), view.shape[-1])) is not None


def _is_stack(view: View) -> bool:
    """Whether these matrices lie in memory as those of a single batch axis do."""
    return view.reshape((prod(view.shape[:-2]), *view.shape[-2:])) is not None


def _product_outline(a: Tensor, b: Tensor, p: int, q: int) -> tuple[Any, ...]:
    """How PyTorch's graph shows a product of operands of these ranks that are not both matrices."""
    if p > 2 and q <= 2:
        kind = "MmBackward0" if q == 2 else "MvBackward0"
        return ((kind, _flattened(a, (-1, shape_of(a)[-1]), 0), 1),)
    if p == 1:
        turned = ("UnsafeViewBackward0", ("CloneBackward0", ("TransposeBackward0", 1)))
        return (("MvBackward0", turned, 0),)
    if p == 2 and needs_grad(a):
        rows = _flattened(b.mT, (-1, shape_of(b)[-2]), ("TransposeBackward0", 1))
        product = ("MmBackward0", rows, ("TBackward0", 0))
        return (("TransposeBackward0", ("UnsafeViewBackward0", product)),)
    parts = []
    for number, t in enumerate((a, b)):
        shape = shape_of(t)
        parts.append(_flattened(t, (prod(shape[:-2]), *shape[-2:]), ("ExpandBackward0", number)))
    return (("BmmBackward0", *parts),)


def _flattened(t: Tensor, shape: tuple[int, ...], part: Any) -> tuple[Any, ...]:
    """What PyTorch's `reshape` of such a tensor is: a view where it can be one."""
    view = view_of(t)
    if view.has_dense_strides:
        return ("ViewBackward0", part)
    if view.reshape(infer_size(shape, t.numel())) is not None:
        return ("ReshapeAliasBackward0", part)
    return ("UnsafeViewBackward0", ("CloneBackward0", part))


def linear_node(x: Node, weight: Node) -> Node:
    """x @ weight.T for x of any rank."""
    flat = ops.reshape(x, arg=(prod(x.shape[:-1]), x.shape[-1]))
    return ops.reshape(ops.matmul(flat, ops.swap(weight)), arg=(*x.shape[:-1], weight.shape[0]))


def _scaled(node: Node, factor: Any) -> Node:
    return node if factor == 1 else ops.mul(node, P.scalar(factor, node.dtype, node.device))


def _plus(input: Tensor, product: Tensor, beta: Any, alpha: Any, name: str = "") -> Tensor:
    if name:
        require_same(name, input.dtype, product.dtype)
    _check_expand(shape_of(input), shape_of(product))
    total = product if alpha == 1 else product * alpha
    if beta == 0:
        return total
    return total + (input if beta == 1 else input * beta)


@declare(inplace=True, out="same")
@templated
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2)."""
    c, a, b = nodes_of(input, mat1, mat2)
    for node, name in ((a, "mat1"), (b, "mat2")):
        if len(node.shape) != 2:
            raise RuntimeError(f"{name} must be a matrix, got {len(node.shape)}-D tensor")
    _dtypes("addmm", a, b)
    _check_mm(a, b)
    node = _scaled(_product(a, b), alpha)
    if c.dtype is not node.dtype:
        raise RuntimeError(
            "self and mat2 must have the same dtype, but got "
            f"{P.type_name(c.dtype)} and {P.type_name(b.dtype)}"
        )
    if beta != 0:
        _check_expand(c.shape, node.shape)
        node = ops.add(_scaled(P.spread_to(c, node.shape), beta), node)
    saves = ((1, 2), (2, 1))
    return record("AddmmBackward0", (input, mat1, mat2), (c, a, b), node, saves=saves)


def _check_expand(own: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    lead = len(wanted) - len(own)
    for axis, extent in enumerate(own):
        if lead < 0 or extent not in (1, wanted[lead + axis]):
            raise RuntimeError(
                f"The expanded size of the tensor ({wanted[lead + axis]}) must match the "
                f"existing size ({extent}) at non-singleton dimension {lead + axis}.  Target "
                f"sizes: {extents(wanted)}.  Tensor sizes: {extents(own)}"
            )


@declare(inplace=True, out="same")
@composite("AddmvBackward0", saves=("mat?vec", "vec?mat"))
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    if len(shape_of(input)) > 1:
        ranks = ", ".join(str(len(shape_of(t))) for t in (input, mat, vec))
        raise RuntimeError(f"vector + matrix @ vector expected, got {ranks}")
    return _plus(input, mv(mat, vec), beta, alpha, "addmv")


@declare(inplace=True, out=True)
@composite("AddrBackward0", saves=("vec1?vec2", "vec2?vec1"))
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    product = outer(vec1, vec2)
    if input.dtype is D.bool_ and product.dtype is D.bool_:
        beta, alpha = (b if isinstance(b, float) else bool(b) for b in (beta, alpha))
    return _plus(input, product, beta, alpha)


@declare(inplace=True, out="same")
@composite("BaddbmmBackward0", saves=("batch1?batch2", "batch2?batch1"))
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    if isinstance(batch1, Tensor) and isinstance(batch2, Tensor):
        axis_of(1, batch1.ndim), axis_of(2, batch2.ndim)  # sizes are read before ranks are
        _dtypes("baddbmm", *nodes_of(batch1, batch2))
    return _plus(input, bmm(batch1, batch2), beta, alpha, "baddbmm")


@declare(inplace=True, out="same")
@composite("AddbmmBackward0", saves=("batch1?batch2", "batch2?batch1"))
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    for position, (name, t) in enumerate((("batch1", batch1), ("batch2", batch2)), 2):
        check_tensor(t, "addbmm", name, position)
    axis_of(1, batch1.ndim), axis_of(2, batch2.ndim)  # sizes are read before ranks are
    if shape_of(batch1)[:1] != (0,):
        _dtypes("addmm", *nodes_of(batch1, batch2))
        if batch1.dtype is D.bool_ and batch1.ndim == 3:
            require("mm", D.bool_)
        if isinstance(input, Tensor) and input.dtype is not batch2.dtype:
            raise RuntimeError(
                "self and mat2 must have the same dtype, but got "
                f"{P.type_name(input.dtype)} and {P.type_name(batch2.dtype)}"
            )
    if isinstance(input, Tensor) and input.dtype is D.bool_ and not shape_of(batch1)[0]:
        raise RuntimeError("result type Long can't be cast to the desired output type Bool")
    product = bmm(batch1, batch2)
    if not (product.dtype.is_half and shape_of(product)[0]):
        return _plus(input, product.sum(0, dtype=product.dtype), beta, alpha)
    for left, right in zip(batch1.unbind(0), batch2.unbind(0)):  # rounded after each matrix
        input, beta = addmm(input, left, right, beta=beta, alpha=alpha), 1
    return input


@declare("outer", "ger", out=True)
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Every product of an element of one vector with one of the other."""
    for name, v in (("input", input), ("vec2", vec2)):
        if v.ndim != 1:
            raise RuntimeError(
                f"outer: Expected 1-D argument {'self' if name == 'input' else name}"
                f", but got {v.ndim}-D"
            )
    return input.reshape(-1, 1) * vec2


@declare(out="same")
def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sum of products over the last dims."""
    if not input.ndim or not other.ndim:
        return input * other
    if shape_of(input)[-1] != shape_of(other)[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{extents(shape_of(input))} and {extents(shape_of(other))}"
        )
    return tensordot(input, other, ([-1], [-1]))


@declare(method=False, out="same")
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum of products over the dims named of each."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        left, right = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    elif isinstance(dims, (tuple, list)):
        if len(dims) != 2:
            raise ValueError(f"tensordot expects two lists of dims, but got {len(dims)}")
        for place, named in enumerate(dims):
            argument = ("dims_self", "dims_other")[place]
            check_kind(named, (tuple, list), "tensordot", argument, 3 + place)
        left, right = map(list, dims)
    else:
        raise RuntimeError(
            "tensordot expects dims to be int or tuple[list[int], list[int]] or list[list[int]] "
            f"containing two lists, but got dims={dims}"
        )
    left = [axis_of(d, a.ndim) for d in left]
    right = [axis_of(d, b.ndim) for d in right]
    if len(left) != len(right):
        raise RuntimeError("both dimension lists should have same length")
    for i, j in zip(left, right):
        if a.shape[i] == 1:
            b = b.sum(j, True)
        elif b.shape[j] == 1:
            a = a.sum(i, True)
        elif a.shape[i] != b.shape[j]:
            raise RuntimeError(
                "contracted dimensions need to match, but first has size "
                f"{a.shape[i]} in dim {i} and second has size {b.shape[j]} in dim {j}"
            )
    rest_a = [i for i in range(a.ndim) if i not in left]
    rest_b = [i for i in range(b.ndim) if i not in right]
    width = prod(a.shape[i] for i in left)
    if not rest_a and not rest_b and left:
        return dot(a.permute(*left).reshape(-1), b.permute(*right).reshape(-1)).reshape(())
    x = a.permute(*rest_a, *left).reshape(-1 if width else prod(a.shape[i] for i in rest_a), width)
    y = b.permute(*right, *rest_b).reshape(width, prod(b.shape[i] for i in rest_b))
    shape = [a.shape[i] for i in rest_a] + [b.shape[i] for i in rest_b]
    return mm(x, y).reshape(shape)


@declare()
def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices, from left to right."""
    total = matrices[0]
    for matrix in matrices[1:]:
        total = matmul(total, matrix)
    return total.view(shape_of(total)) if len(matrices) > 2 else total


@declare(out="same")
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The vector product along a dim of size 3, the first one unless it is given."""
    check_tensor(input, "cross")
    check_tensor(other, "cross", "other", 2)
    if dim is None:
        dim = next((i for i, e in enumerate(shape_of(input)) if e == 3), None)
        if dim is None:
            raise RuntimeError("no dimension of size 3 in input")
    return linalg_cross(input, other, dim=dim)


def linalg_cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The vector product along a dim of size 3."""
    check_tensor(input, "linalg_cross")
    check_tensor(other, "linalg_cross", "other", 2)
    if input.ndim != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    axis = axis_of(dim, input.ndim)
    sizes = [shape_of(t)[axis] if t.ndim else 1 for t in (input, other)]
    if sizes != [3, 3]:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {sizes[0]} and "
            f"{sizes[1]}"
        )
    if input.numel():
        require("cross", input.dtype)
    if input.dtype is not other.dtype:
        names = P.type_name(input.dtype), P.type_name(other.dtype)
        raise RuntimeError(f"expected scalar type {names[0]} but found {names[1]}")
    return _cross(input, other, axis)


@composite("LinalgCrossBackward0", saves=("input?other", "other?input"))
def _cross(input: Tensor, other: Tensor, axis: int) -> Tensor:
    shape = P.joint_shape(shape_of(input), shape_of(other))
    a, b = input.expand(shape), other.expand(shape)
    a, b = a.unbind(axis), b.unbind(axis)
    from lazygrad.tensor.joining import stack

    return stack(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]], axis
    )
