"""numpy, DLPack, pickling, copying and Python's own protocols."""

import copy
import io
import json
import math
import pickle

import numpy as np


def numpy_both_ways(torch):
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    x = torch.from_numpy(a)
    x[0, 0] = 100
    a[1, 1] = -7
    print(a, x, x.numpy() is a, np.shares_memory(x.numpy(), a))
    y = torch.ones(3)
    n = y.numpy()
    y.add_(1)
    n[0] = 50
    print(n, y, type(n), n.dtype, y.numpy().base is not None)
    copied = torch.tensor(a)
    copied += 1
    print(a[0, 0], torch.as_tensor(a).data_ptr() == x.data_ptr(), torch.asarray(a)[0])
    print(
        np.asarray(y),
        np.array(y),
        np.sum(y.numpy()),
        np.mean(y.numpy()),
        np.sqrt(torch.tensor([4.0, 9.0])),
    )
    print(np.concatenate([y, y]), np.stack([y, y]).shape, np.allclose(y, n), np.array_equal(y, n))
    print(
        torch.tensor([1, 2]).numpy().dtype,
        torch.tensor([True]).numpy(),
        torch.tensor(1.5).numpy(),
        x.T.numpy().strides,
    )
    print(y + np.float64(1), np.float32(2) * y, y - 1)
    print(
        torch.from_numpy(np.array([1, 2], dtype=np.int16)),
        torch.tensor(np.array(["1"]).astype(int)),
    )
    print(
        torch.tensor(np.float64(1.5)).dtype,
        torch.tensor([np.float64(1.5)]).dtype,
        torch.tensor(np.arange(2)).dtype,
    )
    w = torch.ones(2, requires_grad=True)
    for call in (
        lambda: w.numpy(),
        lambda: np.array(w),
        lambda: torch.ones(1, dtype=torch.bfloat16).numpy(),
        lambda: torch.from_numpy([1]),
    ):
        try:
            print(call())
        except (RuntimeError, TypeError) as error:
            print(type(error).__name__, str(error)[:34])
    print(w.detach().numpy(), w.detach().cpu().numpy().tolist(), w.numpy(force=True), w.tolist())
    print(
        np.random.default_rng(0).permutation(5)[torch.tensor([0, 1])], np.arange(5)[torch.tensor(2)]
    )
    r = np.arange(4)[::-1]
    try:
        torch.from_numpy(r)
    except ValueError as error:
        print(error)
    print(torch.from_numpy(r.copy()), torch.from_numpy(np.arange(8)[::2]).stride())


def numpy_functions(torch):
    x = torch.tensor([[3.0, 1.0], [2.0, 4.0]])
    print(
        np.exp(torch.zeros(2)),
        np.argmax(x),
        np.max(x.numpy()),
        np.linalg.inv(x.double()),
        np.sort(x),
        np.add(x, 1),
    )
    print(
        x.numpy().mean(axis=0),
        np.dot(x, x),
        np.transpose(x).shape,
        np.where(x > 2, 1, 0),
        x.numpy() @ x.numpy(),
    )
    print(
        np.isnan(x).any(),
        np.testing.assert_allclose(x, x.clone()),
        np.ndim(x),
        np.shape(x),
    )
    rng = np.random.RandomState(0)
    data = torch.from_numpy(rng.randn(100, 3)).float()
    yield data.mean(0), data.std(0), torch.from_numpy(np.corrcoef(data.T.numpy()))
    yield torch.corrcoef(data.T), torch.cov(data.T)
    print(f"{data.mean():.5f}", data.numpy().shape, np.percentile(data[:, 0], 50).dtype)


def dlpack(torch):
    x = torch.arange(4.0)
    a = np.from_dlpack(x)
    x[0] = 9
    print(a, np.shares_memory(a, x.numpy()))
    y = torch.from_dlpack(np.arange(3))
    y += 1
    print(y, torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(x)), x.__dlpack_device__())
    z = torch.from_dlpack(x)
    z[1] = -1
    print(x)
    try:
        torch.ones(1, requires_grad=True).__dlpack__()
    except BufferError as error:
        print("BufferError", error)


