"""What each promise of the semantics rests on: break the code in one place, and a test fails.

    python tests/planted_faults.py            every fault, one after the other: about ten minutes
    python tests/planted_faults.py version    those whose promise has one of the words in it

Each fault is one replacement in a copy of the library, and the tests that have to notice it,
without PyTorch. A
fault that no test notices is a check that proves nothing: the command says which, and exits with 1.
test_planted_faults.py holds the list to the code as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Fault:
    promise: str
    file: str  # below lazygrad/
    old: str  # occurs once
    new: str
    tests: str  # files and what -k selects of them


FAULTS = [
    # -- views
    Fault(
        "a write through a view is seen by all",
        "tensor/storage.py",
        "        storage.node = ops.update(storage.node, value, arg=view)\n",
        "        ops.update(storage.node, value, arg=view)\n",
        "tests/test_semantics.py -k writes_through_views",
    ),
    Fault(
        "writes to repeated elements are refused",
        "tensor/aliasing.py",
        "    if not may_repeat and repeated_axes(t):\n",
        "    if False:\n",
        "tests/test_semantics.py -k self_overlapping",
    ),
    Fault(
        "overlapping operands are refused",
        "tensor/aliasing.py",
        "    if last < low or high < first:\n        return\n",
        "    return\n",
        "tests/test_semantics.py tests/test_out.py",
    ),
    Fault(
        "a reader recorded before a write to shared memory keeps the old value",
        "tensor/storage.py",
        ".isdisjoint(toposort(nodes)):\n        realize_nodes(nodes)\n",
        ".isdisjoint(toposort(nodes)):\n        pass\n",
        "tests/test_semantics.py -k numpy_shares",
    ),
    Fault(
        "a look at one operand does not settle what was read of another",
        "tensor/convert.py",
        "    if len(reads) > before:\n        used_up(before)\n",
        "    if reads:\n        used_up(0)\n",
        "tests/test_shared_calls.py -k select",
    ),
    # -- autograd
    Fault(
        "a saved tensor that was changed in place is noticed by its version",
        "autograd/saved.py",
        "    if now != version:\n",
        "    if False:\n",
        "tests/test_autograd.py -k writes_to_saved",
    ),
    Fault(
        "in-place on a leaf that requires a gradient is refused",
        "tensor/aliasing.py",
        "    if wanted and meta.fn is None:\n",
        "    if False:\n",
        "tests/test_autograd.py -k refusals",
    ),
    Fault(
        "in-place on a view of a leaf is refused",
        "tensor/aliasing.py",
        "        if wanted and (base._meta is None or base._meta.fn is None):\n",
        "        if False:\n",
        "tests/test_autograd.py -k refusals",
    ),
    Fault(
        "in-place on one of several views is refused",
        "tensor/aliasing.py",
        'meta_of(part).creation = "multi" if before else "no_grad"',
        'meta_of(part).creation = ""',
        "tests/test_autograd.py -k views_made_together",
    ),
    Fault(
        "a second backward without retain_graph is refused",
        "autograd/graph.py",
        "            raise RuntimeError(SECOND_TIME)\n        if self.outline",
        "            pass\n        if self.outline",
        "tests/test_autograd.py -k second_backward",
    ),
    Fault(
        "create_graph records the gradients",
        "autograd/engine.py",
        "            meta.grad = value if self.create else core.wrap(core.node_of(value))\n",
        "            meta.grad = core.wrap(core.node_of(value))\n",
        "tests/test_autograd.py -k 'record_the_gradients'",
    ),
    Fault(
        "autograd.grad refuses unused inputs",
        "autograd/engine.py",
        "        if result is None and not allow_unused:\n",
        "        if False:\n",
        "tests/test_autograd.py -k 'refusals or grad_function'",
    ),
    Fault(
        "autograd.grad takes batched grad_outputs",
        "autograd/engine.py",
        "[s[i] for s in seeds]",
        "[s[0] for s in seeds]",
        "tests/test_autograd_torch.py -k 'batches'",
    ),
    Fault(
        "hooks of tensors change gradients",
        "autograd/engine.py",
        "            value = changed\n    return value\n",
        "            pass\n    return value\n",
        "tests/test_autograd.py -k hooks",
    ),
    Fault(
        "retain_grad keeps the gradient of the last value",
        "autograd/engine.py",
        "                meta.grad = value if meta.grad is None else meta.grad + value\n",
        "                meta.grad = value\n",
        "tests/test_autograd.py -k retain",
    ),
    Fault(
        "modes are restored at the end of a block",
        "autograd/modes.py",
        "        mode.grad, mode.inference = self._saved.pop()\n",
        "        self._saved.pop()\n",
        "tests/test_autograd.py -k modes",
    ),
    Fault(
        "tensors of inference mode are not written outside of it",
        "tensor/aliasing.py",
        "    if t._storage.inference and not mode.inference:\n",
        "    if False:\n",
        "tests/test_autograd_torch.py -k 'inference_tensors'",
    ),
    Fault(
        "once_differentiable refuses a second derivative",
        "autograd/function.py",
        "        wrapped = tuple(_refuse(r) if isinstance(r, Tensor) else r for r in many)\n",
        "        wrapped = many\n",
        "tests/test_autograd.py -k once",
    ),
    Fault(
        "gradcheck finds a wrong gradient",
        "autograd/gradcheck.py",
        "            if not np.allclose(found, wanted, rtol, atol, equal_nan=True):\n",
        "            if False:\n",
        "tests/test_autograd.py -k gradcheck",
    ),
    Fault(
        "anomaly mode names the forward line",
        "autograd/engine.py",
        "        if mode.check_nan:\n",
        "        if False:\n",
        "tests/test_autograd.py -k anomaly",
    ),
    Fault(
        "next_functions can be walked in the order of the arguments",
        "autograd/graph.py",
        "            return walk(self, inputs)\n",
        "            return walk(self, inputs[::-1])\n",
        "tests/test_next_functions.py tests/test_autograd.py -k 'names or next'",
    ),
    Fault(
        "subgradients at ties are PyTorch's: maximum",
        "ir/ops/pointwise.py",
        "    half = div(g, lit(2, g))\n    tie = eq(a, b)\n",
        "    half = g\n    tie = eq(a, b)\n",
        "tests/test_autograd.py -k ties",
    ),
    Fault(
        "subgradients at ties are PyTorch's: amax",
        "ir/ops/reduce.py",
        "    share = div(g, sum_(chosen, arg=arg))\n",
        "    share = g\n",
        "tests/test_autograd.py -k ties",
    ),
    # -- numpy
    Fault(
        "from_numpy shares memory",
        "tensor/numpy_bridge.py",
        "    value_read(FROM_NUMPY)\n",
        "    value_read(FROM_NUMPY)\n    array = array.copy()\n",
        "tests/test_semantics.py -k numpy_shares",
    ),
    Fault(
        "__array__ with copy=True is a copy",
        "tensor/numpy_bridge.py",
        "    return shared.copy() if copy else shared\n",
        "    return shared\n",
        "tests/test_protocols.py tests/test_semantics.py",
    ),
    Fault(
        "ndarray * tensor is the tensor's affair",
        "tensor/core.py",
        "    __array_priority__ = 1000\n",
        "    __array_priority__ = -1000\n",
        "tests/test_protocols.py tests/test_tensor.py -k 'array or torch or numpy'",
    ),
    Fault(
        "an export to DLPack of read-only memory is refused before version 1",
        "tensor/dlpack.py",
        "    if shared.read_only and not versioned:\n",
        "    if False:\n",
        "tests/test_dlpack.py",
    ),
    Fault(
        "an import from DLPack honours read-only memory",
        "tensor/dlpack.py",
        'read_only = name == b"dltensor_versioned" and bool(managed.flags & READ_ONLY)',
        "read_only = False",
        "tests/test_dlpack.py",
    ),
    Fault(
        "an import from DLPack keeps the producer's memory",
        "tensor/dlpack.py",
        "        self._delete = _Deleter(deleter) if deleter else None\n",
        "        self._delete = _Deleter(deleter) if deleter else None\n        self.__del__()\n",
        "tests/test_dlpack.py",
    ),
    # -- random numbers
    Fault(
        "every draw has its own numbers",
        "tensor/generator.py",
        "        self._draws += 1\n",
        "",
        "tests/test_random.py -k state",
    ),
    Fault(
        "the state of a generator is all of it",
        "tensor/generator.py",
        "[self._seed, self._draws], np.uint64",
        "[self._seed, 0], np.uint64",
        "tests/test_random.py -k state",
    ),
    Fault(
        "the random bits of generated code are those of the interpreter",
        "ir/philox.py",
        "    for i in range(10):\n",
        "    for i in range(9):\n",
        "tests/test_random.py -k golden",
    ),
    Fault(
        "bernoulli has its probability",
        "tensor/random.py",
        "ops.lt(u, P.cast(p, u.dtype)), x.dtype)\n    return record(",
        "ops.lt(u, P.cast(ops.mul(p, p), u.dtype)), x.dtype)\n    return record(",
        "tests/test_random.py -k distributions",
    ),
    Fault(
        "permutations are uniform",
        "tensor/random.py",
        "    keys = ops.bit_or(ops.shl(high, ops.lit(32, high)), low)\n",
        "    keys = ops.bit_and(low, ops.lit(3, low))\n",
        "tests/test_random.py -k permutations",
    ),
    # -- numbers
    Fault(
        "shifts by too much are PyTorch's",
        "codegen/c/vmath.h",
        "& (@B - 1))) & (@UxV)((@UxV)b < @B));",
        "& (@B - 1))));",
        "tests/test_ieee.py -k shifts",
    ),
    Fault(
        "a*b+c is rounded twice wherever it is computed: fused = unfused",
        "runtime/compiler.py",
        '    "-ffp-contract=off",\n',
        '    "-ffp-contract=fast",\n',
        "tests/test_fused_is_unfused.py",
    ),
    Fault(
        "a shorter exponential is for what is known to suit it",
        "codegen/ranges.py",
        "        return most.op is ops.max_ and most.args[0] == x\n",
        "        return most.op is ops.max_\n",
        "tests/test_kernels.py -k never_positive",
    ),
    Fault(
        "sums of float32 are kept in float64 between blocks",
        "ir/dtypes.py",
        '    return float64 if dtype.kind == "f" else dtype\n',
        "    return dtype\n",
        "tests/test_ieee.py -k 'sums or halves'",
    ),
    Fault(
        "multinomial refuses NaN and negative weights",
        "tensor/random.py",
        "    if not np.isfinite(values).all() or (values < 0).any():\n",
        "    if False:\n",
        "tests/test_golden.py -k bad_calls",
    ),
    Fault(
        "integer division by zero raises",
        "codegen/c/vmath.h",
        "    if (y == 0) *err |= 1;\n    r[i] = y == 0 || y == -1 ? 0 : (@T)(x % y);\n",
        "    r[i] = y == 0 || y == -1 ? 0 : (@T)(x % y);\n",
        "tests/test_ieee.py -k by_zero",
    ),
    # -- the Python protocol
    Fault(
        "deepcopy keeps what shares memory together",
        "tensor/methods.py",
        "    stored = memo.get(key)\n    if stored is None:\n",
        "    stored = None\n    if stored is None:\n",
        "tests/test_protocols.py -k deep",
    ),
    Fault(
        "a tensor's hash is its identity",
        "tensor/core.py",
        "        return id(self)\n",
        "        return 0\n",
        "tests/test_protocols.py",
    ),
    Fault(
        "subclasses survive operations",
        "tensor/declare.py",
        "    if type(value) is Tensor:\n        value.__class__ = cls\n",
        "    if type(value) is Tensor:\n        pass\n",
        "tests/test_protocols.py -k subclass",
    ),
    Fault(
        "a number is contained if an element equals it",
        "tensor/methods.py",
        "        return bool((element == self).any())  # type: ignore[union-attr]\n",
        "        return bool((element == self).all())\n",
        "tests/test_protocols.py tests/test_tensor.py",
    ),
    Fault(
        "format of one number",
        "tensor/convert.py",
        "        return format(item(self), spec)\n",
        "        return str(item(self))\n",
        "tests/test_protocols.py tests/test_printing.py",
    ),
    Fault(
        "iteration over 0-d tensors is refused",
        "tensor/methods.py",
        '        raise TypeError("iteration over a 0-d tensor")\n',
        "        return iter([self])\n",
        "tests/test_protocols.py tests/test_tensor.py",
    ),
    # -- what functions save
    Fault(
        "what a composed function saves is noticed when it is written",
        "autograd/composite.py",
        "        saves.note(fn, args, kwargs, outputs)\n",
        "        pass\n",
        "tests/test_versions.py",
    ),
    Fault(
        "a factor is saved only where the other one wants a gradient",
        "tensor/history.py",
        "        if reader is not None and not needs_grad(tensors[reader]):\n",
        "        if False:\n",
        "tests/test_versions.py",
    ),
    Fault(
        "a copy of an array lies as the array",
        "tensor/from_data.py",
        "    order = None if array.flags.c_contiguous else",
        "    order = None if True else",
        "tests/test_layouts.py",
    ),
    Fault(
        "a kept gradient has the shape of what the record made",
        "autograd/engine.py",
        "    return value.reshape(node.shape) if wide == own else value\n",
        "    return value\n",
        "tests/test_autograd.py",
    ),
    # -- graph sizes, memory, threads
    Fault(
        "what is pending is bounded",
        "tensor/relief.py",
        "    if waits and node is not None and node.place != first[0]:\n        return\n",
        "    return\n",
        "tests/test_long_runs.py -k pending",
    ),
]


def planted(fault: Fault, where: Path) -> None:
    """Put the fault into the copy of the library below `where`."""
    path = where / "lazygrad" / fault.file
    text = path.read_text()
    assert text.count(fault.old) == 1, f"{fault.promise}: {text.count(fault.old)} places"
    path.write_text(text.replace(fault.old, fault.new))


def is_noticed(fault: Fault) -> bool:
    """Whether the tests that are to notice the fault fail on it."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        for part in ("lazygrad", "tests", "benchmarks", "docs", "examples"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, where / part, ignore=ignored)
        for part in ("pyproject.toml", "README.md", "CONTRIBUTING.md"):
            shutil.copy(ROOT / part, where)
        planted(fault, where)
        options = "-x -q -n 0 -p no:cacheprovider -m 'not torch and not slow'"
        command = f"{sys.executable} -m pytest {options} {fault.tests}"
        environment = {**os.environ, "PYTHONPATH": str(where), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            run = subprocess.run(
                command, shell=True, cwd=where, env=environment, capture_output=True, timeout=600
            )
        except subprocess.TimeoutExpired:
            return True  # the promise was that it does not wait for ever
        if run.returncode in (2, 3, 4, 5):  # pytest's own troubles, and no tests
            raise RuntimeError(f"{fault.promise}: {run.stdout.decode()[-2000:]}")
        return run.returncode != 0  # a crash is noticed too


def main() -> int:
    words = sys.argv[1:]
    wanted = [f for f in FAULTS if not words or any(word in f.promise for word in words)]
    missed = 0
    for fault in wanted:
        noticed = is_noticed(fault)
        missed += not noticed
        print("noticed" if noticed else "MISSED ", fault.promise, sep="  ", flush=True)
    print(f"{len(wanted) - missed} of {len(wanted)} faults are noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
