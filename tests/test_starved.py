"""Kernels that get no memory to work in: an error as of any other allocation, and no crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lazygrad.runtime import compiler

pytestmark = pytest.mark.skipif(
    compiler.compiler() is None or sys.platform != "linux", reason="needs a C compiler and ld.so"
)
# stands before the C library's: nobody else in the process asks for aligned memory
REFUSING = """
#include <stdlib.h>
int refuse;
void *aligned_alloc(size_t alignment, size_t size) {
  void *p;
  return refuse || posix_memalign(&p, alignment, size) ? 0 : p;
}
"""
SCRIPT = """
import ctypes, sys
import numpy as np
import lazygrad as lg
refuse = ctypes.c_int.in_dll(ctypes.CDLL(sys.argv[1]), "refuse")
lg.set_num_threads(int(sys.argv[2]))
data = np.random.default_rng(0).normal(size=(2, 90, 90)).astype(np.float32)
x, y = lg.tensor(data[0]), lg.tensor(data[1])
q = lg.tensor(data)
attention = lg.nn.functional.scaled_dot_product_attention

def attention_gradient():
    leaf = q.clone().requires_grad_(True)
    attention(leaf, q, q).sum().backward()
    return leaf.grad

weights = np.exp(data[0] - data[0].max(1, keepdims=True))
cases = {
    "a product": (lambda: x @ y, data[0] @ data[1], 1e-4),
    "a product of halves": (lambda: (x.half() @ y.half()).float(), data[0] @ data[1], 0.2),
    "a transpose": (lambda: x.T + y, data[0].T + data[1], 0),
    "a softmax": (lambda: x.softmax(1), weights / weights.sum(1, keepdims=True), 1e-6),
    "a sort": (lambda: x.argsort(1), data[0].argsort(1), 0),
    "attention": (lambda: attention(q, q, q), None, 0),
    "its gradient": (attention_gradient, None, 0),
}
jitted = lg.jit(lambda x, y: x @ y)
jitted(x, y).realize()
cases["a replayed product"] = (lambda: jitted(x, y), data[0] @ data[1], 1e-4)
for name, (compute, want, near) in cases.items():
    refuse.value = 1
    try:
        compute().numpy()
    except lg.OutOfMemoryError as error:
        assert isinstance(error, MemoryError) and "a kernel got none" in str(error), name
    else:
        raise AssertionError(f"{name}: nothing raised")
    refuse.value = 0
    found = compute().numpy()
    assert want is None or np.abs(found - want).max() <= near, name
    print(name)
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_no_memory_to_work_in(tmp_path: Path, threads: int) -> None:
    found = compiler.compiler()
    assert found is not None
    source, library = tmp_path / "refusing.c", tmp_path / "refusing.so"
    source.write_text(REFUSING)
    subprocess.run([found.path, "-shared", "-fPIC", source, "-o", library], check=True)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, library, str(threads)],
        env=os.environ | {"LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 8
