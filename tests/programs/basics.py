"""First steps: making tensors, asking what they are, converting and reducing them."""

import math

import numpy as np


def making_tensors(torch):
    print(torch.tensor([[1, 2], [3, 4]]))
    print(torch.tensor([1.5, 2, True]), torch.tensor(3), torch.tensor([]), torch.tensor([[]]).shape)
    print(torch.zeros(2, 3), torch.ones((3,), dtype=torch.int32), torch.full((2, 2), 7))
    print(torch.full((2,), 0.5), torch.full((2,), True), torch.eye(3), torch.eye(2, 4))
    print(torch.arange(5), torch.arange(1, 4), torch.arange(1, 2.5, 0.5), torch.arange(5, 0, -2))
    print(torch.linspace(0, 1, 5), torch.linspace(3, 10, steps=1), torch.logspace(0, 2, 3))
    x = torch.tensor([[1, 2, 3]])
    print(torch.zeros_like(x), torch.ones_like(x, dtype=torch.float), torch.full_like(x, 9))
    print(x.new_zeros(2), x.new_tensor([1.7]), x.new_ones((1, 2)), x.new_full((2,), 3))
    print(torch.as_tensor([1, 2]), torch.as_tensor(x) is x, torch.tensor(range(3)))
    print(torch.tensor([torch.tensor(1), torch.tensor(2)]), torch.tensor([np.float32(1), 2]))
    print(torch.tensor([[True, False]]), torch.tensor("0".isdigit()), torch.empty(0))
    print(
        torch.FloatTensor([1, 2]), torch.LongTensor([1, 2]), torch.Tensor([3]), torch.Tensor(2, 0)
    )
    print(torch.ByteTensor([255]), torch.BoolTensor([True]), torch.DoubleTensor([[1]]))
    print(torch.tril(torch.ones(3, 3)), torch.triu(torch.ones(2, 3), diagonal=1))
    print(torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij"))
    print(torch.cartesian_prod(torch.tensor([1, 2]), torch.tensor([3, 4])))
    print(torch.tril_indices(3, 3), torch.vander(torch.tensor([1.0, 2.0, 3.0])))


def asking_what_they_are(torch):
    x = torch.zeros(2, 3, 4)
    print(
        x.shape, x.size(), x.size(0), x.size(-1), x.ndim, x.dim(), len(x), x.numel(), x.nelement()
    )
    print(
        x.dtype, x.device, x.layout, x.is_contiguous(), x.stride(), x.stride(1), x.storage_offset()
    )
    print(x.mT.shape, x.requires_grad, x.is_leaf, x.grad, x.grad_fn)
    print(
        type(x), type(x.shape), isinstance(x, torch.Tensor), torch.is_tensor(x), torch.is_tensor(1)
    )
    print(x.type(), x.int().type(), x.element_size(), x.is_floating_point(), x.bool().type())
    print(torch.is_floating_point(x), torch.is_complex(x), x.is_cuda, x.nbytes, x.itemsize)
    b, c, *rest = x.shape
    print(b, c, rest, x.shape[1:], x.shape[:-1] + (7,), list(x.shape), tuple(x.size()))
    print(
        x.shape == (2, 3, 4),
        x.shape == torch.Size([2, 3, 4]),
        x.shape.numel(),
        hash(x.shape) == hash((2, 3, 4)),
    )
    print(torch.Size([2, 3]), repr(torch.Size([])), torch.Size([1]) + torch.Size([2]))
    print(
        torch.float32, torch.float, torch.float is torch.float32, torch.long, torch.bool, torch.half
    )
    print(
        torch.finfo(torch.float32).eps, torch.finfo(torch.float16).max, torch.iinfo(torch.int8).min
    )
    print(torch.finfo(torch.bfloat16), torch.iinfo(torch.int32), torch.finfo(torch.float64).tiny)
    print(
        torch.float32.is_floating_point,
        torch.int64.is_signed,
        torch.uint8.is_signed,
        torch.half.itemsize,
    )
    print(
        x.device == torch.device("cpu"),
        torch.device("cpu"),
        repr(x.device),
        x.device.type,
        x.device.index,
    )
    print(torch.numel(x), x.is_sparse, x.is_quantized)
    print(torch.get_default_dtype(), torch.is_grad_enabled(), x.is_inference())


def dtype_conversion(torch):
    x = torch.tensor([-1.7, 0.0, 2.5, 300.9])
    for convert in ("int", "long", "short", "double", "half", "bfloat16", "bool", "float"):
        print(convert, getattr(x, convert)())
    print(
        x.to(torch.int32),
        x.to(torch.float32) is x,
        x.type(torch.int64),
        x.type("torch.DoubleTensor"),
    )
    print(x.to("cpu") is x, x.to(x.double()).dtype, x.type_as(torch.ones(1, dtype=torch.int16)))
    print(x.to(dtype=torch.float64, copy=True), x.to("cpu", torch.int8))
    print(torch.tensor([300, -1, 256]).to(torch.uint8), torch.tensor([128, 200]).to(torch.int8))
    print(
        torch.tensor([0, 2, -3]).bool(), torch.tensor([True, False]).int(), torch.tensor([True]) + 1
    )
    print(
        x.tolist(),
        x.int().tolist(),
        x[2].item(),
        x.int()[3].item(),
        type(x[0].item()),
        type(x.int()[0].item()),
    )
    print(
        torch.tensor(2.7).int().item(),
        int(torch.tensor(2.7)),
        float(torch.tensor(2)),
        bool(torch.tensor(0.1)),
    )
    print(
        torch.tensor([[1, 2]], dtype=torch.float16).tolist(),
        torch.tensor(1.1, dtype=torch.bfloat16).item(),
    )
    print(
        torch.tensor(0.1).item(),
        torch.tensor(0.1, dtype=torch.float64).item(),
        torch.tensor(True).item(),
    )


def promotion(torch):
    kinds = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
    kinds += [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool]
    for a in kinds:
        row = [str(torch.promote_types(a, b)).split(".")[1] for b in kinds]
        assert row == [
            str((torch.ones(2).to(a) + torch.ones(2).to(b)).dtype).split(".")[1] for b in kinds
        ]
        print(str(a).split(".")[1], *row)
    for a in kinds:
        x = torch.ones(2).to(a)
        scalars = [
            x * 2,
            x * 2.0,
            x / 2,
            x // 2 if a != torch.bool else x,
            x**2,
            x * True,
            x + torch.tensor(2.0),
        ]
        print(str(a).split(".")[1], *[str(y.dtype).split(".")[1] for y in scalars])
        print(
            *[
                str(y.dtype).split(".")[1]
                for y in (x.sum(), x.prod(), x.cumsum(0), x.sqrt(), x.exp(), x.max(), x.sort()[0])
            ]
        )
        print(
            *[
                str(y.dtype).split(".")[1]
                for y in (x == 1, x.abs() if a != torch.bool else x, x.sigmoid(), 1 / x, 2**x)
            ]
        )
    print(torch.result_type(torch.tensor([1]), 1.0), torch.can_cast(torch.float, torch.int))
    print((torch.tensor(1) + torch.tensor([1], dtype=torch.int8)).dtype)
    print(
        (torch.tensor(1.0, dtype=torch.float64) * torch.ones(2)).dtype, (torch.tensor(5) / 2).dtype
    )


def default_dtype(torch):
    try:
        torch.set_default_dtype(torch.float64)
        x = torch.tensor([1.0, 2.0])
        print(
            x.dtype, x, torch.zeros(1).dtype, torch.arange(3.0).dtype, (torch.tensor([1]) / 2).dtype
        )
        print(
            torch.tensor([1.0], dtype=torch.float32), torch.get_default_dtype(), torch.rand(1).dtype
        )
        print(
            torch.nn.Linear(2, 2).weight.dtype,
            torch.eye(2).dtype,
            torch.tensor(np.float32(1)).dtype,
        )
        torch.set_default_dtype(torch.float16)
        print(torch.tensor([1.0]).dtype, torch.tensor([1.0, 2.0]), torch.ones(1))
    finally:
        torch.set_default_dtype(torch.float32)
    print(torch.tensor([1.0]).dtype)
    try:
        torch.set_default_dtype(torch.int32)
    except TypeError as error:
        print("TypeError", "only floating-point types are supported" in str(error))


def arithmetic(torch):
    a = torch.tensor([7, -7, 7, -7])
    b = torch.tensor([3, 3, -3, -3])
    print(a // b, a % b, torch.remainder(a, b), torch.fmod(a, b), a / b)
    print(
        torch.div(a, b, rounding_mode="trunc"),
        torch.div(a, b, rounding_mode="floor"),
        torch.floor_divide(a, b),
    )
    print(a.float() // 2, a.float() % 2, -a, abs(a), a**2, 2 ** b.abs(), 10 - a, 1 / b.float())
    print(
        a & 3, a | 8, a ^ b, ~a, a << 1, a >> 1, a.bool() & b.bool(), ~torch.tensor([True, False])
    )
    print(
        a == b, a != -7, a > b, a <= 3, (a > 0) & (b > 0), (a > 0) | (b > 0), torch.logical_not(a)
    )
    x = torch.tensor([0.5, -1.5, 2.5, 3.49])
    print(
        x.round(),
        x.floor(),
        x.ceil(),
        x.trunc(),
        x.frac(),
        x.sign(),
        x.clamp(-1, 1),
        x.clamp(min=0),
    )
    print(
        torch.round(torch.tensor([1.235, 2.345]), decimals=2),
        torch.maximum(x, -x),
        torch.minimum(x, x * 2),
    )
    print(
        x.add(1), x.sub(1, alpha=2), x.mul(2), x.div(4), torch.add(x, x, alpha=10), torch.pow(2, x)
    )
    print(
        torch.lerp(torch.zeros(2), torch.ones(2), 0.3),
        torch.addcmul(x, x, x, value=2),
        torch.hypot(x, x),
    )
    x += 1
    x *= 2
    x -= 0.5
    x /= 4
    print(x, x.reciprocal(), x.square(), x.neg_(), x.abs_(), x)
    n = torch.tensor(5)
    n += 1
    n //= 4
    print(n)


def reductions(torch):
    x = torch.tensor([[1.0, 5.0, 2.0], [4.0, 3.0, 6.0]])
    print(
        x.sum(),
        x.sum(0),
        x.sum(dim=1, keepdim=True),
        x.mean(),
        x.mean(-1),
        x.prod(),
        x.std(),
        x.var(0),
    )
    print(
        x.max(),
        x.max(0),
        x.max(dim=1).values,
        x.min(1)[1],
        x.argmax(),
        x.argmin(dim=1),
        x.median(),
        x.median(1),
    )
    values, indices = x.max(dim=1)
    print(values, indices, torch.max(x, x.flip(0)), x.amax((0, 1)), x.aminmax())
    print(
        x.cumsum(1),
        x.cumprod(0),
        x.cummax(1),
        x.diff(),
        x.norm(),
        x.norm(1, dim=1),
        x.norm(float("inf")),
    )
    print(x.any(), (x > 3).all(), (x > 3).any(1), (x > 3).sum(), torch.count_nonzero(x > 3, dim=1))
    print(
        x.std(1, unbiased=False),
        x.var(correction=0),
        torch.std_mean(x, 1),
        x.logsumexp(1),
        x.mode(1),
    )
    print(
        torch.sum(x > 2),
        x.int().sum(),
        x.int().float().mean(),
        x.quantile(0.5),
        x.nanmean(),
        x.sum((0, 1)),
    )
    print(
        torch.tensor([]).sum(),
        torch.tensor([]).mean(),
        torch.ones(0, 3).sum(0),
        torch.ones(0, 3).prod(1),
    )
    print(
        torch.tensor([3, 1, 2]).sum(),
        torch.tensor([True, True]).sum(),
        torch.trace(x),
        x.kthvalue(2),
    )
    print(
        torch.bucketize(torch.tensor([0.5, 1.5]), torch.tensor([0.0, 1.0, 2.0])),
        torch.dist(x, x + 1),
    )
    print(torch.searchsorted(torch.tensor([1, 3, 5]), torch.tensor([0, 3, 6])), torch.histc(x, 3))
    print(
        torch.bincount(torch.tensor([0, 1, 1, 3])),
        torch.bincount(torch.tensor([0, 1]), torch.tensor([0.5, 2])),
    )


def shapes(torch):
    x = torch.arange(24)
    y = x.view(2, 3, 4)
    print(
        y.shape,
        y.view(-1).shape,
        y.view(6, -1).shape,
        y.reshape(4, 6)[0],
        y.flatten(1).shape,
        y.ravel()[:2],
    )
    print(
        y.permute(2, 0, 1).shape,
        y.transpose(0, 2).shape,
        y.movedim(0, -1).shape,
        y.swapaxes(1, 2).stride(),
    )
    print(
        y.unsqueeze(0).shape,
        y[None].shape,
        y.unsqueeze(-1).squeeze(-1).shape,
        torch.ones(1, 2, 1).squeeze().shape,
    )
    print(
        y.expand(5, 2, 3, 4).shape,
        x[:3].repeat(2, 2),
        x[:3].repeat_interleave(2),
        torch.tile(x[:2], (2,)),
    )
    print(
        torch.cat([y, y], dim=1).shape,
        torch.stack([y, y]).shape,
        torch.hstack([x[:2], x[:2]]),
        torch.vstack([x[:2], x[:2]]),
    )
    print(
        [p.shape for p in y.split(2, dim=2)], [p.tolist() for p in x[:5].chunk(2)], y.unbind(1)[0]
    )
    print(
        x[:6].unfold(0, 3, 1),
        x[:4].roll(1),
        x[:4].flip(0),
        torch.rot90(x[:4].view(2, 2)),
        x[:3].diag(),
    )
    print(
        torch.broadcast_to(x[:3], (2, 3)),
        torch.broadcast_shapes((2, 1), (3,)),
        y.narrow(2, 1, 2).shape,
    )
    print(
        torch.block_diag(torch.ones(1, 1), torch.ones(1, 2)),
        torch.kron(torch.eye(2), torch.ones(1, 2)),
    )
    print(
        x.view(2, 12).T.is_contiguous(),
        x.view(2, 12).T.contiguous().stride(),
        y.unflatten(2, (2, 2)).shape,
    )
    print(
        y.view_as(y.reshape(2, 3, 4)).shape,
        y.expand(-1, -1, -1).shape,
        x.view(4, 6).t().reshape(-1)[:4],
    )
    print(torch.atleast_2d(x[:2]), torch.squeeze(torch.ones(1, 1)), torch.flatten(torch.tensor(3)))
    print(x.view(torch.int32).shape, torch.tensor([1.0]).view(torch.int32))


def matrices(torch):
    a = torch.arange(6.0).view(2, 3)
    b = torch.arange(12.0).view(3, 4)
    print(a @ b, torch.mm(a, b), a.matmul(b), torch.matmul(a, torch.ones(3)), a.mv(torch.ones(3)))
    print(
        torch.bmm(a.expand(2, 2, 3), b.expand(2, 3, 4)).shape,
        (torch.ones(5, 1, 2, 3) @ torch.ones(4, 3, 2)).shape,
    )
    print(
        torch.dot(torch.arange(3), torch.arange(3)),
        torch.outer(torch.arange(2), torch.arange(3)),
        a.inner(a),
    )
    print(torch.addmm(torch.ones(2, 4), a, b, beta=2, alpha=0.5), torch.einsum("ij,jk->ik", a, b))
    print(
        torch.einsum("bij,bij->b", a.expand(2, 2, 3), a.expand(2, 2, 3)),
        torch.einsum("ii", torch.eye(3)),
    )
    print(
        torch.cross(torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0]), dim=0),
        torch.tensordot(a, b, dims=1),
    )
    m = torch.tensor([[4.0, 1.0], [2.0, 3.0]], dtype=torch.float64)
    yield from (
        m.inverse(),
        m.det(),
        torch.linalg.solve(m, torch.ones(2).double()),
        m.matrix_power(3),
    )
    yield from (
        torch.linalg.norm(m),
        torch.linalg.cholesky(m @ m.T),
        m.pinverse(),
        m.logdet(),
        m.slogdet(),
    )
    yield from (torch.linalg.eigvalsh(m @ m.T), torch.linalg.svdvals(m), torch.linalg.cond(m))
    yield torch.linalg.lstsq(m, torch.ones(2, 1).double()).solution
    q, r = torch.linalg.qr(m)
    yield q @ r
    print(
        torch.linalg.matrix_rank(m),
        (q.T @ q).round(decimals=6).abs(),
        m.trace(),
        m.diagonal(),
        m.diag(),
    )


def constants_and_elementary_functions(torch):
    print(torch.pi, torch.e, torch.inf, torch.nan, math.pi == torch.pi, torch.newaxis)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    names = "exp expm1 sin cos tan sinh cosh tanh atan asinh sigmoid erf erfc square relu softplus gelu silu"
    for name in names.split():
        f = getattr(torch, name, None) or getattr(torch.nn.functional, name)
        yield f(x)
        yield f(x.float())
    for name in "log log2 log10 log1p sqrt rsqrt acos asin atanh acosh".split():
        yield getattr(torch, name)(x)
    yield torch.atan2(x, x.flip(0) + 0.1)
    yield torch.softmax(x, 0), torch.log_softmax(x, 0), torch.nn.functional.logsigmoid(x)
    yield (
        torch.deg2rad(x),
        torch.rad2deg(x),
        torch.sinc(x),
        torch.logit(x / 5 + 0.5),
        torch.logaddexp(x, -x),
    )
