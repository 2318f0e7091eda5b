"""`next_functions`, the inputs of a record, are PyTorch's: (None, 0) for those without gradient."""

from __future__ import annotations

import re
from typing import Any

import pytest

import lazygrad as lg

LEAF, NONE = ("AccumulateGrad", 0), (None, 0)
CASES: list[tuple[str, list[Any]]] = [
    ("x + n", [LEAF, NONE]),
    ("n + x", [NONE, LEAF]),
    ("x + x", [LEAF, LEAF]),
    ("x + 1", [LEAF, NONE]),
    ("2 * x", [LEAF, NONE]),
    ("x / 2", [LEAF, NONE]),
    ("1 - x", [LEAF]),
    ("x ** 2", [LEAF]),
    ("n ** x", [NONE, LEAF]),
    ("x @ n", [LEAF, NONE]),
    ("T.dot(n, x)", [NONE, LEAF]),
    ("T.where(x > 0, x, n)", [LEAF, NONE]),
    ("T.cat([x, n, x])", [LEAF, NONE, LEAF]),
    ("T.stack([n, x])", [NONE, LEAF]),
    ("T.maximum(x, n)", [LEAF, NONE]),
    ("T.addcmul(x, n, n)", [LEAF, NONE, NONE]),
    ("T.lerp(n, x, 0.5)", [NONE, LEAF]),
    ("T.atan2(n, x)", [NONE, LEAF]),
    ("x.exp()", [LEAF]),
    ("x.sum()", [LEAF]),
    ("x.gather(0, T.tensor([0]))", [LEAF]),
    ("x.masked_fill(n > 0, 2)", [LEAF]),
    ("n.scatter(0, T.tensor([0]), x)", [NONE, LEAF]),
    ("T.nn.functional.mse_loss(n, x)", [NONE, LEAF]),
    ("T.nn.functional.layer_norm(x, (3,), n, n)", [LEAF, NONE, NONE]),
    ("n.clone().mul_(x)", [NONE, LEAF]),
    ("n.clone().copy_(x)", [NONE, LEAF]),
    ("(x * 1).copy_(n)", [("MulBackward0", 0), NONE]),
    ("(x * 1).copy_(x)", [("MulBackward0", 0), LEAF]),
    ("T.nn.functional.batch_norm(x.view(1, 3), n, n, n, x)", [("ViewBackward0", 0), NONE, LEAF]),
    ("T.nn.functional.batch_norm(x.view(1, 3), n, n)", [("ViewBackward0", 0), NONE, NONE]),
    ("T.nn.functional.prelu(x, T.ones(1))", [LEAF, NONE]),
    (
        "T.nn.functional.conv1d(n.view(1, 1, 3), x.view(1, 1, 3))",
        [NONE, ("ViewBackward0", 0), NONE],
    ),
    ("T.nn.functional.bilinear(x, n, T.ones(2, 3, 3))", [("TrilinearBackward0", 0)]),
]


