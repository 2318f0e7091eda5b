"""Numbers at their limits: halves, overflow, NaN, infinities, integer division."""

import math


def halves(torch):
    for kind in (torch.float16, torch.bfloat16):
        x = torch.tensor([1.0, 0.1, 65504.0, 1e-7, 2049.0]).to(kind)
        print(
            x, x * 2, x + 1, x.sum(), x.mean(), x.float(), x.exp(), x.sqrt(), x / 3, x == x.float()
        )
        y = (torch.arange(12.0).view(3, 4) / 7).to(kind)
        print(y @ y.T, y.std(), y.cumsum(1), y.norm(), y.max(1), y.softmax(1).dtype)
        yield y.softmax(1), torch.nn.functional.layer_norm(y, (4,))
        total = torch.zeros((), dtype=kind)
        for _ in range(300):
            total += 0.1
        print(total, (torch.ones(3000, dtype=kind)).sum())
    w = torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)
    (w * torch.ones(2)).sum().backward()
    print(w.grad, (w + 1.5).dtype, torch.ones(1).half() + torch.ones(1).bfloat16())


def integer_overflow(torch):
    print(
        torch.tensor([127], dtype=torch.int8) + 1,
        torch.tensor([200], dtype=torch.uint8) + 100,
        -torch.tensor([-128], dtype=torch.int8),
    )
    print(
        torch.tensor([2**31 - 1], dtype=torch.int32) + 1,
        torch.tensor(2**63 - 1) + 1,
        torch.tensor([16], dtype=torch.uint8) ** 2,
    )
    print(
        torch.tensor([0], dtype=torch.uint8) - 1,
        torch.tensor([100], dtype=torch.int8) * 3,
        torch.tensor([1]) << 63,
        torch.tensor([-8]) >> 1,
    )
    print(
        torch.tensor([100, 100], dtype=torch.int8).sum(),
        torch.tensor([200, 100], dtype=torch.uint8).cumsum(0),
        abs(torch.tensor([-128], dtype=torch.int8)),
    )
    print(
        torch.tensor([10], dtype=torch.int32).prod(),
        torch.tensor([7, -7]) // 0.5,
        torch.tensor([3, -3]).float().int(),
        torch.arange(3, dtype=torch.uint8) - torch.tensor([1], dtype=torch.uint8),
    )
    for call in (
        lambda: torch.tensor([1]) // 0,
        lambda: torch.tensor([1]) % 0,
        lambda: torch.tensor([2]) ** -1,
        lambda: torch.tensor([300], dtype=torch.uint8),
        lambda: torch.tensor(2**70),
        lambda: torch.tensor([1]).fill_(2**64),
        lambda: torch.full((1,), -1, dtype=torch.uint8),
        lambda: torch.arange(0, 3, 0),
        lambda: torch.tensor([1, 2]).mean(),
        lambda: torch.tensor([1]).add_(1.5),
        lambda: torch.tensor([True]) - torch.tensor([True]),
        lambda: -torch.tensor([True]),
        lambda: torch.tensor([1]).sqrt_(),
        lambda: torch.tensor([1.0]) & 1,
        lambda: torch.tensor([1.0]) << 1,
        lambda: torch.tensor([1]) @ torch.tensor([1.0]),
    ):
        try:
            print(call())
        except (RuntimeError, ValueError, TypeError, OverflowError) as error:
            print(type(error).__name__, str(error)[:45])


