"""Every module of `lazygrad.nn` prints, names its parameters and computes as PyTorch's.

One line of nn_modules.json a case: how it is made, what it is called with (a wave of each shape),
how it prints, its state dict, and the sum of its outputs and of its parameters' gradients times a
wave, all from PyTorch 2.13, whose Hardsigmoid has a slope of float32. Where torch is installed the
lines are compared with it again, element by element.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.nn import functional as F

# made, input shapes, repr, state dict, result, gradient
CASES = json.loads((Path(__file__).parent / "nn_modules.json").read_text(encoding="utf-8"))


def wave(shape: Sequence[int], turn: float = 0.3) -> np.ndarray:
    """Numbers without symmetry, the same on every machine."""
    return (2.0 * np.sin(1.7 * np.arange(math.prod(shape)) + turn)).reshape(shape)


def flat(outputs: Any) -> list[Any]:
    """The tensors of a result, which may be a tuple of tuples."""
    if not isinstance(outputs, tuple):
        return [] if outputs is None else [outputs]
    return [one for part in outputs for one in flat(part)]


def run(library: Any, made: str, shapes: Sequence[Sequence[int]]) -> tuple[Any, ...]:
    """The module, the arrays of its outputs, and its gradients, of inputs first."""
    module = eval(made, {**vars(library.nn), "nn": library.nn}).double()
    with library.no_grad():
        for number, value in enumerate(module.state_dict().values()):
            if value.is_floating_point():
                fresh = wave(tuple(value.shape), number + 0.7) * 0.3 + 0.9
                value.copy_(library.tensor(fresh.tolist(), dtype=value.dtype))
    inputs = [library.tensor(wave(shape).tolist(), dtype=library.float64) for shape in shapes]
    for given in inputs:
        given.requires_grad_()
    outputs = flat(module(*inputs))
    total = 0
    for out in outputs:
        if out.is_floating_point():
            total = total + (out * library.tensor(wave(tuple(out.shape)), dtype=out.dtype)).sum()
    total.backward()
    leaves = [*inputs, *module.parameters()]
    grads = [np.zeros(tuple(t.shape)) if t.grad is None else t.grad.numpy() for t in leaves]
    buffers = [b.detach().numpy() for b in module.buffers()]
    return module, [o.detach().numpy() for o in outputs] + buffers, grads


def summed(arrays: list[np.ndarray]) -> float:
    return float(sum((a * wave(a.shape)).sum() for a in arrays))


def state(module: Any) -> str:
    return ", ".join(f"{k} {tuple(v.shape)}" for k, v in module.state_dict().items())


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_module_is_pytorchs(case: tuple[Any, ...]) -> None:
    made, shapes, text, names, result, gradient = case
    module, values, grads = run(lg, made, shapes)
    assert repr(module) == text and state(module) == names
    assert summed(values) == pytest.approx(result, rel=1e-7, abs=1e-7)
    assert summed(grads) == pytest.approx(gradient, rel=1e-7, abs=1e-7)


@pytest.mark.torch
@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_module_against_torch(case: tuple[Any, ...]) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = run(lg, *case[:2]), run(torch, *case[:2])
    assert repr(ours[0]) == repr(theirs[0]) and state(ours[0]) == state(theirs[0])
    for mine, other in zip(ours[1] + ours[2], theirs[1] + theirs[2], strict=True):
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
        np.testing.assert_allclose(mine, other, rtol=1e-7, atol=1e-10)


def test_every_module_of_pytorch_that_has_a_function_here_is_here() -> None:
    torch = pytest.importorskip("torch")
    functions = {name.replace("_", "").removesuffix("loss") for name in dir(F)}
    for name in dir(torch.nn):
        if (
            isinstance(getattr(torch.nn, name), type)
            and name.lower().removesuffix("loss") in functions
        ):
            assert hasattr(lg.nn, name), name


def test_multihead_attention_masks_and_weights() -> None:
    torch = pytest.importorskip("torch")
    mask = np.triu(np.ones((3, 5), bool), 1)
    padding = np.array([[False, False, True, False, True], [False] * 4 + [True]])
    results = []
    for library in (lg, torch):
        module, _, _ = run(library, "MultiheadAttention(4, 2)", [(3, 2, 4), (5, 2, 4), (5, 2, 4)])
        given = [library.tensor(wave(s)) for s in ((3, 2, 4), (5, 2, 4), (5, 2, 4))]
        attn, pads = library.tensor(mask), library.tensor(padding)
        added = library.tensor(np.stack([wave((3, 5), n) for n in range(4)]))
        for options in (
            {"attn_mask": attn},
            {"attn_mask": attn, "key_padding_mask": pads, "average_attn_weights": False},
            {"attn_mask": attn, "is_causal": True, "need_weights": False},
            {"attn_mask": added, "need_weights": False},
            {"attn_mask": added, "key_padding_mask": pads.double() * -2},
        ):
            out, weights = module(*given, **options)
            results.append([out] if weights is None else [out, weights])
    half = len(results) // 2
    for mine, other in zip(results[:half], results[half:], strict=True):
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_allclose(
                a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-12
            )
