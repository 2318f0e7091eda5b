"""Matrix products that are generated, on a GPU without cuBLAS: tiles that end within a matrix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.codegen.cuda import product
from lazygrad.codegen.cuda.product import Form
from lazygrad.codegen.gemm import gemm_dims
from lazygrad.ir.dtypes import float16, float32, float64
from lazygrad.runtime.cuda.device import Backend
from lazygrad.runtime.device import device

if not lg.cuda.is_available():
    pytest.skip("needs a GPU, or `make test-emulated`", allow_module_level=True)

# rows, columns, depth: less than a tile, whole tiles, ends within one, an access or two at the end
SIZES = [
    (1, 1, 1),
    (3, 5, 7),
    (64, 64, 64),
    (65, 130, 17),
    (128, 128, 16),
    (132, 260, 36),
    (8, 4, 0),
]
DTYPES = [lg.float32, lg.float64, lg.float16, lg.bfloat16, lg.int32, lg.int64, lg.uint8]
forms: list[Form] = []


@pytest.fixture(autouse=True)
def generated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No cuBLAS, and large tiles for small products too; notes the forms that are taken."""
    backend = device("cuda:0")
    assert isinstance(backend, Backend)
    monkeypatch.setitem(backend.__dict__, "blas", None)
    monkeypatch.setattr(product, "BUSY", 2)
    real = product.product_form

    def noted(*args: object) -> Form:
        forms.append(real(*args))  # type: ignore[arg-type]
        return forms[-1]

    monkeypatch.setattr(product, "product_form", noted)
    forms.clear()
    yield


def matrices(dtype: lg.dtype, *shape: int) -> tuple[lg.Tensor, np.ndarray]:
    rng = np.random.default_rng(sum(shape))
    made = lg.tensor(rng.integers(-4, 5, shape).astype(np.float32)).to(dtype)
    return made.cuda().realize(), made.double().numpy()


def check(got: lg.Tensor, want: np.ndarray) -> None:
    if got.dtype == lg.uint8:
        want = want % 256
    tolerance = {lg.float16: 1e-3, lg.bfloat16: 8e-3}.get(got.dtype, 0)  # integers: exact sums
    np.testing.assert_allclose(got.double().cpu().numpy(), want, rtol=tolerance, atol=0)


@pytest.mark.parametrize(
    "dtype, size",
    [(d, s) for d in DTYPES for s in (SIZES if d == lg.float32 else SIZES[3:6:2])],
    ids=str,
)
def test_ragged_sizes_and_transposes(size: tuple[int, int, int], dtype: lg.dtype) -> None:
    m, n, k = size
    a, wide_a = matrices(dtype, m, k)
    b, wide_b = matrices(dtype, k, n)
    at, bt = a.t().contiguous().realize(), b.t().contiguous().realize()
    for x in (a, at.t()):
        for y in (b, bt.t()):
            check(x @ y, wide_a @ wide_b)
    assert len(forms) == 4 if k else True


def test_batches_and_parts() -> None:
    a, wide_a = matrices(lg.float32, 3, 70, 40)
    b, wide_b = matrices(lg.float32, 3, 40, 72)
    check(a @ b, wide_a @ wide_b)
    check(a[:, 1:, 4:36] @ b[:, 4:36, 3:], wide_a[:, 1:, 4:36] @ wide_b[:, 4:36, 3:])
    check(a[1] @ b, wide_a[1] @ wide_b)


def test_all_kinds_of_accesses_are_taken() -> None:
    a, _ = matrices(lg.float32, 260, 64)
    b, _ = matrices(lg.float32, 64, 260)
    for x, y in ((a, b), (a.t().contiguous().realize().t(), b), (a, b.t().contiguous().t())):
        (x @ y).tolist()
    (a[:, 1:] @ b[1:]).tolist()
    assert [form.name for form in forms] == ["128kow", "128oow", "128kkw", "64xow"]


def test_what_fits_is_read_16_bytes_at_a_time() -> None:
    def form(dtype: lg.dtype, m: int, n: int, k: int, offset: int = 0) -> str:
        dims = gemm_dims(m, n, k, ([(m, k)], [(k, 1)]), ([(k, n)], [(n, 1)]), (n, 1))
        return product.product_form(dtype, dims, (offset, 0)).name

    assert form(float32, 1024, 1024, 1024) == "128kow"
    assert form(float32, 1024, 1024, 1022) == "64xow"
    assert form(float32, 1024, 1022, 1024) == "64kx"
    assert form(float32, 1024, 1024, 1024, 2) == "64xow"
    assert form(float16, 1024, 1024, 1024) == "128kow"
    assert form(float16, 1024, 1028, 1024) == "64kow"
    assert form(float64, 1024, 1024, 1024) == "64kow"
