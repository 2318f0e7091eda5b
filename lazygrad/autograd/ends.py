"""The ends of a backward pass, as users give them: tensors or edges, and gradients to start from.

Owns: what stands for an edge, and the checks of what `backward` and `grad` are given. Must not
know: how a pass runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazygrad.autograd.edges import GradientEdge
from lazygrad.autograd.graph import AccumulateGrad, BaseFn, GradFn
from lazygrad.autograd.late import tensors
from lazygrad.ir import ops


def as_tuple(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, (tensors.core.Tensor, GradientEdge)) else tuple(value)


def _standing_for(edge: GradientEdge) -> Any:
    """A tensor like the one that the edge was got of: its gradient goes where the edge says."""
    fn = edge.node
    if isinstance(fn, AccumulateGrad):
        return fn.variable
    if isinstance(fn, GradFn):
        fn.check()
        node = fn.out_nodes[edge.output_nr]
    else:  # a user's function: the value is not asked for
        node = ops.zeros(*fn._shapes[edge.output_nr])  # type: ignore[attr-defined]
    made = tensors.core.wrap(node)
    tensors.history.attach(made, fn, edge.output_nr)
    return made


def target_of(t: Any) -> tuple[BaseFn, int]:
    if isinstance(t, GradientEdge):
        return t.node, t.output_nr
    edge = tensors.history.edge_of(t)
    if edge is None and t.requires_grad:
        return BaseFn((), 0), 0  # a view made without gradient: nothing leads to it
    if edge is None:
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    return edge


def roots_of(outputs: Any) -> tuple[Any, ...]:
    """What gradients are computed of, as tensors."""
    given = as_tuple(outputs)
    return tuple([_standing_for(t) if isinstance(t, GradientEdge) else t for t in given])


def checked_seeds(roots: Sequence[Any], seeds: Sequence[Any]) -> list[Any]:
    """The gradient to start from at each root: ones for scalars where none is given."""
    core, history = tensors.core, tensors.history
    if len(roots) != len(seeds):
        raise RuntimeError(f"got {len(roots)} tensors and {len(seeds)} gradients")
    result = []
    for i, (root, seed) in enumerate(zip(roots, seeds)):
        shape = core.shape_of(root)
        if seed is None:
            if history.needs_grad(root):
                if root.numel() != 1:
                    raise RuntimeError("grad can be implicitly created only for scalar outputs")
                one = ops.const(1, root.dtype, root._storage.device)
                seed = core.wrap(
                    one
                    if shape == ()
                    else ops.expand(ops.reshape(one, arg=(1,) * len(shape)), arg=shape)
                )
        elif not isinstance(seed, core.Tensor):
            raise TypeError(
                f"gradients can be either Tensors or None, but got {type(seed).__name__}"
            )
        elif core.shape_of(seed) != shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {seed.shape} and "
                f"output[{i}] has a shape of {root.shape}."
            )
        elif seed._storage.shared is not None:
            seed = seed.clone()  # its memory may be written while the gradient is pending
        if history.edge_of(root) is None:
            raise RuntimeError(
                f"element {i} of tensors does not require grad and does not have a grad_fn"
            )
        result.append(seed if seed.dtype is root.dtype else seed.to(root.dtype))
    return result
