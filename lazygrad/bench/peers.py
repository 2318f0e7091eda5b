"""The peers by name: which library, which environment, whether it is installed.

Owns: the list, and what their processes are started with. A peer's library is imported when it is
opened, in a process of its own. Must not know: how any of them is driven.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass, field

from lazygrad.bench.array_peers import CupyPeer, JaxPeer, MlxPeer, NumexprPeer, NumpyPeer
from lazygrad.bench.peer import Peer
from lazygrad.bench.tiny_peer import TinygradPeer
from lazygrad.bench.torch_peers import LazygradPeer, TorchPeer
from lazygrad.runtime.device import HOST

# glibc keeps freed blocks: shows how much of a peer's time is page faults of fresh memory
KEEP = {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=4294967296:"
                          "glibc.malloc.trim_threshold=8589934592"}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A peer as it is listed. `module` must be installed; `compiled` asks for its compiler."""

    name: str
    module: str
    make: type[Peer]
    compiled: bool = False
    env: dict[str, str] = field(default_factory=dict)
    part: str = ""  # of the module, which alone is empty: what is imported

    def installed(self) -> bool:
        return importlib.util.find_spec(self.module) is not None


PEERS: dict[str, Entry] = {
    e.name: e
    for e in (
        Entry("lazygrad", "lazygrad", LazygradPeer),
        Entry("lazygrad_jit", "lazygrad", LazygradPeer, True),
        Entry("numpy", "numpy", NumpyPeer),
        Entry("numexpr", "numexpr", NumexprPeer),
        Entry("torch", "torch", TorchPeer),
        Entry("torch_compile", "torch", TorchPeer, True),
        Entry("torch_keep", "torch", TorchPeer, False, KEEP),
        Entry("jax", "jax", JaxPeer, True),
        Entry("jax_keep", "jax", JaxPeer, True, KEEP),
        Entry("cupy", "cupy", CupyPeer),
        Entry("tinygrad", "tinygrad", TinygradPeer, True, {"TRAINING": "1"}),
        Entry("mlx", "mlx", MlxPeer, True, part=".core"),
    )
}
OURS = ("lazygrad", "lazygrad_jit")
KEEPERS = ("torch_keep", "jax_keep")  # shown, but never the best peer
SLOW_TO_BUILD = ("torch_compile", "tinygrad", "mlx")


def inherited() -> dict[str, str]:
    """This process's variables, but for one that has each process compile Python's text anew."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def environment(entry: Entry, threads: int, device: str = HOST) -> dict[str, str]:
    """What the peer's process is started with: the same number of threads for all, a device."""
    count = str(threads)
    fixed = dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
         "NUMEXPR_MAX_THREADS", "LAZYGRAD_NUM_THREADS"), count,
    )  # fmt: skip
    left = {k: v for k, v in inherited().items() if not k.startswith("OPENBLAS_")}
    fixed |= {
        "BENCH_DEVICE": device,
        "JAX_PLATFORMS": device.partition(":")[0],
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # the device's memory is for all
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    return left | fixed | entry.env
