"""Random programs, run by lazygrad under three regimes and by PyTorch, to be found equal.

Programs are those of program_writer.py. Statements may fail: then all must fail alike.

    python -m tests.program_machine --programs 50000 --seed 0

(with `--device cuda` on that device, and by the interpreter on the host for comparison)
finds failing programs, shrinks them by leaving statements out, and prints them; `--first` goes on
where a run was stopped. Owns: the machines, what is compared. Must not know: the language, or
lazygrad's insides.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # where this is not run by pytest

import on_device
from program_writer import NAME, Rng, Writer, overlaps

import lazygrad
from lazygrad.config import config

# Where PyTorch's text says which rule was broken, lazygrad's has to say the same.
PHRASES = (
    "a leaf Variable that requires grad",
    "a view of a leaf Variable",
    "modified by an inplace",
    "a second time",
    "does not require grad",
    "is a view and is being modified",
    "more than one element of the written-to",
    "created in no_grad mode",
    "implicitly created only for scalar",
    "Can't call numpy()",
    "only Tensors of floating point",
    "change requires_grad flags",
    "can't be cast to",
    "not have been used in the graph",
    "view size is not compatible",
    "is at version",
    "can't retain_grad",
    "doesn't match the broadcast shape",
)
OVERLAP = re.compile("some elements of the input tensor|its base or another view of its base")
# Statements with these names change the state of a machine's random numbers.
DRAWS = {
    "bernoulli",
    "bernoulli_",
    "dropout",
    "manual_seed",
    "normal_",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randperm",
    "uniform_",
}

# -- machines -----------------------------------------------------------------------------------


@dataclass
class Machine:
    """One library and one regime."""

    name: str
    module: Any
    regime: str = "end"
    rng: Rng = field(default_factory=lambda: Rng(0))
    names: dict[str, Any] = field(default_factory=dict)
    draws: Any = None  # the state of this machine's random numbers
    exact: bool = True  # whether its floats have the first machine's bits

    def start(self, seed: int) -> Machine:
        made = replace(self, rng=Rng(seed), names={})
        if self.module is lazygrad:
            made.draws = lazygrad.Generator().manual_seed(seed % 2**31).get_state()
        return made

    def run(self, code: Any) -> tuple[str, str] | None:
        """Run one statement. Gives the error's type and text, if any."""
        return self._run(code)

    def look(self, look: Callable[[Machine], Any]) -> Any:
        """What `look` sees of it."""
        return look(self)

    def _run(self, code: Any) -> tuple[str, str] | None:
        space = self.names
        space["T"], space["np"] = self.module, np
        draws = self.draws is not None and not DRAWS.isdisjoint(code.co_names)
        if draws:
            lazygrad.set_rng_state(self.draws)
        try:
            exec(code, space)
        except Exception as error:
            outcome = (type(error).__name__, str(error))
        else:
            outcome = None
        if draws:
            self.draws = lazygrad.get_rng_state()
        for name in [name for name in space if not NAME.fullmatch(name)]:
            del space[name]
        if outcome is None and self.regime != "end":
            try:
                self.flush()
            except Exception as error:
                outcome = (f"later {type(error).__name__}", str(error))
        return outcome

    def flush(self) -> None:
        rng = self.rng
        for t in list(self.names.values()):
            if isinstance(t, lazygrad.Tensor) and (self.regime == "each" or rng.random() < 0.15):
                t.realize()


class OnHost(Machine):
    """The interpreter on the host, where the other machines are on another device."""

    def run(self, code: Any) -> tuple[str, str] | None:
        with self._there():
            return self._run(code)

    def look(self, look: Callable[[Machine], Any]) -> Any:
        with self._there():
            return look(self)

    @contextmanager
    def _there(self) -> Iterator[None]:
        before = lazygrad.get_default_device(), config.backend
        lazygrad.set_default_device(on_device.HOST)
        config.backend = "interp"
        try:
            yield
        finally:
            lazygrad.set_default_device(before[0])
            config.backend = before[1]


def lazy_machines() -> list[Machine]:
    """lazygrad under its regimes; on another device than the host also there."""
    made = [Machine(regime, lazygrad, regime) for regime in ("end", "each", "random")]
    if on_device.name() != on_device.HOST:
        made.append(OnHost("host", lazygrad, exact=False))
    return made


def torch_machine() -> Machine:
    import torch

    torch.set_num_threads(1)
    return Machine("torch", torch, exact=False)


def picture(machine: Machine) -> dict[str, Any]:
    """What a program can see of every name."""
    return {name: _seen(machine, value) for name, value in machine.names.items()}


def _seen(machine: Machine, value: Any) -> Any:
    try:
        return _picture(machine, value)
    except RuntimeError as error:  # a view that may not be used any more
        return [phrase for phrase in PHRASES if phrase in str(error)] or str(error)


def traits(machine: Machine) -> dict[str, Any]:
    """What can be seen of every tensor without computing it."""
    tensors = ((k, v) for k, v in machine.names.items() if isinstance(v, machine.module.Tensor))
    return {name: _traits(value) for name, value in tensors}


