"""Random bits and normal numbers as functions of (seed, draw, stream, position), in numpy.

Owns: Philox4x32-10, the counter-based generator of J. Salmon, M. Moraes, R. Dror and D. Shaw,
"Parallel random numbers: as easy as 1, 2, 3" (SC 2011), the order of its words in a draw, and the
making of normal numbers from them. The bits of every backend are those of this file (for C:
codegen/c/random.h). Must not know: nodes or ops.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U32 = npt.NDArray[np.uint32]
F32 = npt.NDArray[np.float32]


def philox4x32(
    c0: npt.ArrayLike, c1: npt.ArrayLike, c2: npt.ArrayLike, c3: npt.ArrayLike, k0: int, k1: int
) -> tuple[U32, U32, U32, U32]:
    """Four words of random bits for each counter (c0, c1, c2, c3), taken modulo 2^32 and broadcast
    against each other, under the key (k0, k1)."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    a, b, c, d = np.broadcast_arrays(
        *(np.asarray(x).astype(np.uint64) & low for x in (c0, c1, c2, c3))
    )
    for i in range(10):
        p, q = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b, c, d = (
            (q >> half) ^ b ^ np.uint64((k0 + i * 0x9E3779B9) & 0xFFFFFFFF),
            q & low,
            (p >> half) ^ d ^ np.uint64((k1 + i * 0xBB67AE85) & 0xFFFFFFFF),
            p & low,
        )
    return a.astype(np.uint32), b.astype(np.uint32), c.astype(np.uint32), d.astype(np.uint32)


def random_words(seed: int, draw: int, stream: int, count: int) -> U32:
    """The first `count` words of a draw, in blocks of 64: the four words of 16 counters, first the
    16 first ones. So whole vectors of counters give whole vectors of neighbouring elements."""
    blocks = -(-count // 64)
    counter = np.arange(16 * blocks, dtype=np.uint64)
    words = philox4x32(
        counter,
        (counter >> np.uint64(32)) ^ np.uint64(stream << 28),
        draw & 0xFFFFFFFF,
        (draw >> 32) & 0xFFFFFFFF,
        seed & 0xFFFFFFFF,
        (seed >> 32) & 0xFFFFFFFF,
    )
    return np.stack([w.reshape(blocks, 16) for w in words], 1).reshape(-1)[:count]


_LOG: tuple[tuple[float, float], ...] = (
    (-0.128744885, 0.139867067),
    (-0.121883437, 0.140053406),
    (-0.16680181, 0.200104445),
    (-0.249998048, 0.333332151),
)
_SIN = (-0.000195051471, 0.00833209325, -0.166666538)
_COS = (2.44120856e-05, -0.00138871302, 0.0416666418, -0.5, 1.0)


def _horner(x: F32, coefficients: tuple[float, ...]) -> F32:
    total = x * np.float32(coefficients[0]) + np.float32(coefficients[1])
    for c in coefficients[2:]:
        total = total * x + np.float32(c)
    return total


def normals(seed: int, draw: int, stream: int, count: int) -> F32:
    """The first `count` standard normal numbers of a draw, float32, after Box and Muller, "A note
    on the generation of random normal deviates" (1958). Every step is one rounded operation of
    float32 or an exact one, so that all backends give these bits."""
    whole = -(-count // 64) * 64
    words = random_words(seed, draw, stream, whole).reshape(-1, 2, 16).view(np.int32)
    w0, w1 = words[:, 0], words[:, 1]
    half, minus = np.float32(0.5), np.float32(-2)
    u = (((w0 >> 1) & 0x7FFFFFFF).astype(np.float32) + half) * np.float32(2.0**-31)
    k = (u.view(np.int32) - np.int32(0x3F2AAAAB)) & np.int32(-0x800000)  # u = 2^e (1 + r)
    e = k.astype(np.float32) * np.float32(2.0**-23)
    r = (u.view(np.int32) - k).view(np.float32) - np.float32(1)
    q = r * r
    p = _horner(r, _LOG[0])
    for pair in _LOG[1:]:
        p = p * q + _horner(r, pair)
    log = e * np.float32(0.693147181) + ((p * r - half) * q + r)
    radius = np.sqrt(log * minus)
    t = (w1 << 2).astype(np.float32) * np.float32(float.fromhex("0x1.921fb6p-32"))
    z = t * t
    sine = _horner(z, _SIN) * (z * t) + t
    cosine = np.where(w1 < 0, -_horner(z, _COS), _horner(z, _COS))
    swap = (w1 & 0x40000000) != 0
    first = np.where(swap, sine, cosine) * radius
    second = np.where(swap, cosine, sine) * radius
    return np.stack([first, second], 1).reshape(-1)[:count]