# The graph behind a call: name, or a list of a name and what it is computed from.
WALKS = """
T.einsum("ij,jk->ik", a, b) | T.einsum("ij,jk->ik", a, n)
T.einsum("ij->j", a) | T.einsum("ii", a)
T.einsum("ii->i", a) | T.einsum("ij,ij->ij", a, b)
T.einsum("ij,ij->", a, b) | T.einsum("bij,jk", c, a)
T.einsum("i,j->ij", x, y) | T.einsum("ij,j->i", a, x) | T.einsum("...ij,...jk->...ik", c, a)
T.einsum("ij,kj->ik", a, b) | T.einsum("i,i->", x, y) | T.einsum("ij->ji", a)
F.linear(x, a) | F.linear(x, a, y) | F.linear(a, b) | F.linear(a, b, x) | F.linear(c, a)
F.linear(c, a, x) | F.linear(n, a, x) | F.linear(a, n, x) | F.linear(a, b, n[0]) | F.linear(c, n, x)
F.linear(c.transpose(0, 1), a) | F.linear(c.unsqueeze(0), a, x)
F.rms_norm(a, (3,)) | F.rms_norm(a, (3,), x) | F.rms_norm(a, (3,), n[0]) | F.rms_norm(n, (3,), x)
T.kron(a, b) | T.kron(x, a) | T.kron(a, n) | T.cdist(a, b) | T.cdist(a, n) | T.cdist(a, b, p=1)
F.normalize(a) | F.normalize(x, dim=0) | F.normalize(a, p=1) | F.pairwise_distance(a, b)
F.cosine_similarity(a, b)
a.repeat_interleave(2) | a.repeat_interleave(2, 1) | a.repeat_interleave(T.tensor([1, 2, 1]), 0)
T.matmul(c, a) | T.matmul(c, x) | T.matmul(x, c) | T.matmul(c, c) | T.matmul(c, c.transpose(1, 2))
T.matmul(c[None].transpose(1, 2), c[None]) | a.t().flatten() | a.t().reshape(9)
T.einsum("ij,jk,kl->il",a,b,a) | T.matmul(a, c) | T.matmul(n, c) | T.matmul(a, c[0])
F.linear(c.transpose(0,1),a,x) | T.median(a) | T.median(a,0)[0] | a.median() | T.nanmedian(a)
T.diag(a) | T.diag(x) | T.diag(a,1) | T.aminmax(a).min | T.aminmax(a,dim=0)[1] | T.rot90(a)
T.rot90(a,2) | T.rot90(a,3) | T.rot90(a,0) | T.block_diag(a,b) | T.block_diag(x,a)
T.block_diag(a,n) | T.renorm(a,2,0,1.) | a.index_add(0,T.tensor([0]),b[:1])
n.index_add(0,T.tensor([0]),b[:1]) | a.index_copy(0,T.tensor([0]),b[:1])
a.index_fill(0,T.tensor([0]),1.) | a.index_put((T.tensor([0]),),x)
(a*1).index_add_(0,T.tensor([0]),b[:1]) | (a*1).index_copy_(0,T.tensor([0]),b[:1])
(a*1).index_fill_(0,T.tensor([0]),1.) | (a*1).index_put_((T.tensor([0]),),x)
a.index_fill(0,T.tensor([0]),y[0]) | (a*1).index_fill_(0,T.tensor([0]),y[0])
T.tensor_split(a,2)[0] | T.tensor_split(a,2)[1] | T.tensor_split(a,(1,))[1] | T.hsplit(a,3)[1]
T.vsplit(a,3)[2] | a.chunk(2)[1] | a.split(1)[2] | T.split(a,[1,2])[1] | T.dsplit(c,3)[1]
T.einsum("i,ij,j->",x,a,y) | T.einsum("ij,ij,ij->i",a,b,a) | T.outer(x,y) | T.inner(a,b)
T.tensordot(a,b,1) | T.tensordot(a,b) | T.dot(x,y) | T.mv(a,x) | T.addmm(n,a,b) | T.baddbmm(c,c,c)
T.addmv(x,a,y) | T.addr(a,x,y) | T.chain_matmul(a,b,a) | T.linalg.multi_dot((a,b,a))
T.std_mean(a)[0] | T.var_mean(a,0)[1] | T.logsumexp(a,0) | T.softmax(a,0) | T.log_softmax(a,0)
T.norm(a) | T.norm(a,1) | a.norm(2,0) | T.linalg.norm(a) | T.linalg.norm(a,1)
T.linalg.matrix_norm(a) | T.linalg.vector_norm(a) | T.nanmean(a) | T.nansum(a) | T.mean(a,0)
T.sum(a,(0,1)) | T.prod(a) | T.prod(a,0) | T.cumsum(a,0) | T.cumprod(a,0) | T.logcumsumexp(a,0)
T.cummax(a,0)[0] | T.max(a) | T.max(a,0)[0] | T.amax(a,0) | T.sort(a)[0] | T.topk(a,1)[0]
T.kthvalue(a,1)[0] | T.mode(a)[0] | T.flatten(c) | T.ravel(a) | T.unflatten(x,0,(3,1))
T.movedim(c,0,1) | T.swapaxes(c,0,1) | T.fliplr(a) | T.flipud(a) | T.roll(a,1) | T.roll(a,1,0)
T.tile(a,(2,1)) | a.repeat(2,1) | a.expand(2,3,3) | T.broadcast_to(x,(2,3)) | T.atleast_3d(a)
T.hstack((a,b)) | T.vstack((x,y)) | T.dstack((x,y)) | T.column_stack((x,a))
T.meshgrid(x,y,indexing="ij")[0] | T.cartesian_prod(x,y) | T.trace(a) | T.diagonal(a)
T.diag_embed(a) | T.diagflat(x) | T.tril(a) | T.triu(a) | T.diff(x) | T.cross(x,y,dim=0)
T.linalg.cross(x,y) | T.take(a,T.tensor([0])) | T.take_along_dim(a,T.tensor([[0]]),0)
T.masked_select(a,n>0) | a[n>0] | a[0] | a[0,1] | a[:,1] | a[...,None] | a[T.tensor([0,1])]
a[0,T.tensor([1])] | T.index_select(a,0,T.tensor([0])) | T.gather(a,0,T.tensor([[0]]))
T.clamp(a,0,1) | T.clamp(a,y,x) | T.clip(a,0) | T.where(n>0,a,1.) | T.lerp(a,b,n)
T.addcdiv(a,b,n) | T.pow(a,b) | T.pow(2.,a) | T.square(a) | T.rsub(a,1) | T.logit(a)
T.logaddexp(a,b) | T.xlogy(a,b) | T.hypot(a,b) | T.fmod(a,b) | T.remainder(a,b) | T.copysign(a,b)
T.nan_to_num(a) | T.frac(a) | T.sinc(a) | T.heaviside(a,b) | T.float_power(a,2)
T.true_divide(a,b) | T.floor_divide(a,b) | T.div(a,b,rounding_mode="floor") | T.deg2rad(a)
F.gelu(a) | F.silu(a) | F.elu(a) | F.leaky_relu(a) | F.softplus(a) | F.relu6(a) | F.hardtanh(a)
F.hardswish(a) | F.hardsigmoid(a) | F.mish(a) | F.selu(a) | F.celu(a) | F.glu(c.view(9,3)[:8].t())
F.logsigmoid(a) | F.softsign(a) | F.tanhshrink(a) | F.softmin(a,0) | F.threshold(a,0,1)
F.softshrink(a) | F.hardshrink(a) | F.prelu(a,x[:1]) | F.mse_loss(a,b) | F.l1_loss(a,b)
F.smooth_l1_loss(a,b) | F.huber_loss(a,b) | F.binary_cross_entropy(a.sigmoid(),n)
F.binary_cross_entropy_with_logits(a,n) | F.kl_div(a,n) | F.cross_entropy(a,T.tensor([0,1,2]))
F.cross_entropy(a,n) | F.nll_loss(a,T.tensor([0,1,2]))
F.cross_entropy(a,T.tensor([0,1,2]),label_smoothing=0.1) | F.layer_norm(a,(3,))
F.layer_norm(a,(3,),x,y) | F.group_norm(c,3) | F.group_norm(c,3,x,y)
F.batch_norm(c,None,None,x,y,True) | F.instance_norm(c) | F.embedding(T.tensor([0]),a)
F.pad(a,(1,1)) | F.pad(a[None],(1,1),"reflect") | F.max_pool1d(c,2) | F.avg_pool1d(c,2)
F.max_pool2d(c,2) | F.avg_pool2d(c,2) | F.adaptive_avg_pool2d(c,2) | F.adaptive_avg_pool2d(c,1)
F.adaptive_avg_pool1d(c,1) | F.conv1d(c,c) | F.conv1d(c,c,x) | F.interpolate(c,size=5)
F.interpolate(c[None],size=5,mode="bilinear") | F.unfold(c[None],2)
F.pixel_shuffle(a.view(1,9,1,1),3) | F.one_hot(T.tensor([0])).float()*a[0,0] | F.dropout(a,0.5)
F.bilinear(x[None],y[None],c,x) | T.linalg.inv(a+T.eye(3)) | T.linalg.solve(a+T.eye(3),b)
T.linalg.det(a+T.eye(3)) | T.linalg.slogdet(a+T.eye(3))[1] | T.linalg.cholesky(n*0+T.eye(3)+a*0)
T.linalg.qr(a+T.eye(3))[0] | T.linalg.svd(a)[1] | T.linalg.eigh(a)[0]
T.linalg.matrix_power(a,3) | T.det(a+T.eye(3)) | T.logdet(a*0+T.eye(3)) | T.inverse(a+T.eye(3))
T.bernoulli(a*0.5) | T.scatter(a,0,T.tensor([[0]]),b) | T.scatter_add(a,0,T.tensor([[0]]),b)
T.scatter_reduce(a,0,T.tensor([[0]]),b,"amax") | T.masked_fill(a,n>0,1.)
T.masked_fill(a,n>0,x[0]) | T.masked_scatter(a,n>0,b) | T.select_scatter(a,x,0,0)
T.slice_scatter(a,b,0) | T.diagonal_scatter(a,x) | T.stack((a,b)) | T.cat((a,b)) | T.unbind(a)[1]
T.narrow(a,0,0,1) | T.as_strided(a,(2,),(1,)) | a.unfold(0,2,1) | T.t(a) | a.mT | a.T | a.double()
a.to(T.float64) | a.type_as(n.double()) | T.bucketize(a.detach(),x.detach()).float()*a
T.histc(a.detach())*x[0] | T.bincount(T.tensor([0,1,2]),x.detach())*x
T.searchsorted(x.detach(),y.detach())*x | T.cov(a) | T.corrcoef(a) | T.std(a,0) | T.var(a)
T.dist(a,b) | T.unique(a.detach())[0]*x | T.logsumexp(a,(0,1)) | a[None,0] | a[0,None] | a[1:,0]
a[1:,1:] | a[...,0] | a[...] | a[:] | a[0:1,...,None] | a[:,:] | a[None] | c[0,:,1] | c[:,0:2,1]
a[True] | a[0:3] | a[0,0:3] | a[0:3,1] | a[T.tensor([0]),1] | a[1:,T.tensor([0])]
a[:,None,T.tensor([0,1])] | c[T.tensor([0]),:,T.tensor([1])] | a[[0,1]] | a[n[0]>0]
"""


