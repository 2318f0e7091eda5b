"""Losses of margins and likelihoods beside PyTorch's; samples of categories; sequences padded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg

CALLS = """
F.margin_ranking_loss(x[0], y[0], s[0], 0.5)
F.margin_ranking_loss(x, y, s, reduction="sum")
F.hinge_embedding_loss(x, s, 0.7)
F.hinge_embedding_loss(x, s, reduction="none")
F.cosine_embedding_loss(x, y, s[:, 0], 0.1)
F.cosine_embedding_loss(x[0], y[0], s[0, 0], reduction="none")
F.triplet_margin_loss(x, y, x + y)
F.triplet_margin_loss(x, y, x * y, 2.0, 1, swap=True, reduction="none")
F.soft_margin_loss(x, s)
F.multilabel_soft_margin_loss(x, (s + 1) / 2)
F.multilabel_soft_margin_loss(x, (s + 1) / 2, s[0].abs() + 1, reduction="none")
F.poisson_nll_loss(x, (y * 3).abs().detach(), full=True)
F.poisson_nll_loss(x.abs(), (y * 3).abs().detach(), False, reduction="none")
F.gaussian_nll_loss(x, y, y * y)
F.gaussian_nll_loss(x, y, 0.3, full=True, reduction="sum")
F.gaussian_nll_loss(x, y, s[:, 0].abs(), reduction="none")
T.linalg.cond(x[:, :3])
T.linalg.cond(x, -2)
""".strip().splitlines()
REFUSED = """
F.margin_ranking_loss(x, y[0], s)
F.cosine_embedding_loss(x, y, s)
F.cosine_embedding_loss(x, y, s[0, 0])
F.triplet_margin_loss(x, y, x, -1.0)
F.triplet_margin_loss(x, y[0], x)
F.gaussian_nll_loss(x, y, -1.0)
F.gaussian_nll_loss(x, y, y)
F.gaussian_nll_loss(x, y, s[0].abs())
F.hinge_embedding_loss(x, s, reduction="some")
""".strip().splitlines()


def found(T: Any, call: str) -> Any:
    rng = np.random.default_rng(3)
    x, y = (T.tensor(rng.normal(size=(3, 4)).tolist(), requires_grad=True) for _ in range(2))
    s = T.tensor(np.where(rng.random((3, 4)) < 0.5, -1.0, 1.0).tolist())
    made = eval(call, {"T": T, "F": T.nn.functional, "x": x, "y": y, "s": s})
    made.sum().backward()
    grads = [[0.0] if t.grad is None else t.grad.tolist() for t in (x, y)]
    return [np.array(made.tolist()), *map(np.array, grads)]


@pytest.mark.torch
@pytest.mark.parametrize("call", CALLS)
def test_values_and_gradients_are_pytorchs(call: str) -> None:
    torch = pytest.importorskip("torch")
    for ours, theirs in zip(found(lg, call), found(torch, call), strict=True):
        np.testing.assert_allclose(ours, theirs, 2e-4, 1e-5)


@pytest.mark.torch
@pytest.mark.parametrize("call", REFUSED)
def test_bad_calls_are_refused_as_in_pytorch(call: str) -> None:
    torch = pytest.importorskip("torch")
    raised = []
    for T in (lg, torch):
        with pytest.raises((RuntimeError, ValueError)) as caught:
            found(T, call)
        raised.append(caught.type)
    assert raised[0] is raised[1]


def test_gumbel_softmax_draws_by_the_probabilities() -> None:
    lg.manual_seed(5)
    logits = lg.tensor([0.1, 0.2, 0.7]).log().expand(20_000, 3).clone().requires_grad_()
    hard = lg.nn.functional.gumbel_softmax(logits, hard=True)
    assert ((hard == 0) | (hard == 1)).all() and (hard.sum(1) == 1).all()
    np.testing.assert_allclose(hard.mean(0).tolist(), [0.1, 0.2, 0.7], atol=0.015)
    (hard * lg.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert logits.grad.abs().sum().item() > 0
    soft = lg.nn.functional.gumbel_softmax(logits, tau=0.5)
    np.testing.assert_allclose(soft.sum(1).tolist(), 1.0, rtol=1e-5)


def test_orthogonal_weights() -> None:
    for shape in ((3, 5), (5, 3), (4, 2, 2)):
        w = lg.nn.init.orthogonal_(lg.empty(shape), 2.0).flatten(1)
        short = w @ w.t() if w.shape[0] <= w.shape[1] else w.t() @ w
        np.testing.assert_allclose(short.tolist(), 4 * np.eye(len(short)), atol=1e-5)
    assert lg.nn.init.eye_(lg.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.torch
@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"padding_side": "left"}])
def test_sequences_are_padded_as_in_pytorch(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")

    def padded(T: Any) -> Any:
        parts = [T.arange(2.0 * n).view(n, 2) for n in (2, 3, 1)]
        return T.nn.utils.rnn.pad_sequence(parts, padding_value=-1.0, **options).tolist()

    assert padded(lg) == padded(torch)


def test_lists_and_dicts_of_parameters() -> None:
    listed = lg.nn.ParameterList([lg.ones(2), lg.nn.Parameter(lg.zeros(3))])
    listed.append(lg.ones(1))
    assert [name for name, _ in listed.named_parameters()] == ["0", "1", "2"]
    assert len(listed) == 3 and listed[-1].numel() == 1 and len(listed[:2]) == 2
    named = lg.nn.ParameterDict({"w": lg.ones(2)})
    named["b"] = lg.zeros(1)
    assert list(named) == ["w", "b"] == list(named.state_dict()) and "w" in named
    assert named.pop("w").requires_grad and len(named) == 1
    model = lg.nn.Module()
    model.own, model.other = listed, named
    assert len(list(model.parameters())) == 4


MODULES = [
    ("MarginRankingLoss(0.5)", "margin_ranking_loss({}, margin=0.5)", "a, b, s"),
    ("HingeEmbeddingLoss()", "hinge_embedding_loss({})", "a, s"),
    ("CosineEmbeddingLoss(0.1)", "cosine_embedding_loss({}, margin=0.1)", "a, b, s[:, 0]"),
    ("TripletMarginLoss(swap=True)", "triplet_margin_loss({}, swap=True)", "a, b, c"),
    ("SoftMarginLoss(reduction='sum')", "soft_margin_loss({}, reduction='sum')", "a, s"),
    ("MultiLabelSoftMarginLoss(c[0])", "multilabel_soft_margin_loss({}, c[0])", "a, (s + 1) / 2"),
    ("PoissonNLLLoss(full=True)", "poisson_nll_loss({}, full=True)", "a, c.abs()"),
    ("GaussianNLLLoss(full=True)", "gaussian_nll_loss({}, full=True)", "a, b, c.abs() + 1"),
]


@pytest.mark.parametrize(("module", "function", "given"), MODULES)
def test_modules_keep_the_options(module: str, function: str, given: str) -> None:
    a, b, c = (lg.sin(lg.arange(12.0).reshape(3, 4) * k) for k in (1, 2, 3))
    names = {"a": a, "b": b, "c": c, "s": lg.sign(b + 0.01), "nn": lg.nn}
    loss = eval(f"nn.{module}({given})", names)
    assert loss.tolist() == eval(f"nn.functional.{function.format(given)}", names).tolist()
