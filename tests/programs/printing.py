"""What `print`, `repr`, `str` and `format` show."""

import sys


def floats(torch):
    print(
        torch.tensor(3.14159),
        torch.tensor([1.0, 2.0]),
        torch.tensor([1e-8, 1.0]),
        torch.tensor([1e10, 1.0]),
    )
    print(
        torch.tensor([0.00001, 123456.0]),
        torch.tensor([1e5, 1.5]),
        torch.tensor([99999.0]),
        torch.tensor([-0.0]),
    )
    print(
        torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0]), torch.tensor(float("nan"))
    )
    print(
        torch.tensor([float("inf")]),
        torch.tensor([1.0, float("nan")]),
        torch.tensor([1.5, float("inf")]),
    )
    print(
        torch.tensor([[0.1, -22.333], [1e3, 4.0]]),
        torch.tensor([1e-3]),
        torch.tensor([1e-5]),
        torch.tensor(1e8),
    )
    print(torch.tensor([0.1, 0.2], dtype=torch.float64), torch.tensor([1.0], dtype=torch.float16))
    print(torch.tensor([1.0, 1000.5], dtype=torch.bfloat16), torch.zeros(3), torch.tensor([1e-45]))
    print(
        torch.linspace(0, 1, 4),
        1 / torch.arange(1.0, 5),
        torch.tensor([1e-10, 1e10]),
        torch.tensor(2.0) ** 50,
    )
    print([torch.tensor(1.0), torch.tensor([2])], (torch.ones(1),), {"a": torch.zeros(2)})


def integers_and_bools(torch):
    print(
        torch.tensor([1, -200, 30]),
        torch.tensor(7),
        torch.tensor([[True], [False]]),
        torch.tensor(True),
    )
    print(
        torch.tensor([1, 2], dtype=torch.int8),
        torch.tensor([255], dtype=torch.uint8),
        torch.tensor(2**62),
    )
    print(torch.arange(30), torch.arange(40).view(4, 10), torch.tensor([], dtype=torch.long))
    print(
        torch.zeros(0, 3),
        torch.zeros(2, 0),
        torch.zeros(0, dtype=torch.int32),
        torch.zeros(2, 0, 3).bool(),
    )
    print(torch.zeros(3, dtype=torch.bool), torch.ones(2, 2, dtype=torch.int16))


def large_tensors(torch):
    print(torch.arange(1001), torch.zeros(40, 40), torch.arange(2000.0).view(50, 40))
    print(
        torch.zeros(20, 20, 20),
        torch.ones(1200, dtype=torch.bool),
        torch.arange(10**4).view(10, 10, 10, 10),
    )
    print(torch.zeros(1000), torch.zeros(1001), (torch.arange(1100) / 7).view(11, 100))


def nesting(torch):
    print(torch.arange(12).view(2, 2, 3), torch.zeros(2, 1, 2, 1), torch.tensor([[[1.5]]]))
    print(
        str(torch.ones(2)),
        repr(torch.ones(2)),
        f"{torch.ones(2)}",
        "%s" % torch.ones(2),
        f"{torch.tensor(2.5):.3f}",
    )
    print(
        f"loss {torch.tensor(0.123456):.4f} step {torch.tensor(3):03d}",
        f"{torch.tensor(0.5):>10}",
        format(torch.tensor(1)),
    )
    print(
        f"{torch.tensor([1.0])}",
        f"{torch.tensor(1e-7)}",
        f"{torch.tensor(1.0)!r}",
        "{:.2e}".format(torch.tensor(12345.0)),
    )


def with_gradients(torch):
    w = torch.ones(2, requires_grad=True)
    print(
        w,
        w * 2,
        (w * 2).sum(),
        w.detach(),
        w + 1,
        w - 1,
        w / 2,
        -w,
        w**2,
        w.exp(),
        w @ w,
        w[0],
        w[:1],
        w.view(2, 1),
    )
    print(
        w.mean(),
        w.relu(),
        w.sum().sqrt(),
        w.unsqueeze(0),
        w.clone(),
        torch.stack([w, w]),
        w.softmax(0),
        w.double(),
    )
    y = w * 3
    y.add_(1)
    print(y, type(y.grad_fn).__name__, w.grad_fn, w.grad)
    y.sum().backward()
    print(w.grad, w, [w.grad], torch.nn.Parameter(torch.zeros(2)))
    big = torch.arange(20.0, requires_grad=True)
    print(big, big * 1000, big.view(4, 5) * 1.5)
    print(torch.nn.functional.linear(torch.ones(1, 2), torch.ones(1, 2, requires_grad=True)))


def print_options(torch):
    x = torch.tensor([3.14159265, 1234.5678])
    try:
        torch.set_printoptions(precision=2)
        print(x)
        torch.set_printoptions(sci_mode=True)
        print(x)
        torch.set_printoptions(sci_mode=False, precision=6)
        print(x, torch.tensor([1e-9, 1e9]))
        torch.set_printoptions(profile="short")
        print(x, torch.arange(2000))
        torch.set_printoptions(threshold=5, edgeitems=1)
        print(torch.arange(10), torch.zeros(4, 4))
        torch.set_printoptions(profile="full", linewidth=40)
        print(torch.arange(50))
    finally:
        torch.set_printoptions(profile="default")
    print(x)


def modules(torch):
    nn = torch.nn
    net = nn.Sequential(
        nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2), nn.BatchNorm1d(8), nn.Linear(8, 2, bias=False)
    )
    print(net)
    print(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.MaxPool2d(2),
        nn.LSTM(3, 4, batch_first=True),
        nn.Embedding(10, 3),
    )
    print(
        nn.CrossEntropyLoss(),
        nn.LayerNorm(4),
        nn.GELU(),
        nn.Flatten(),
        nn.Identity(),
        nn.Softmax(dim=1),
    )

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
            self.heads = nn.ModuleDict({"a": nn.Linear(2, 1)})
            self.scale = nn.Parameter(torch.ones(1))

        def extra_repr(self):
            return "scale"

    print(Block())
    print(torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9))
    print(torch.optim.Adam(net.parameters()))
    print(
        {name: tuple(p.shape) for name, p in net.named_parameters()},
        sum(p.numel() for p in net.parameters()),
    )
    print(list(net.state_dict()), type(net.state_dict()).__name__, len(net), net[0], net[1:3])


def to_a_stream(torch):
    print("a", torch.ones(1), sep="|", end="!\n", file=sys.stdout)
    sys.stdout.write(str(torch.arange(3)) + "\n")
    lines = str(torch.zeros(3, 3)).splitlines()
    print(len(lines), lines[0], lines[-1], sep="\n")