def _traits(value: Any) -> dict[str, Any]:
    return {
        "dtype": str(value.dtype).split(".")[1],
        "shape": tuple(value.shape),
        "stride": [s for s, e in zip(value.stride(), value.shape) if e > 1 and value.numel()],
        "offset": value.storage_offset() if value.numel() else 0,  # of strides that mean nothing
        "requires_grad": value.requires_grad,
        "version": value._version,
        "is_view": value._is_view(),
    }


def _picture(machine: Machine, value: Any) -> Any:
    if not isinstance(value, machine.module.Tensor):
        if isinstance(value, str):
            return value.replace("dtype=torch.", "dtype=lazygrad.")
        return np.array(value) if isinstance(value, np.ndarray) else value
    grad = value.grad if value.is_leaf or value.retains_grad else None
    return _traits(value) | {
        "value": value.detach().numpy().copy()
        if machine.regime == "end"
        else np.array(value.tolist(), str(value.dtype).split(".")[1]).reshape(tuple(value.shape)),
        "is_leaf": value.is_leaf,
        "grad_fn": None if value.grad_fn is None else value.grad_fn.name().split("::")[-1],
        "grad": None if grad is None else grad.detach().numpy().copy(),
    }


def mark(machine: Machine) -> dict[str, Any]:
    """Add another power of two through each tensor: whose memory is whose then shows."""
    tensors = [t for t in machine.names.values() if isinstance(t, machine.module.Tensor)]
    tensors += [t.grad for t in tensors if t.grad is not None]
    for how in ("zero_", "add_"):
        for number, t in enumerate(tensors):
            if overlaps(t):
                continue
            if how == "zero_":
                t.data.zero_()
            elif str(t.dtype).endswith("bool"):
                t.data.logical_not_()
            else:
                t.data.add_(1 << number % (7 if t.element_size() == 1 else 14))
    return {
        name: v.detach().numpy().copy() if isinstance(v, machine.module.Tensor) else v.copy()
        for name, v in machine.names.items()
        if (hasattr(v, "shape") and hasattr(v, "copy")) or isinstance(v, machine.module.Tensor)
    }


# -- comparison ---------------------------------------------------------------------------------


