"""Optimizers and schedules: one line a rule.

The numbers come from PyTorch 2.13 in float64: both parameters after five steps, multiplied by a
wave and summed; rates by epoch. Where torch is installed, the same steps are compared with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn, optim
from lazygrad.runtime.stats import stats


def wave_array(*shape: int) -> np.ndarray:
    """Numbers without symmetry, the same on every machine."""
    return np.sin(1.7 * np.arange(int(np.prod(shape))) + 0.3).reshape(shape)


def train(library: Any, rule: str, steps: int = 5) -> tuple[Any, Any, Any]:
    """A few steps on two parameters in two groups, with `lg` or with `torch`."""
    w = library.tensor(wave_array(4, 3)).requires_grad_()
    b = library.tensor(wave_array(3)).requires_grad_()
    x = library.tensor(wave_array(5, 4))
    name, options = rule[:-1].split("(", 1)
    groups = [{"params": [w]}, {"params": [b], "lr": 0.02}]
    optimizer = getattr(library.optim, name)(groups, **eval(f"dict({options})"))
    for _ in range(steps):
        optimizer.zero_grad()
        ((x @ w + b).tanh() - 0.3).pow(2).sum().backward()
        optimizer.step()
    return w, b, optimizer


RULES = [
    ("SGD(lr=0.1)", 3.0398582927, 0.9956955961),
    ("SGD(lr=0.1, momentum=0.9)", 0.7233383391, 0.7913995715),
    ("SGD(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1)", 0.9530766648, 0.8188483478),
    ("SGD(lr=0.1, momentum=0.9, nesterov=True)", 0.7669258412, 0.8263789343),
    ("SGD(lr=0.01, maximize=True, weight_decay=0.1)", 5.6529643543, 1.3267187213),
    ("Adam()", 5.5210119222, 1.0228185165),
    ("Adam(lr=0.05, betas=(0.8, 0.95), eps=1e-3)", 4.1591553448, 1.0224087362),
    ("Adam(lr=0.05, weight_decay=0.1, amsgrad=True)", 4.0360329272, 1.0208638867),
    ("Adam(lr=0.05, betas=(0.3, 0.9), maximize=True)", 6.1742530861, 1.3603405627),
    ("AdamW(lr=0.05)", 4.1621153099, 1.0215735982),
    ("AdamW(lr=0.05, weight_decay=0.3, amsgrad=True)", 3.8107437979, 0.9885795698),
    ("RMSprop(lr=0.05)", 1.8209259362, 0.8160618438),
    ("RMSprop(lr=0.05, alpha=0.9, momentum=0.9, weight_decay=0.1)", -1.6286650538, 0.3802436537),
    ("RMSprop(lr=0.05, centered=True, maximize=True)", 7.9650436908, 1.6846515577),
    ("Adagrad()", 5.3605245073, 1.0841045265),
    ("Adagrad(lr=0.1, lr_decay=0.1, initial_accumulator_value=0.3)", 4.3703014876, 1.1200391525),
    ("Adadelta()", 5.4727654320, 1.1943103226),
    ("Adadelta(lr=0.5, rho=0.8, weight_decay=0.1)", 5.5092164539, 1.1944576576),
    ("Adamax()", 5.4994493919, 1.0331035582),
    ("Adamax(lr=0.05, betas=(0.8, 0.9), weight_decay=0.1)", 4.1564741090, 1.0374202629),
    ("NAdam()", 5.5001207790, 1.0587946456),
    ("NAdam(lr=0.05, weight_decay=0.1, decoupled_weight_decay=True)", 4.2111929105, 1.0340217123),
    ("RAdam()", 5.5301096172, 1.0293371875),
    ("RAdam(lr=0.05, betas=(0.8, 0.9), weight_decay=0.1)", 4.4548352985, 0.9965404992),
]


@pytest.mark.parametrize(("rule", "of_w", "of_b"), RULES, ids=[case[0] for case in RULES])
def test_rule(rule: str, of_w: float, of_b: float) -> None:
    w, b, _ = train(lg, rule)
    found = [float((p.detach().numpy() * wave_array(*p.shape)).sum()) for p in (w, b)]
    assert found == pytest.approx([of_w, of_b], rel=1e-9)


@pytest.mark.parametrize("rule", [case[0] for case in RULES])
def test_rule_against_torch(rule: str) -> None:
    torch = pytest.importorskip("torch")
    for ours, theirs in zip(train(lg, rule)[:2], train(torch, rule)[:2], strict=True):
        np.testing.assert_allclose(
            ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-12, atol=1e-13
        )


SCHEDULES: list[tuple[str, list[float]]] = [
    ("StepLR(o, 2)", [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]),
    ("StepLR(o, 3, gamma=0.5)", [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]),
    ("ExponentialLR(o, 0.9)", [1.0, 0.9, 0.81, 0.729, 0.6561, 0.59049]),
    ("CosineAnnealingLR(o, 3, eta_min=0.1)", [1.0, 0.775, 0.325, 0.1, 0.325, 0.775]),
    ("LambdaLR(o, lambda epoch: 0.5**epoch)", [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125]),
    ("LinearLR(o)", [0.33333333, 0.46666667, 0.6, 0.73333333, 0.86666667, 1.0]),
    ("LinearLR(o, 0.5, 0.2, total_iters=3)", [0.5, 0.4, 0.3, 0.2, 0.2, 0.2]),
    ("MultiStepLR(o, [2, 4, 4])", [1.0, 1.0, 0.1, 0.1, 0.001, 0.001]),
    ("MultiplicativeLR(o, lambda epoch: 0.9)", [1.0, 0.9, 0.81, 0.729, 0.6561, 0.59049]),
    ("ConstantLR(o, total_iters=3)", [0.33333333, 0.33333333, 0.33333333, 1.0, 1.0]),
    ("PolynomialLR(o, 4, 2.0)", [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]),
    ("CosineAnnealingWarmRestarts(o, 3, 2, 0.1)", [1.0, 0.775, 0.325, 1.0, 0.93971143, 0.775]),
    ("OneCycleLR(o, 2.0, total_steps=12)", [0.08, 0.69957931, 1.75857032, 1.98883087, 1.86602594]),
    (
        "OneCycleLR(o, 2.0, 12, None, None, 0.3, 'linear', three_phase=True)",
        [0.08, 0.81846154, 1.55692308, 1.70461538, 0.96615385, 0.22769231, 0.06896662],
    ),
    (
        "ChainedScheduler([S.ConstantLR(o, 0.5, 3), S.ExponentialLR(o, 0.9)])",
        [0.5, 0.45, 0.405, 0.729, 0.6561, 0.59049],
    ),
    (
        "SequentialLR(o, [S.ConstantLR(o, 0.1, 3), S.ExponentialLR(o, 0.9)], [4])",
        [0.1, 0.1, 0.1, 1.0, 1.0, 0.9],
    ),
    (
        "SequentialLR(o, [S.LinearLR(o, 0.1, total_iters=4), S.CosineAnnealingLR(o, 6)], [4])",
        [0.1, 0.325, 0.55, 0.775, 1.0, 0.9330127, 0.75],
    ),
]


@pytest.mark.parametrize(("call", "rates"), SCHEDULES, ids=[case[0] for case in SCHEDULES])
def test_schedule(call: str, rates: list[float]) -> None:
    optimizer = optim.SGD([lg.ones(1, requires_grad=True)], lr=1.0)
    schedule = eval(
        f"optim.lr_scheduler.{call}", {"optim": optim, "o": optimizer, "S": optim.lr_scheduler}
    )
    found = []
    for _ in rates:
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert found == pytest.approx(rates, abs=1e-8)


PLATEAUS = [
    ("patience=1", [1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01]),
    ("mode='max', patience=0, cooldown=2, threshold=0.01", [1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01]),
]


@pytest.mark.parametrize(("options", "rates"), PLATEAUS, ids=[case[0] for case in PLATEAUS])
def test_reduce_on_plateau(options: str, rates: list[float]) -> None:
    optimizer = optim.SGD([lg.ones(1, requires_grad=True)], lr=1.0, momentum=0.9)
    schedule = eval(f"optim.lr_scheduler.ReduceLROnPlateau(optimizer, {options})", None,
                    {"optim": optim, "optimizer": optimizer})  # fmt: skip
    found = []
    for metric in (1, 0.9, 0.95, 0.93, 0.92, 0.91, 0.8, 0.85):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step(metric)
    assert found == pytest.approx(rates)


def test_one_cycle_moves_momentum() -> None:
    for rule, read in (("SGD", lambda g: g["momentum"]), ("Adam", lambda g: g["betas"][0])):
        optimizer = getattr(optim, rule)([lg.ones(1, requires_grad=True)], lr=1.0)
        schedule = optim.lr_scheduler.OneCycleLR(optimizer, 2.0, total_steps=10)
        found = []
        for _ in range(4):
            found.append(read(optimizer.param_groups[0]))
            optimizer.step()
            schedule.step()
        assert found == pytest.approx([0.95, 0.9, 0.85, 0.8549516])


def test_schedule_state_round_trip() -> None:
    def build() -> tuple[Any, Any]:
        optimizer = optim.SGD([lg.ones(1, requires_grad=True)], lr=1.0)
        return optimizer, optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)

    (first, schedule), (second, resumed) = build(), build()
    for _ in range(2):
        first.step()
        schedule.step()
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    for optimizer, stepped in ((first, schedule), (second, resumed)):
        optimizer.step()
        stepped.step()
    assert resumed.get_last_lr() == schedule.get_last_lr()


SGD_TEXT = """SGD (
Parameter Group 0
    dampening: 0
    differentiable: False
    foreach: None
    fused: None
    lr: 0.001
    maximize: False
    momentum: 0
    nesterov: False
    weight_decay: 0
)"""


def test_repr() -> None:
    assert repr(optim.SGD([lg.ones(1, requires_grad=True)])) == SGD_TEXT


ERRORS = [
    ("SGD([p], lr=-1)", ValueError, "Invalid learning rate: -1"),
    ("SGD([p], momentum=-1)", ValueError, "Invalid momentum value: -1"),
    ("SGD([p], weight_decay=-1)", ValueError, "Invalid weight_decay value: -1"),
    ("SGD([p], nesterov=True)", ValueError, "Nesterov momentum requires a momentum and zero"),
    ("SGD([])", ValueError, "optimizer got an empty parameter list"),
    ("SGD(p)", TypeError, "params argument given to the optimizer should be an iterable"),
    ("SGD([3])", TypeError, "optimizer can only optimize Tensors, but one of the params is int"),
    ("SGD([p * 2])", ValueError, "can't optimize a non-leaf Tensor"),
    ("SGD([{'params': p}, {'params': p}])", ValueError, "some parameters appear in more than"),
    ("SGD([{'params': {p}}])", TypeError, "optimizer parameters need to be organized in ordered"),
    ("SGD([{'lr': 3}])", KeyError, "params"),
    ("SGD([('a', p), p])", ValueError, "all optimizer params should be with/without names."),
    ("SGD([p]).add_param_group(3)", TypeError, "param_group must be a dict, but got <class 'int'>"),
    ("Adam([p], eps=-1)", ValueError, "Invalid epsilon value: -1"),
    ("Adam([p], betas=(2, 0))", ValueError, "Invalid beta parameter at index 0: 2"),
    ("Adam([p]).load_state_dict(dict(param_groups=[], state={}))", ValueError, "different number"),
    ("RMSprop([p], alpha=-1)", ValueError, "Invalid alpha value: -1"),
    ("Adagrad([p], lr_decay=-1)", ValueError, "Invalid lr_decay value: -1"),
    ("Adadelta([p], rho=2)", ValueError, "Invalid rho value: 2"),
    ("NAdam([p], momentum_decay=-1)", ValueError, "Invalid momentum_decay value: -1"),
    ("lr_scheduler.OneCycleLR(s, 1.0)", ValueError, "You must define either total_steps OR"),
    ("lr_scheduler.ConstantLR(s, 2)", ValueError, "Constant multiplicative factor expected"),
    ("lr_scheduler.ReduceLROnPlateau(s, 'up')", ValueError, "mode up is unknown!"),
    ("lr_scheduler.SequentialLR(s, [], [])", ValueError, "expects at least one scheduler"),
    ("lr_scheduler.StepLR(3, 1)", TypeError, "int is not an Optimizer"),
    ("lr_scheduler.LinearLR(s, 2)", ValueError, "Starting multiplicative factor expected"),
    ("lr_scheduler.LambdaLR(s, [abs, abs])", ValueError, "Expected 1 lr_lambdas, but got 2"),
    ("lr_scheduler.StepLR(s, 1, last_epoch=3)", KeyError, "param 'initial_lr' is not specified"),
]


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS, ids=[case[0] for case in ERRORS])
def test_error_is_pytorchs(call: str, kind: type[Exception], text: str) -> None:
    p = lg.ones(1, requires_grad=True)
    with pytest.raises(kind) as caught:
        eval(f"optim.{call}", {"optim": optim, "p": p, "s": optim.SGD([p])})
    assert text in str(caught.value.args[0])


@pytest.mark.parametrize("rule", ["SGD(lr=0.1, momentum=0.9)", "Adam(lr=0.05, amsgrad=True)"])
def test_state_dict_resumes_bit_for_bit(rule: str) -> None:
    w, b, optimizer = train(lg, rule, steps=3)
    again = [p.detach().clone().requires_grad_() for p in (w, b)]
    twin = type(optimizer)([{"params": [p]} for p in again])
    twin.load_state_dict(optimizer.state_dict())
    assert [group["lr"] for group in twin.param_groups] == [optimizer.defaults["lr"], 0.02]
    for params, stepped in (((w, b), optimizer), (again, twin)):
        for p in params:
            p.grad = lg.ones_like(p)
        stepped.step()
    assert [p.tolist() for p in again] == [w.tolist(), b.tolist()]


def test_parameters_without_a_gradient_stay() -> None:
    used, unused = lg.ones(2, requires_grad=True), lg.ones(2, requires_grad=True)
    optimizer = optim.Adam([used, unused], lr=0.1)
    used.sum().backward()
    optimizer.step()
    assert unused.tolist() == [1.0, 1.0]
    assert used.tolist() == pytest.approx([0.9, 0.9])
    assert len(optimizer.state) == 1


def test_closure_is_run_with_gradients() -> None:
    p = lg.ones(2, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.5)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with lg.no_grad():
        assert optimizer.step(closure).item() == 2.0
    assert p.tolist() == [0.0, 0.0]


def test_a_model_learns_xor() -> None:
    lg.manual_seed(0)
    x = lg.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = lg.tensor([0, 1, 1, 0])
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert model(x).argmax(1).tolist() == y.tolist()


# -- launches and compiles ---------------------------------------------------------------------


def counted(optimizer: Any, params: list[Any]) -> tuple[int, int, int]:
    """Programs run, kernels run and compiles of one step on gradients that are known."""
    for p in params:
        p.grad = lg.ones_like(p)
    lg.realize(*(p.grad for p in params))
    before = (stats.realizes, stats.kernels, stats.compiles)
    optimizer.step()
    after = (stats.realizes, stats.kernels, stats.compiles)
    return tuple(b - a for a, b in zip(before, after))  # type: ignore[return-value]


COUNTED = [
    "SGD(lr=0.1)",
    "SGD(lr=0.1, momentum=0.9)",
    "Adam()",
    "AdamW(amsgrad=True)",
    "NAdam()",
    "RMSprop(momentum=0.9, centered=True)",
    "Adagrad()",
    "Adadelta()",
    "Adamax()",
]


@pytest.mark.parametrize("rule", COUNTED)
def test_one_parameter_is_one_kernel(rule: str) -> None:
    params = [lg.randn(33, 5, requires_grad=True)]
    optimizer = eval(f"optim.{rule[:-1]}, params=params)".replace("(, ", "("))
    counted(optimizer, params)
    if stats.interpreted:
        pytest.skip("no C compiler: programs are interpreted")
    assert counted(optimizer, params) == (1, 1, 0)


@pytest.mark.parametrize("rule", COUNTED)
def test_all_parameters_are_one_launch_and_a_new_rate_compiles_nothing(rule: str) -> None:
    params = [lg.randn(3 + i, 5, requires_grad=True) for i in range(4)]
    optimizer = eval(f"optim.{rule[:-1]}, params=params)".replace("(, ", "("))
    counted(optimizer, params)
    for rate in (0.2, 1.0, 0.0):
        optimizer.param_groups[0]["lr"] = rate
        programs, _, compiles = counted(optimizer, params)
        assert (programs, compiles) == (1, 0)
