"""Matrix products of every number of rows: whatever tiles a block ends with, the sums are exact."""

from __future__ import annotations

import numpy as np
import pytest

import lazygrad as lg


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bfloat16"])
@pytest.mark.parametrize("columns", [1, 10, 16, 33, 48, 600])
def test_products_of_whole_numbers_are_exact(dtype: str, columns: int) -> None:
    rng = np.random.default_rng(columns)
    for rows in (*range(1, 30), 95, 101, 130):
        for depth in (7, 300):
            a, b = rng.integers(-1, 2, (rows, depth)), rng.integers(-1, 2, (depth, columns))
            x, y = (lg.tensor(t).to(getattr(lg, dtype)) for t in (a, b))
            want = (a @ b).tolist()
            assert (x @ y).tolist() == want
            assert (x.t().contiguous().t() @ y.t().contiguous().t()).tolist() == want
