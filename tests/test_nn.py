"""Modules, layers and containers of `lazygrad.nn`: one line a case where it is text."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn
from lazygrad.nn import functional as F

ERRORS = [
    ("nn.Conv2d(3, 4, 3, groups=2)", ValueError, "in_channels must be divisible by groups"),
    ("nn.Dropout(2)", ValueError, "dropout probability has to be between 0 and 1, but got 2"),
    ("nn.Unflatten(1, 3)", TypeError, "unflattened_size must be a tuple of ints, but found type"),
    ("nn.Embedding(3, 4, padding_idx=4)", AssertionError, "Padding_idx must be within num_embedd"),
    ("nn.BatchNorm2d(3)(lg.ones(2, 3))", ValueError, "expected 4D input (got 2D input)"),
    ("nn.Parameter(lg.tensor([1]))", RuntimeError, "Only Tensors of floating point and complex d"),
    ("nn.Module()(1)", NotImplementedError, 'Module [Module] is missing the required "forward" fu'),
    ("l.nothing", AttributeError, "'Linear' object has no attribute 'nothing'"),
    ("setattr(l, 'weight', lg.ones(3, 2))", TypeError, "cannot assign 'lazygrad.FloatTensor' as "),
    ("setattr(seq, '0', 3)", TypeError, "cannot assign 'int' as child module '0' (lazygrad.nn.Mod"),
    ("l.register_parameter('a.b', None)", KeyError, 'parameter name can\'t contain "."'),
    ("l.register_buffer('forward', None)", KeyError, "attribute 'forward' already exists"),
    ("l.add_module('q', [1])", TypeError, "list is not a Module subclass"),
    ("l.get_parameter('z')", AttributeError, "Linear has no attribute `z`"),
    ("l.train('x')", ValueError, "training mode is expected to be boolean"),
    ("l.to(lg.int64)", TypeError, "nn.Module.to only accepts floating point or complex dtypes"),
    ("l.load_state_dict([1])", TypeError, "Expected state_dict to be dict-like, got <class 'list"),
    ("nn.Sequential(3)", TypeError, "int is not a Module subclass"),
    ("seq[7]", IndexError, "index 7 is out of range"),
    ("nn.ModuleList().extend(3)", TypeError, "ModuleList.extend should be called with an iterable"),
    ("nn.init.calculate_gain('foo')", ValueError, "Unsupported nonlinearity foo"),
    ("nn.init.kaiming_uniform_(lg.ones(3))", ValueError, "Fan in and fan out can not be computed"),
]


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS, ids=[case[0] for case in ERRORS])
def test_error_is_pytorchs(call: str, kind: type[Exception], text: str) -> None:
    names = {"nn": nn, "lg": lg, "l": nn.Linear(2, 3), "seq": nn.Sequential(nn.ReLU())}
    with pytest.raises(kind) as caught:
        eval(call, names)
    assert type(caught.value) is kind
    assert text in str(caught.value.args[0])


NESTED = """Sequential(
  (0): Linear(in_features=2, out_features=3, bias=True)
  (1): ReLU()
  (2): Sequential(
    (0): Tanh()
    (1): Dropout(p=0.3, inplace=False)
  )
)"""

LIST = """ModuleList(
  (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)
  (3): ReLU()
)"""

DICT = """ModuleDict(
  (a): Linear(in_features=2, out_features=3, bias=False)
  (b): GELU(approximate='none')
)"""

REPRS = [
    ("Sequential(Linear(2, 3), ReLU(), Sequential(Tanh(), Dropout(0.3)))", NESTED),
    ("ModuleList([*(Linear(2, 2) for _ in range(3)), ReLU()])", LIST),
    ("ModuleDict({'a': Linear(2, 3, False), 'b': GELU()})", DICT),
    ("Module()", "Module()"),
    ("Sequential()", "Sequential()"),
    ("ModuleList()", "ModuleList()"),
    ("Identity(3, a=2)", "Identity()"),
    ("Conv2d(3, 4, 3)", "Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))"),
    (
        "Conv2d(4, 4, (3, 5), stride=2, padding=1, dilation=2, groups=2, bias=False)",
        "Conv2d(4, 4, kernel_size=(3, 5), stride=(2, 2), padding=(1, 1), dilation=(2, 2), "
        "groups=2, bias=False)",
    ),
    ("MaxPool2d(2)", "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"),
    ("AvgPool2d((2, 2))", "AvgPool2d(kernel_size=(2, 2), stride=(2, 2), padding=0)"),
    ("Flatten()", "Flatten(start_dim=1, end_dim=-1)"),
    ("Unflatten(1, (2, 3))", "Unflatten(dim=1, unflattened_size=(2, 3))"),
    ("ReLU(True)", "ReLU(inplace=True)"),
    ("LeakyReLU(0.2, True)", "LeakyReLU(negative_slope=0.2, inplace=True)"),
    ("Softmax(1)", "Softmax(dim=1)"),
    ("Embedding(3, 4, padding_idx=-1)", "Embedding(3, 4, padding_idx=2)"),
    ("LayerNorm(3)", "LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=True)"),
    (
        "BatchNorm1d(3)",
        "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
    ),
    ("CrossEntropyLoss()", "CrossEntropyLoss()"),
    ("Parameter(lg.ones(2))", "Parameter containing:\ntensor([1., 1.], requires_grad=True)"),
]


@pytest.mark.parametrize(("call", "text"), REPRS, ids=[case[0] for case in REPRS])
def test_repr_is_pytorchs(call: str, text: str) -> None:
    assert repr(eval(call, {"lg": lg, **{name: getattr(nn, name) for name in nn.__all__}})) == text


# -- modules -----------------------------------------------------------------------------------


class Net(nn.Module):
    """Registers in every way there is."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.rest = nn.ModuleList([nn.Linear(4, 4), nn.ReLU()])
        self.scale = nn.Parameter(lg.ones(4))
        self.register_parameter("absent", None)
        self.register_buffer("seen", lg.zeros(1))
        self.register_buffer("scratch", lg.zeros(1), persistent=False)
        self.shared = self.first

    def forward(self, x: Any) -> Any:
        x = self.first(x) * self.scale
        for module in self.rest:
            x = module(x)
        return x


