"""`save` and `load`: what is written is read, by PyTorch too; what is not trusted does not run."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import pytest

import lazygrad as lg
from lazygrad import nn, optim
from lazygrad.ir.dtypes import ALL


def through(obj: Any, **options: Any) -> Any:
    """The object, written and read."""
    file = io.BytesIO()
    lg.save(obj, file)
    file.seek(0)
    return lg.load(file, **options)


@pytest.mark.parametrize("dtype", ALL, ids=repr)
def test_values_of_every_dtype(dtype: Any) -> None:
    t = lg.arange(6).reshape(2, 3).to(dtype)
    found = through(t)
    assert found.dtype is dtype
    assert found.tolist() == t.tolist()


@pytest.mark.parametrize(
    "obj",
    [
        lg.float32,
        lg.device("cpu"),
        lg.Size([2, 3]),
        {"lr": 0.1, "betas": (0.9, 0.99), "names": ["a", None, True], 3: b"raw"},
    ],
    ids=repr,
)
def test_what_is_not_a_tensor(obj: Any) -> None:
    assert through(obj) == obj


def test_shapes_and_strides() -> None:
    t = lg.arange(12.0).reshape(3, 4)
    for one in (t, t.t(), t[1], t[:, ::2], t[0, 0], lg.empty(0, 3), t.expand(2, 3, 4)):
        found = through(one)
        assert (found.shape, found.stride()) == (one.shape, one.stride())
        assert found.tolist() == one.tolist()


def test_shared_memory_stays_shared() -> None:
    t = lg.zeros(2, 3)
    found = through({"whole": t, "row": t[1], "turned": t.t()})
    found["row"].fill_(5)
    assert found["whole"].tolist() == [[0, 0, 0], [5, 5, 5]]
    assert found["turned"].tolist() == [[0, 5], [0, 5], [0, 5]]


def test_gradients_are_wanted_as_before() -> None:
    found = through([lg.ones(2, requires_grad=True), lg.ones(2), nn.Parameter(lg.ones(2))])
    assert [t.requires_grad for t in found] == [True, False, True]
    assert type(found[2]) is nn.Parameter


def test_training_goes_on_where_it_was(tmp_path: Path) -> None:
    def made() -> tuple[nn.Module, optim.Optimizer]:
        model = nn.Linear(3, 2)
        return model, optim.Adam(model.parameters(), lr=0.1)

    def step(model: nn.Module, optimizer: optim.Optimizer) -> None:
        optimizer.zero_grad()
        model(lg.ones(4, 3)).square().sum().backward()
        optimizer.step()

    one, two = made(), made()
    step(*one)
    lg.save([part.state_dict() for part in one], tmp_path / "state.pt")
    for part, state in zip(two, lg.load(tmp_path / "state.pt")):
        part.load_state_dict(state)
    step(*one)
    step(*two)
    for a, b in zip(one[0].parameters(), two[0].parameters()):
        assert a.tolist() == b.tolist()


def test_a_module_is_read_only_when_code_is_trusted() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with pytest.raises(pickle.UnpicklingError, match=r"lazygrad\.nn\.containers\.Sequential"):
        through(model)
    found = through(model, weights_only=False)
    assert found[0].weight.tolist() == model[0].weight.tolist()


class _Harmful:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit",)


def test_code_in_a_file_does_not_run() -> None:
    with pytest.raises(pickle.UnpicklingError, match="exec"):
        through(_Harmful())


@pytest.mark.parametrize("location", ["cpu", lg.device("cpu"), {"cpu": "cpu"}, lambda s, where: s])
def test_map_location(location: Any) -> None:
    assert through(lg.ones(2), map_location=location).tolist() == [1, 1]


def test_a_gpu_that_is_not_there() -> None:
    if lg.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(RuntimeError, match="map_location"):
        through(lg.ones(2), map_location="cuda")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not an archive")
    with pytest.raises(RuntimeError, match="is not an archive written by save"):
        lg.load(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        lg.load(tmp_path / "nothing")


def test_saving_is_one_program() -> None:
    from lazygrad.runtime.stats import stats

    values = {str(i): lg.ones(3) * i for i in range(10)}
    before = stats.realizes
    lg.save(values, io.BytesIO())
    assert stats.realizes == before + 1


@pytest.mark.torch
def test_pytorch_reads_and_writes_the_same_files(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    t = lg.arange(6.0).reshape(2, 3)
    state = {"t": t, "turned": t.t(), "half": t.to(lg.bfloat16), "p": nn.Parameter(t[0].clone())}
    lg.save(state, tmp_path / "ours.pt")
    theirs = torch.load(tmp_path / "ours.pt", map_location="cpu")
    theirs["t"][0, 1] = 9
    assert theirs["turned"][1, 0] == 9
    assert theirs["half"].dtype is torch.bfloat16
    assert isinstance(theirs["p"], torch.nn.Parameter)
    torch.save(theirs, tmp_path / "theirs.pt")
    found = lg.load(tmp_path / "theirs.pt")
    assert found["t"].tolist() == [[0, 9, 2], [3, 4, 5]]
    assert found["half"].tolist() == t.tolist()
    assert found["p"].requires_grad
