"""Random numbers: the same bits however they are made, golden values, and distributions.

The statistical tests have fixed seeds, so they pass or fail once and for all; their bounds are
five standard deviations or a p-value of 1e-4.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
import on_device
import pytest

import lazygrad as lg
from lazygrad.config import config
from lazygrad.ir.philox import normals, random_words
from lazygrad.runtime import library

SEED = 20260101
Maker = Callable[[], lg.Tensor]

DRAWS: dict[str, Maker] = {
    "rand": lambda: lg.rand(301),
    "rand float64": lambda: lg.rand(301, dtype=lg.float64),
    "rand float16": lambda: lg.rand(301, dtype=lg.float16),
    "rand bfloat16": lambda: lg.rand(301, dtype=lg.bfloat16),
    "randn": lambda: lg.randn(7, 43),
    "randn float64": lambda: lg.randn(301, dtype=lg.float64),
    "randn float16": lambda: lg.randn(301, dtype=lg.float16),
    "randint": lambda: lg.randint(-5, 90, (301,)),
    "randint 1e6": lambda: lg.randint(1_000_000, (301,)),
    "randint 1e15": lambda: lg.randint(10**15, (301,)),
    "randperm": lambda: lg.randperm(301),
    "normal": lambda: lg.normal(2.0, 3.0, (301,)),
    "bernoulli": lambda: lg.bernoulli(lg.full((301,), 0.3)),
    "multinomial": lambda: lg.multinomial(lg.arange(1.0, 20.0), 301, True),
    "multinomial without": lambda: lg.multinomial(lg.arange(1.0, 400.0), 301),
    "uniform_": lambda: lg.empty(301).uniform_(-2, 5),
    "normal_": lambda: lg.empty(301).normal_(1, 2),
    "exponential_": lambda: lg.empty(301).exponential_(2.5),
    "bernoulli_": lambda: lg.empty(301).bernoulli_(0.7),
    "random_": lambda: lg.empty(301, dtype=lg.int64).random_(17),
    "dropout": lambda: lg.nn.functional.dropout(lg.ones(301), 0.25),
}

# blake2b of the values' bytes with seed SEED, on any backend
GOLDEN = {
    "rand": "7d7c22c00051",
    "rand float64": "e73cedbd1841",
    "rand float16": "2f5fa985d7df",
    "rand bfloat16": "ff7521f1e666",
    "randn": "4f66125ed21a",
    "randn float64": "7c00a525aa03",
    "randn float16": "99f0861419b2",
    "randint": "18081f062657",
    "randint 1e6": "ca895a027b84",
    "randint 1e15": "cd3a507fab1c",
    "randperm": "31355e89e0c6",
    "normal": "9f964123beac",
    "bernoulli": "092122ed07c9",
    "multinomial": "5190a5618d0b",
    "multinomial without": "c6fe7f507512",
    "uniform_": "d559154e8396",
    "normal_": "38e48263fd91",
    "exponential_": "cb7fa68bccee",
    "bernoulli_": "e71b91be446b",
    "random_": "f15a898fb3ee",
    "dropout": "4651e62acfcc",
}


def made(name: str) -> lg.Tensor:
    lg.manual_seed(SEED)
    return DRAWS[name]()


def values(tensor: lg.Tensor) -> np.ndarray:
    wide = tensor.float() if tensor.dtype in (lg.float16, lg.bfloat16) else tensor
    return np.array(wide.numpy())


def digest(tensor: lg.Tensor) -> str:
    return hashlib.blake2b(values(tensor).tobytes(), digest_size=6).hexdigest()


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    runtime = library.runtime()
    before = runtime.lg_get_threads()
    yield runtime.lg_set_threads
    runtime.lg_set_threads(before)


# made by a logarithm or a cosine, whose last bit may differ between backends
ROUNDED = ("randn float64", "exponential_")


@pytest.mark.parametrize("name", DRAWS)
def test_golden_values(name: str) -> None:
    if name in ROUNDED and on_device.name() != on_device.HOST:
        return  # the next test compares them
    assert digest(made(name)) == GOLDEN[name]


@pytest.mark.parametrize("name", DRAWS)
def test_golden_values_by_the_interpreter(name: str) -> None:
    want = values(made(name))
    before, config.backend = config.backend, "interp"
    try:
        got = values(made(name))
    finally:
        config.backend = before
    if name in ROUNDED:
        assert np.allclose(got, want, rtol=4 * np.finfo(got.dtype).eps, atol=0)
    else:
        assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize("name", ["rand", "randn", "randint", "dropout"])
def test_bits_do_not_depend_on_how_they_are_computed(name: str) -> None:
    want = values(made(name))
    shape = want.shape
    alone = made(name)
    alone.realize()
    assert np.array_equal(values(alone), want)
    fused = (made(name).double() * 2).sum()  # in a reduction
    assert fused.item() == (lg.tensor(want).double() * 2).sum().item()
    x = made(name)
    part = x.reshape(-1)[5::3]
    assert np.array_equal(values(part.contiguous()), want.reshape(-1)[5::3])
    assert np.array_equal(values(made(name).flip(0)), want[::-1])
    assert np.array_equal(values(made(name).reshape(7, 43).T.contiguous()), want.reshape(7, 43).T)
    padded = lg.nn.functional.pad(made(name).reshape(7, 43).double(), (3, 2, 1, 1))
    assert np.array_equal(values(padded), np.pad(want.reshape(7, 43), ((1, 1), (3, 2))))
    wide = made(name).reshape(7, 43)[:, 5:6].expand(7, 9).double() + 0.5
    column = want.reshape(7, 43)[:, 5:6].astype(np.float64)
    assert np.array_equal(values(wide), np.repeat(column, 9, 1) + 0.5)
    later = made(name)
    lg.rand(1000).realize()  # another draw first
    assert np.array_equal(values(later), want) and later.shape == shape


@pytest.mark.parametrize("count", [1, 2, 3, 5, 16])
def test_bits_do_not_depend_on_threads(threads: Callable[[int], None], count: int) -> None:
    n = 300_007
    threads(count)
    lg.manual_seed(9)
    a, b = lg.randn(n).numpy(), lg.rand(n).numpy()
    assert np.array_equal(a, normals(9, 0, 0, n))
    want = (random_words(9, 1, 0, n) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    assert np.array_equal(b, want)


def test_normal_numbers_are_those_of_the_formula() -> None:
    """Every normal number against Box and Muller in float64, the tail included."""
    n = 1 << 18
    words = random_words(3, 4, 1, n).reshape(-1, 2, 16)
    w0, w1 = words[:, 0], words[:, 1].view(np.int32)
    u = ((w0 >> 1).astype(np.float64) + 0.5) / 2**31
    angle = (w1 << 2).astype(np.float64) * (math.pi / 4 / 2**31)
    cosine = np.where(w1 < 0, -np.cos(angle), np.cos(angle))
    swap = (w1 & 0x40000000) != 0
    pair = np.where(swap, np.sin(angle), cosine), np.where(swap, cosine, np.sin(angle))
    radius = np.sqrt(-2 * np.log(u))
    want = np.stack([radius * part for part in pair], 1).reshape(-1)
    got = normals(3, 4, 1, n).astype(np.float64)
    near_one = np.stack([radius < 0.02, radius < 0.02], 1).reshape(-1)  # u is rounded to 2^-24
    error = np.abs(got - want) / np.maximum(np.abs(want), 0.1)
    assert error[~near_one].max() < 2e-5 and np.abs(got - want)[near_one].max() < 1e-3
    big = np.abs(want) > 4
    assert big.sum() > 5 and error[big].max() < 5e-7


# -- state -------------------------------------------------------------------------------------


def test_state_and_forks() -> None:
    lg.manual_seed(4)
    first = lg.rand(5).tolist()
    state = lg.get_rng_state()
    second = lg.rand(5).tolist()
    lg.set_rng_state(state)
    assert lg.rand(5).tolist() == second
    with lg.random.fork_rng():
        lg.manual_seed(99)
        lg.rand(3)
    third = lg.rand(5).tolist()
    lg.set_rng_state(state)
    assert lg.rand(5).tolist() == second and lg.rand(5).tolist() == third
    assert len({tuple(draw) for draw in (first, second, third)}) == 3
    assert lg.initial_seed() == 4 and lg.manual_seed(4).initial_seed() == 4
    assert lg.rand(5).tolist() == first
    assert lg.manual_seed(-1).initial_seed() == 2**64 - 1


def test_generators_are_independent() -> None:
    a, b = lg.Generator().manual_seed(1), lg.Generator().manual_seed(2)
    lg.manual_seed(1)
    want = lg.rand(4).tolist()
    assert lg.rand(4, generator=a).tolist() == want != lg.rand(4, generator=b).tolist()
    kept = a.get_state()
    more = lg.randn(4, generator=a).tolist()
    assert lg.randn(4, generator=a.set_state(kept)).tolist() == more
    with pytest.raises(TypeError):
        a.set_state(lg.zeros(16))
    with pytest.raises(RuntimeError):
        a.set_state(lg.zeros(3, dtype=lg.uint8))


# -- distributions -----------------------------------------------------------------------------

N = 1 << 18


def kolmogorov(sample: np.ndarray, distribution: Callable[[np.ndarray], np.ndarray]) -> float:
    """The p-value of the Kolmogorov-Smirnov statistic, by its limit (Kolmogorov 1933)."""
    x = np.sort(sample.reshape(-1).astype(np.float64))
    n = len(x)
    f = distribution(x)
    d = max((np.arange(1, n + 1) / n - f).max(), (f - np.arange(n) / n).max())
    t = d * math.sqrt(n)
    return 2 * sum((-1) ** (k - 1) * math.exp(-2 * k * k * t * t) for k in range(1, 101))


def chi_square_z(counts: np.ndarray, shares: np.ndarray) -> float:
    """Pearson's statistic as a normal deviate (Wilson and Hilferty 1931)."""
    expected = shares * counts.sum()
    statistic = ((counts - expected) ** 2 / expected).sum()
    k = len(counts) - 1
    return ((statistic / k) ** (1 / 3) - (1 - 2 / (9 * k))) / math.sqrt(2 / (9 * k))