def test_walks_name_everything_once() -> None:
    net = Net()
    params = ["scale", "first.weight", "first.bias", "rest.0.weight", "rest.0.bias"]
    assert [name for name, _ in net.named_parameters()] == params
    assert [name for name, _ in net.named_buffers()] == ["seen", "scratch"]
    assert [name for name, _ in net.named_children()] == ["first", "rest"]
    assert [name for name, _ in net.named_modules()] == ["", "first", "rest", "rest.0", "rest.1"]
    assert len(list(net.parameters(recurse=False))) == 1
    assert net.get_parameter("rest.0.bias") is net.rest[0].bias
    assert net.absent is None


def test_state_dict_round_trip() -> None:
    net, other = Net(), Net()
    state = net.state_dict()
    assert list(state)[:3] == ["scale", "seen", "first.weight"]
    assert "scratch" not in state and "shared.weight" in state
    assert not any(value.requires_grad for value in state.values())
    assert repr(other.load_state_dict(state)) == "<All keys matched successfully>"
    x = lg.tensor([[1.0, -2.0, 0.5], [3.0, 0.1, -1.0]])
    assert other(x).tolist() == net(x).tolist()
    with lg.no_grad():
        net.scale.mul_(2)
    assert state["scale"].tolist() == [2.0] * 4  # shares storage
    assert other.scale.tolist() == [1.0] * 4  # was copied


def test_state_dict_errors_are_listed_together() -> None:
    with pytest.raises(RuntimeError) as caught:
        nn.Linear(2, 3).load_state_dict({"weight": lg.ones(3, 3), "x": lg.ones(1)})
    assert str(caught.value) == (
        "Error(s) in loading state_dict for Linear:\n"
        '\tMissing key(s) in state_dict: "bias". \n'
        '\tUnexpected key(s) in state_dict: "x". \n'
        "\tsize mismatch for weight: copying a param with shape lazygrad.Size([3, 3]) from "
        "checkpoint, the shape in current model is lazygrad.Size([3, 2])."
    )
    keys = nn.Linear(2, 3).load_state_dict({"weight": lg.ones(3, 2), "x": lg.ones(1)}, strict=False)
    assert (keys.missing_keys, keys.unexpected_keys) == (["bias"], ["x"])