def differs(a: Any, b: Any, bits: bool, path: str = "") -> str | None:
    """Where two pictures differ, or None."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return f"{path}: {sorted(a)} and {sorted(b)}"
        found = (differs(a[k], b[k], bits, f"{path}.{k}") for k in a)
        return next((f for f in found if f), None)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        found = (differs(x, y, bits, f"{path}[{i}]") for i, (x, y) in enumerate(zip(a, b)))
        return next((f for f in found if f), None)
    if isinstance(a, (np.ndarray, float)) and isinstance(b, (np.ndarray, float)):
        return _array_differs(np.asarray(a), np.asarray(b), bits, path)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return f"{path}: {a!r} and {b!r}"
    return None if a == b or (a is b) else f"{path}: {a!r} and {b!r}"


def _array_differs(a: np.ndarray, b: np.ndarray, bits: bool, path: str) -> str | None:
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{path}: {a.dtype}{a.shape} and {b.dtype}{b.shape}"
    same: Any
    if a.dtype.kind != "f":
        same = np.array_equal(a, b)
    elif bits:
        same = np.array_equal(a, b, equal_nan=True) and np.array_equal(
            np.signbit(a) & ~np.isnan(a), np.signbit(b) & ~np.isnan(b)
        )
    else:
        finite = np.abs(a[np.isfinite(a)])
        scale = float(finite.max()) if finite.size else 0.0
        small = 2e-6  # float64 too, since it may have been float32
        same = np.allclose(a, b, rtol=small * 5, atol=small * scale, equal_nan=True)
    return None if same else f"{path}:\n{a}\n{b}"


def error_differs(a: tuple[str, str] | None, b: tuple[str, str] | None) -> str | None:
    """Whether two outcomes of a statement differ: by type, or by the rule that the text names."""
    if a is None or b is None:
        return None if a is b else f"error: {a} and {b}"
    if a[0] != b[0]:
        return f"error: {a} and {b}"
    for phrase in () if OVERLAP.search(a[1] + b[1]) else PHRASES:  # which check is first is free
        if (phrase in a[1]) != (phrase in b[1]):
            return f"error text: {a} and {b}"
    if "is at version" in a[1] and _versions(a[1]) != _versions(b[1]):
        return f"error text: {a} and {b}"
    return None


def _versions(text: str) -> list[str]:
    return re.findall(r"version (\d+)", text)


# -- programs -----------------------------------------------------------------------------------


@dataclass
class Failure:
    """A program that the machines do not agree on, and how."""

    program: list[str]
    where: str

    def __str__(self) -> str:
        return "\n".join(self.program) + f"\n# {self.where}"


class Session:
    """One program on several machines at once."""

    def __init__(self, machines: Sequence[Machine], seed: int):
        self.machines = [m.start(seed) for m in machines]
        self.program: list[str] = []
        self.over = False

    @property
    def names(self) -> dict[str, Any]:
        return self.machines[0].names

    def step(self, text: str) -> str | None:
        """Run one statement everywhere. Gives the difference, if any."""
        self.program.append(text)
        code = compile(text, "<program>", "exec")
        outcomes = [m.run(code) for m in self.machines]
        if any(o and "out of bounds" in o[1] for o in outcomes) and "] " in text:
            self.over = True  # PyTorch has written what came before the bad index
        if any(o and "please report a bug to PyTorch" in o[1] for o in outcomes):
            self.over = True
            return None
        for machine, outcome in zip(self.machines[1:], outcomes[1:]):
            found = error_differs(outcome, outcomes[0])
            if found:
                return f"{machine.name} and {self.machines[0].name}: {found}"
        return None

    def compare(self, looks: Sequence[Callable[[Machine], Any]] = (picture, mark)) -> str | None:
        try:
            return None if self.over else self._compare(looks)
        except Exception as error:
            return f"looking: {type(error).__name__}: {error}"

    def _compare(self, looks: Sequence[Callable[[Machine], Any]]) -> str | None:
        for look in looks:
            first = self.machines[0].look(look)
            for machine in self.machines[1:]:
                found = differs(machine.look(look), first, machine.exact)
                if found:
                    return f"{look.__name__}, {machine.name} and {self.machines[0].name}{found}"
        return None


def written(machines: Sequence[Machine], rng: Rng, seed: int) -> tuple[Session, str | None]:
    """Write and run one program. Gives how the machines differ, if they do."""
    session = Session(machines, seed)
    alike = all(m.module is lazygrad for m in machines)
    writer = Writer(rng, session.names, chance=alike)
    for _ in range(rng.randint(4, 18)):
        text = writer.statement()
        found = session.step(text)
        if found or session.over:
            return session, found
        writer.note(text)
    return session, session.compare()


def random_program(machines: Sequence[Machine], rng: Rng, seed: int = 0) -> Failure | None:
    """Write and run one program. Gives it if it fails."""
    session, found = written(machines, rng, seed)
    return Failure(session.program, found) if found else None


def replay(machines: Sequence[Machine], program: Sequence[str], seed: int = 0) -> Failure | None:
    session = Session(machines, seed)
    for text in program:
        found = session.step(text)
        if found:
            return Failure(session.program, found)
        if session.over:
            return None
    found = session.compare()
    return Failure(session.program, found) if found else None


def shrink(machines: Sequence[Machine], failure: Failure, seed: int = 0) -> Failure:
    """Leave statements out for as long as the program fails in the same manner."""
    kind = _manner(failure)
    at = len(failure.program) - 1
    while at >= 0:
        shorter = failure.program[:at] + failure.program[at + 1 :]
        found = replay(machines, shorter, seed)
        if found and _manner(found) == kind:
            failure = found
            at = min(at, len(failure.program))
        at -= 1
    return failure


def _manner(failure: Failure) -> str:
    """What kind of difference: which look, which attribute; which error."""
    head = failure.where.split("\n")[0]
    head = re.sub(r"[tnp]\d+", "", head)
    if "NameError" in head or "not defined" in head:
        return "name"
    if "error" in head:
        return re.sub(r"[\d\[\](), -]+", " ", head)[:160]
    return head.split(":")[0]


def warm_filters() -> None:
    warnings.simplefilter("ignore")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="go on from this program")
    parser.add_argument("--compiled", action="store_true", help="with C, not by the interpreter")
    parser.add_argument("--no-torch", action="store_true", help="lazygrad's regimes only")
    parser.add_argument("--keep", type=int, default=20, help="stop after so many kinds of failure")
    parser.add_argument("--device", default=on_device.HOST, help="where tensors are made")
    given = parser.parse_args()
    if given.device != on_device.HOST:
        os.environ["TEST_DEVICE"] = given.device
        on_device.install()
    warm_filters()
    if not given.compiled:  # what tensors mean does not depend on it
        config.backend = "interp"
    machines = lazy_machines() + ([] if given.no_torch else [torch_machine()])
    kinds: dict[str, int] = {}
    start, done = time.perf_counter(), 0
    for number in range(given.first, given.programs):
        seed = given.seed * 1_000_003 + number
        failure = random_program(machines, Rng(seed), seed)
        done += 1
        if done % 1000 == 0:
            print(f"{number + 1} programs, {sum(kinds.values())} failures", flush=True)
        if failure:
            kind = _manner(failure)
            kinds[kind] = kinds.get(kind, 0) + 1
            if kinds[kind] == 1:
                print(
                    f"-- program {number} of seed {given.seed}\n"
                    f"{shrink(machines, failure, seed)}\n",
                    flush=True,
                )
            if len(kinds) >= given.keep:
                break
    for kind, count in sorted(kinds.items(), key=lambda item: -item[1]):
        print(f"{count:6} {kind}")
    print(f"{done} programs, {sum(kinds.values())} failures, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