def pickling_and_copies(torch):
    x = torch.arange(4.0).view(2, 2)
    w = torch.nn.Parameter(torch.ones(2))
    print(
        pickle.loads(pickle.dumps(x)),
        pickle.loads(pickle.dumps(w)),
        pickle.loads(pickle.dumps(torch.float16)),
    )
    a, b = pickle.loads(pickle.dumps((x, x[0])))
    print(
        a, b, pickle.loads(pickle.dumps(x.shape)), pickle.loads(pickle.dumps(torch.device("cpu")))
    )
    c = copy.copy(x)
    d = copy.deepcopy(x)
    c[0, 0] = 5
    print(x, c, d, copy.deepcopy(w), copy.deepcopy({"a": [x, x]})["a"][1])
    both = copy.deepcopy([x, x[1]])
    both[0].zero_()
    print(both)
    try:
        copy.deepcopy(w * 2)
    except RuntimeError as error:
        print(str(error)[:60])
    buffer = io.BytesIO()
    torch.save({"step": 3, "x": x, "list": [w, torch.tensor(2)]}, buffer)
    buffer.seek(0)
    state = torch.load(buffer)
    print(state["step"], state["x"], state["list"])
    model = torch.nn.Linear(2, 1)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        model.weight.fill_(1)
        model.bias.zero_()
        before = twin.weight.clone()
        twin.load_state_dict(model.state_dict())
    print(
        twin.weight,
        torch.equal(before, twin.weight),
        model(torch.ones(1, 2)),
        list(model.state_dict()),
    )
    try:
        model.load_state_dict({"weight": torch.ones(1, 3), "other": torch.ones(1)})
    except RuntimeError as error:
        print(error)
    print(model.load_state_dict({"weight": torch.ones(1, 2)}, strict=False))


def as_dictionary_keys(torch):
    a, b = torch.ones(2), torch.ones(2)
    table = {a: "a", b: "b"}
    print(table[a], table[b], a in table, torch.ones(2) in table, len({a, a, b}), hash(a) == id(a))
    print([t is a for t in table], {int(k): v for k, v in zip(torch.arange(2), "xy")})
    print(
        sorted([torch.tensor(3), torch.tensor(1)]),
        max([torch.tensor(2.0), torch.tensor(5.0)]),
        min(torch.tensor([4, 2])),
    )
    try:
        print(a in [b])
        print(a in [b + torch.tensor([0, 1])])
    except RuntimeError as error:
        print(error)
    groups = {}
    for label, value in zip(torch.tensor([0, 1, 0]), torch.tensor([1.0, 2.0, 3.0])):
        groups.setdefault(label.item(), []).append(value.item())
    print(groups, json.dumps({"loss": torch.tensor(0.5).item(), "rows": torch.eye(2).tolist()}))


def truth_and_numbers(torch):
    x = torch.tensor([1.0, 2.0])
    for text in (
        "bool(x)",
        "int(x)",
        "float(x)",
        "x.item()",
        "if_x",
        "x and x",
        "not x",
        "range(x)",
        "[1, 2][x]",
    ):
        try:
            if text == "if_x":
                if x:
                    print("true")
            else:
                print(eval(text, {"x": x}))
        except (RuntimeError, TypeError, ValueError) as error:
            print(text, type(error).__name__, error)
    s = torch.tensor(3)
    print(
        [10, 20, 30, 40][s],
        list(range(s)),
        "ab" * s,
        s + 1,
        1 + s,
        s == 3,
        bool(s),
        math.sqrt(s),
        math.floor(torch.tensor(2.5)),
    )
    print(
        1 < s < 5,
        s in (1, 3),
        [1, 2, 3].index(s),
        s.item() is not None,
        s.__index__(),
        int("3") == s,
        s != s,
    )
    print(
        torch.tensor(1.0).is_nonzero(),
        torch.tensor([[5]]).item(),
        float(torch.tensor([2.5])),
        complex(torch.tensor(2.0)),
    )
    print(
        all(x > 0),
        any(x > 1),
        sum([torch.tensor(1), torch.tensor(2)]),
        len(x),
        list(map(float, x)),
        *x,
    )
    print(
        x.equal(x.clone()),
        torch.allclose(x, x + 1e-9),
        torch.isclose(x, x + 0.1),
        (x == x).all().item(),
        x is not None,
    )
    print(
        x.__class__.__name__,
        isinstance(x, torch.FloatTensor),
        isinstance(s, torch.LongTensor),
        issubclass(torch.nn.Parameter, torch.Tensor),
    )
    if (x > 0).all() and x.sum() > 2:
        print("ok")
    while s > 0:
        s -= 1
    assert (s == 0).item(), "zero"
    print(s, "yes" if s == 0 else "no", x.max() if x.numel() else None, x if x.sum() else 0)


def subclasses(torch):
    class Named(torch.Tensor):
        def hello(self):
            return "hello"

    x = torch.ones(2).as_subclass(Named)
    print(type(x).__name__, type(x + 1).__name__, (x * 2).hello(), type(x.sum()).__name__, x)
    print(
        isinstance(x[0], Named),
        type(torch.stack([x, x])).__name__,
        type(torch.ones(2) + x).__name__,
    )
    p = torch.nn.Parameter(torch.zeros(2))
    print(
        type(p).__name__,
        type(p + 1).__name__,
        type(p.data).__name__,
        type(p.detach()).__name__,
        p.requires_grad,
    )
    x.note = "kept"
    print(x.note, hasattr(x + 1, "note"), vars(x))
    y = torch.ones(1)
    y.anything = 5
    print(y.anything, hasattr(y.clone(), "anything"))
