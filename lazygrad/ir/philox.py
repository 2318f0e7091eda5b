"""Philox4x32-10, the counter-based random number generator of J. Salmon, M. Moraes, R. Dror and
D. Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), in numpy: the bits of every
backend (`v_philox4x32xV` in codegen/c/vmath.h for C) are those of this function.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U32 = npt.NDArray[np.uint32]


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