def correlation_z(x: np.ndarray, lag: int) -> float:
    a, b = x[:-lag] - x.mean(), x[lag:] - x.mean()
    return float((a * b).mean() / x.var() * math.sqrt(len(a)))


phi = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)))
CONTINUOUS: dict[str, tuple[Maker, Callable[[np.ndarray], np.ndarray]]] = {
    "rand": (lambda: lg.rand(N), lambda x: x),
    "rand float64": (lambda: lg.rand(N, dtype=lg.float64), lambda x: x),
    "randn": (lambda: lg.randn(N), phi),
    "randn float64": (lambda: lg.randn(N, dtype=lg.float64), phi),
    "normal": (lambda: lg.normal(-1.0, 2.0, (N,)), lambda x: phi((x + 1) / 2)),
    "uniform_": (lambda: lg.empty(N).uniform_(-3, 1), lambda x: (x + 3) / 4),
    "exponential_": (lambda: lg.empty(N).exponential_(2.0), lambda x: 1 - np.exp(-2 * x)),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_distributions(name: str) -> None:
    make, distribution = CONTINUOUS[name]
    lg.manual_seed(SEED)
    x = make().numpy().astype(np.float64)
    assert np.isfinite(x).all()
    assert kolmogorov(x, distribution) > 1e-4
    for lag in (1, 2, 15, 16, 17, 32, 64, 4096):
        assert abs(correlation_z(x, lag)) < 5, lag
        assert abs(correlation_z(x**2, lag)) < 5, lag
    for part in range(4):  # words of a counter
        assert kolmogorov(x.reshape(-1, 4, 16)[:, part], distribution) > 1e-4


def test_moments_and_tails_of_the_normal_distribution() -> None:
    lg.manual_seed(SEED)
    n = 1 << 21
    x = lg.randn(n).numpy().astype(np.float64)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((x**power).mean() - moment) < 5 * math.sqrt(variance / n), power
    for limit in (2.0, 3.0, 4.0):
        share = math.erfc(limit / math.sqrt(2))
        count = int((np.abs(x) > limit).sum())
        assert abs(count - n * share) < 5 * math.sqrt(n * share), limit
    pairs = x.reshape(-1, 2, 16)  # both numbers of a pair have the radius in common
    angle = np.arctan2(pairs[:, 1], pairs[:, 0]).reshape(-1)
    counts = np.histogram(angle, 64, (-math.pi, math.pi))[0]
    assert abs(chi_square_z(counts, np.full(64, 1 / 64))) < 5
    squares = (pairs**2).sum(1).reshape(-1)
    assert kolmogorov(squares, lambda v: 1 - np.exp(-v / 2)) > 1e-4


def test_float_steps() -> None:
    """All multiples of 2^-24 (2^-11 in float16) can occur, 1 cannot."""
    lg.manual_seed(SEED)
    x = lg.rand(N).numpy()
    scaled = x.astype(np.float64) * 2**24
    assert (scaled == np.floor(scaled)).all() and x.max() < 1 and (scaled % 2).any()
    half = lg.rand(N, dtype=lg.float16)
    assert half.max().item() == 1 - 2.0**-11
    assert lg.rand(N, dtype=lg.bfloat16).max().item() == 1 - 2.0**-8


DISCRETE: dict[str, tuple[Maker, list[float]]] = {
    "randint 7": (lambda: lg.randint(7, (N,)), [1 / 7] * 7),
    "randint 5000": (lambda: lg.randint(5000, (N,)) // 500, [0.1] * 10),
    "randint 2**40": (lambda: lg.randint(2**40, (N,)) // 2**36, [1 / 16] * 16),
    "bernoulli": (lambda: lg.bernoulli(lg.full((N,), 0.3)).long(), [0.7, 0.3]),
    "bernoulli_": (lambda: lg.empty(N).bernoulli_(0.9).long(), [0.1, 0.9]),
    "dropout": (lambda: (lg.nn.functional.dropout(lg.ones(N), 0.2) > 0).long(), [0.2, 0.8]),
    "random_": (lambda: lg.empty(N, dtype=lg.int64).random_(3, 8) - 3, [0.2] * 5),
    "multinomial": (
        lambda: lg.multinomial(lg.tensor([1.0, 0.0, 4.0, 5.0]), N // 4, True),
        [0.1, 0.0, 0.4, 0.5],
    ),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_distributions(name: str) -> None:
    make, shares = DISCRETE[name]
    lg.manual_seed(SEED)
    x = make().numpy()
    counts = np.bincount(x, minlength=len(shares))
    assert len(counts) == len(shares)
    there = np.array(shares) > 0
    assert (counts[~there] == 0).all()
    assert abs(chi_square_z(counts[there], np.array(shares)[there])) < 5
    assert abs(correlation_z(x.astype(np.float64), 1)) < 5


def test_permutations() -> None:
    lg.manual_seed(SEED)
    seen = np.zeros(24)
    orders = {p: i for i, p in enumerate(sorted(itertools.permutations(range(4))))}
    keys = lg.rand(4800, 4).argsort(1).tolist()
    for row in keys:
        seen[orders[tuple(row)]] += 1
    assert abs(chi_square_z(seen, np.full(24, 1 / 24))) < 5
    p = lg.randperm(100_000).numpy()
    assert np.array_equal(np.sort(p), np.arange(100_000))
    assert abs(correlation_z(p.astype(np.float64), 1)) < 5
    assert abs(np.corrcoef(p, np.arange(100_000))[0, 1]) * math.sqrt(100_000) < 5


def test_multinomial_without_replacement() -> None:
    """Of weights 1, 2, 1 two are drawn: {0, 2} has probability 2 * 1/4 * 1/3 = 1/6."""
    lg.manual_seed(SEED)
    rows = lg.multinomial(lg.tensor([1.0, 2.0, 1.0]).expand(20_000, 3), 2).numpy()
    assert (rows[:, 0] != rows[:, 1]).all()
    share = ((rows == 0).any(1) & (rows == 2).any(1)).mean()
    assert abs(share - 1 / 6) < 5 * math.sqrt(5 / 36 / 20_000)
    assert abs((rows[:, 0] == 1).mean() - 0.5) < 5 * math.sqrt(0.25 / 20_000)