def test_assignment_needs_the_constructor_of_module() -> None:
    class Bad(nn.Module):
        def __init__(self) -> None:
            self.weight = nn.Parameter(lg.ones(1))

    with pytest.raises(AttributeError, match="cannot assign parameters before Module"):
        Bad()


def test_train_and_eval_reach_every_module() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout()))
    assert all(not module.training for module in model.eval().modules())
    assert all(module.training for module in model.train().modules())


def test_dropout_scales_what_it_keeps() -> None:
    lg.manual_seed(0)
    layer, x = nn.Dropout(0.25), lg.ones(100, 100)
    values = layer(x).numpy()
    assert set(np.unique(values)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((values > 0).mean() - 0.75) < 0.02
    assert layer.eval()(x) is x
    assert F.dropout(x, 1.0).sum().item() == 0.0


def test_hooks_run_and_go() -> None:
    layer, x, seen = nn.Linear(2, 3), lg.ones(1, 2), []
    after = layer.register_forward_hook(lambda module, args, out: out.flatten())
    before = layer.register_forward_pre_hook(lambda module, args: seen.append(args))
    assert tuple(layer(x).shape) == (3,)
    assert seen[0][0] is x
    after.remove()
    before.remove()
    assert tuple(layer(x).shape) == (1, 3)
    assert len(seen) == 1


def test_dtype_moves_keep_the_parameters() -> None:
    layer = nn.BatchNorm1d(2)
    weight = layer.weight
    layer.double()
    assert layer.weight is weight
    assert (weight.dtype, layer.running_mean.dtype) == (lg.float64, lg.float64)
    assert layer.num_batches_tracked.dtype == lg.int64
    assert layer.to(lg.float32).weight.dtype == lg.float32
    assert layer.half().bias.dtype == lg.float16


def test_zero_grad() -> None:
    layer = nn.Linear(2, 1)
    layer(lg.ones(1, 2)).sum().backward()
    assert layer.weight.grad.tolist() == [[1.0, 1.0]]
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad.tolist() == [[0.0, 0.0]]
    layer.zero_grad()
    assert layer.weight.grad is None


def test_copies_are_independent() -> None:
    layer = nn.Linear(2, 2)
    twin = copy.deepcopy(layer)
    assert isinstance(twin.weight, nn.Parameter) and twin.weight.requires_grad
    before = layer.weight.tolist()
    with lg.no_grad():
        twin.weight.zero_()
    assert layer.weight.tolist() == before


def test_sequential_as_a_list() -> None:
    model = nn.Sequential(OrderedDict(a=nn.Linear(2, 2), b=nn.ReLU()))
    assert model.a is model[0]
    model.append(nn.Tanh())
    assert [type(part).__name__ for part in model] == ["Linear", "ReLU", "Tanh"]
    assert len(model[1:]) == 2
    model.insert(1, nn.GELU())
    del model[0]
    assert [type(part).__name__ for part in model] == ["GELU", "ReLU", "Tanh"]
    assert isinstance(model.pop(-1), nn.Tanh)


def test_batch_norm_moves_its_statistics_in_training_only() -> None:
    layer, x = nn.BatchNorm1d(3), lg.tensor([[1.0, 2.0, 3.0], [3.0, 6.0, 3.0]])
    layer(x)
    layer(x)
    assert layer.num_batches_tracked.item() == 2
    np.testing.assert_allclose(layer.running_mean.numpy(), [0.38, 0.76, 0.57], rtol=1e-6)
    np.testing.assert_allclose(layer.running_var.numpy(), [1.19, 2.33, 0.81], rtol=1e-6)
    state = {key: value.tolist() for key, value in layer.state_dict().items()}
    layer.eval()(x)
    assert {key: value.tolist() for key, value in layer.state_dict().items()} == state


def test_embedding_renormalises_only_rows_in_use() -> None:
    layer = nn.Embedding(3, 2, max_norm=1.0)
    with lg.no_grad():
        layer.weight.fill_(2.0)
    rows = layer(lg.tensor([1, 1]))
    assert rows.norm(dim=1).tolist() == pytest.approx([1.0, 1.0])
    assert layer.weight[0].tolist() == [2.0, 2.0]


def test_initial_weights_are_within_their_bounds() -> None:
    lg.manual_seed(0)
    weight = nn.Linear(64, 256).weight.detach().numpy()
    assert abs(weight).max() <= 1 / 8 and abs(weight).max() > 0.12
    assert abs(weight.mean()) < 2e-3
    drawn = nn.init.xavier_normal_(lg.empty(200, 300)).numpy()
    assert drawn.std() == pytest.approx(math.sqrt(2 / 500), rel=0.02)
    assert nn.init.constant_(lg.empty(2), 3).tolist() == [3.0, 3.0]
    assert nn.init.calculate_gain("leaky_relu", 0.2) == pytest.approx(math.sqrt(2 / 1.04))


# -- against torch -----------------------------------------------------------------------------


def test_a_network_against_torch() -> None:
    torch = pytest.importorskip("torch")

    def build(nn: Any) -> Any:
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64, 16),
            nn.LayerNorm(16),
            nn.GELU(),
            nn.Linear(16, 10),
        ).double()

    ours, theirs = build(nn), build(torch.nn)
    ours.load_state_dict({k: lg.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    x, target = np.sin(1.7 * np.arange(384)).reshape(6, 1, 8, 8), np.arange(6)
    found = nn.CrossEntropyLoss()(ours(lg.tensor(x)), lg.tensor(target))
    wanted = torch.nn.CrossEntropyLoss()(theirs(torch.tensor(x)), torch.tensor(target))
    assert found.item() == pytest.approx(wanted.item(), rel=1e-12)
    found.backward()
    wanted.backward()
    pairs = zip(ours.named_parameters(), theirs.parameters(), strict=True)
    for (name, mine), other in pairs:
        np.testing.assert_allclose(
            mine.grad.numpy(), other.grad.numpy(), rtol=1e-8, atol=1e-10, err_msg=name
        )
    for mine, other in zip(ours.buffers(), theirs.buffers(), strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-10)


def _with_gradients(module: Any) -> list[Any]:
    made = [module.tensor([1.0, 2.0]), module.tensor([[3.0], [4.0]]), module.ones(1)]
    for p in made:
        p.requires_grad_()
    (made[0] * made[0]).sum().backward()
    (made[1] * module.tensor([[5.0], [-7.0]])).sum().backward()
    return made


UTILITIES: dict[str, Callable[[Any, list[Any]], Any]] = {
    "norm": lambda m, ps: m.nn.utils.clip_grad_norm_(ps, 1.5),
    "norm of the largest": lambda m, ps: m.nn.utils.clip_grad_norm_(ps, 2.0, float("inf")),
    "norm, small already": lambda m, ps: m.nn.utils.clip_grad_norm_(ps, 1e6),
    "value": lambda m, ps: m.nn.utils.clip_grad_value_(ps, 4.5),
    "vector": lambda m, ps: m.nn.utils.parameters_to_vector(ps),
    "back": lambda m, ps: m.nn.utils.vector_to_parameters(m.arange(5.0), ps),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", UTILITIES)
def test_utilities_against_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    results = []
    for module in (lg, torch):
        parameters = _with_gradients(module)
        value = UTILITIES[name](module, parameters)
        found = [p.grad for p in parameters if p.grad is not None] + parameters
        found += [] if value is None else [value]
        results.append([t.detach().tolist() for t in found])
    assert all(np.allclose(a, b, rtol=1e-6) for a, b in zip(*results, strict=True))


def test_utilities() -> None:
    parameters = _with_gradients(lg)
    assert nn.utils.clip_grad_norm_(parameters, 1.0).item() == pytest.approx(94**0.5)
    total = sum(float((p.grad**2).sum()) for p in parameters if p.grad is not None)
    assert total == pytest.approx(1.0, rel=1e-5)
    nn.utils.vector_to_parameters(lg.arange(5.0), parameters)
    assert nn.utils.parameters_to_vector(parameters).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(RuntimeError, match="non-finite"):
        parameters[0].grad.fill_(float("nan"))
        nn.utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