def nan_and_infinity(torch):
    nan, inf = float("nan"), float("inf")
    x = torch.tensor([nan, inf, -inf, 0.0, -0.0, 1.0])
    print(
        x == x,
        x.isnan(),
        x.isinf(),
        x.isfinite(),
        torch.nan_to_num(x),
        x + x,
        x - x,
        1 / x,
        x * 0,
        x.sum(),
        x.nansum(),
        x.signbit(),
    )
    print(
        x.max(),
        x.min(),
        x.argmax(),
        x.sort(),
        x[1:].max(),
        torch.fmax(x, torch.ones(6)),
        torch.maximum(x, torch.ones(6)),
        x.clamp(-1, 1),
        x.sign(),
    )
    print(
        x.sqrt(),
        x.log(),
        x.exp(),
        x.pow(0),
        x**0.5,
        x.round(),
        x.softmax(0),
        x[3:].softmax(0),
        x.nanmedian(),
        x.median(),
        x.unique().numel(),
    )
    print(
        torch.tensor([nan]) == nan,
        torch.allclose(x, x),
        torch.allclose(x, x, equal_nan=True),
        torch.equal(x, x),
        x.any(),
        x.bool(),
        math.isnan(x[0]),
    )
    print(
        torch.tensor([0.0]) / 0,
        torch.tensor([1.0]) / 0,
        torch.tensor([-1.0]) / 0,
        torch.tensor([5.0]) % 0,
        torch.tensor([5.0]) // 0,
        torch.tensor([5.0]) % inf,
    )
    print(
        torch.tensor([-5.0]) % 3,
        torch.fmod(torch.tensor([-5.0]), 3),
        torch.tensor([-5.0]) // 3,
        torch.tensor([5.5]) % -2,
        torch.tensor([-0.0]) + 0,
    )
    print(
        torch.logsumexp(torch.tensor([-inf, -inf]), 0),
        torch.softmax(torch.tensor([-inf, -inf]), 0),
        torch.logsumexp(torch.tensor([1000.0, 1000.0]), 0),
    )
    print(
        torch.tensor([1e38]) * 10,
        torch.tensor([1e-45]) / 2,
        torch.tensor(1e308, dtype=torch.float64) * 10,
        torch.exp(torch.tensor([89.0, -104.0])),
    )
    print(
        torch.where(x.isnan(), torch.zeros(6), x),
        x[~x.isnan()],
        torch.nanmean(x[[0, 3, 5]]),
        x.cumsum(0),
        x.cummax(0),
        x.topk(2),
        x.isposinf(),
        x.isneginf(),
    )
    print(
        torch.sigmoid(torch.tensor([-1000.0, 1000.0])),
        torch.tanh(torch.tensor([1e10])),
        torch.log1p(torch.tensor([-1.0])),
        torch.atan2(x, x.flip(0)),
    )


def conversions(torch):
    x = torch.tensor([1.5, -2.7, 1e10, -0.0])
    print(
        x.int()[:2],
        x.to(torch.int8)[:2],
        x.bool(),
        x.double(),
        x.half(),
        torch.tensor([1e20]).to(torch.float16),
        x.long(),
    )
    print(
        torch.tensor(0.1) == 0.1,
        torch.tensor(0.1).double() == 0.1,
        torch.tensor(0.1, dtype=torch.float64) == 0.1,
        torch.tensor(16777217).float(),
    )
    print(
        torch.tensor(0.1).item() == 0.1,
        torch.tensor(2**53 + 1).double().item(),
        torch.tensor([0.5, 1.5, 2.5]).round(),
        round(torch.tensor(2.5).item()),
    )
    print(
        (torch.tensor(0.1) + torch.tensor(0.2)).item(),
        torch.tensor(0.1).double().item(),
        float(torch.tensor(1 / 3)),
        torch.tensor(1 / 3).tolist(),
    )
    print(
        torch.arange(0, 1, 0.1).numel(),
        torch.arange(0, 1, 0.1)[3] == 0.3,
        torch.linspace(0, 1, 11)[3].item(),
        torch.arange(1, 0, -0.25),
    )
    print(
        torch.tensor([1, 2]) == torch.tensor([1.0, 2.5]),
        torch.tensor([True]) == 1,
        torch.tensor([3]) / torch.tensor([2]),
        torch.tensor(7) // 2.0,
    )
    print(
        torch.tensor([256.7]).to(torch.int32).to(torch.uint8),
        torch.tensor([-1]).to(torch.uint8).int(),
        torch.tensor([1.9, -1.9]).long(),
    )
    print(
        torch.tensor([1.0]).view(torch.int32),
        torch.tensor([1, 2], dtype=torch.int16).view(torch.int8),
        torch.float_power(torch.tensor(2), 3),
    )


def special_names(torch):
    special = torch.special
    x = torch.tensor([-0.9, -0.5, -0.1, 0.0, 0.25, 0.5, 0.8], dtype=torch.float64)
    yield special.erf(x), special.erfc(x.float()), special.expit(x), special.logit(x.abs() + 0.05)
    yield special.expm1(x), special.exp2(x), special.log1p(x), special.xlogy(x, x + 2)
    yield special.sinc(x), special.logsumexp(x, 0), special.softmax(x, 0)
    yield special.log_softmax(x, dim=0), special.round(x, decimals=1)
    yield torch.layer_norm(x, (7,)), torch.prelu(x, x[:1]), torch.selu(x), torch.celu(x)
    yield torch.conv1d(x[None, None], x[None, None, :3]), torch.max_pool1d(x[None], 2)