def operands(library: Any) -> dict[str, Any]:
    def leaf(*shape: int) -> Any:
        return library.ones(shape, requires_grad=True)

    made = {"a": leaf(3, 3), "b": leaf(3, 3), "c": leaf(3, 3, 3), "x": leaf(3), "y": leaf(3)}
    return {**made, "n": library.ones(3, 3), "T": library, "F": library.nn.functional}


def walk(library: Any, call: str) -> Any:
    names = operands(library)
    leaves = {id(t): name for name, t in names.items()}

    def of(fn: Any, number: int) -> Any:
        if fn is None:
            return None
        name = fn.name().rpartition("::")[2]
        if name == "AccumulateGrad":
            return leaves[id(fn.variable)]
        return [name, number, *(of(*end) for end in fn.next_functions)]

    made = eval(call, names)
    return of(made.grad_fn, made.output_nr)


@pytest.mark.torch
@pytest.mark.parametrize("call", [c.strip() for c in re.split(r"[|\n]", WALKS) if c.strip()])
def test_the_graph_is_pytorchs_to_its_leaves(call: str) -> None:
    assert walk(lg, call) == walk(pytest.importorskip("torch"), call)


def test_steps_of_a_record_are_walked_and_not_hooked() -> None:
    x, w, b = (lg.ones(s, requires_grad=True) for s in ((2, 3), (4, 3), (4,)))
    fn = lg.nn.functional.linear(x, w, b).grad_fn
    (bias, _), (left, _), (step, _) = fn.next_functions
    assert fn.next_functions[2][0] is step and step.name() == "TBackward0"
    assert (bias.variable, left.variable, step.next_functions[0][0].variable) == (b, x, w)
    with pytest.raises(RuntimeError, match="a step of one function"):
        step.register_hook(print)


def inputs(library: Any, call: str) -> list[Any]:
    x, n = library.ones(3, requires_grad=True), library.ones(3)
    found = eval(call, {"T": library, "x": x, "n": n}).grad_fn.next_functions
    return [(None if fn is None else fn.name().rpartition("::")[2], at) for fn, at in found]


@pytest.mark.parametrize(("call", "wanted"), CASES)
def test_next_functions(call: str, wanted: list[Any]) -> None:
    assert inputs(lg, call) == wanted


@pytest.mark.torch
@pytest.mark.parametrize(("call", "wanted"), CASES)
def test_they_are_pytorchs(call: str, wanted: list[Any]) -> None:
    assert inputs(pytest.importorskip("torch"), call) == wanted
