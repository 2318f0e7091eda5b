"""Models by hand and by module, trained for some steps."""

import math

import numpy as np

ULPS = 4000  # what hundreds of steps make of roundings


def _data(torch, *shape, seed=0, dtype="float64"):
    return torch.from_numpy(np.random.RandomState(seed).randn(*shape).astype(dtype))


def linear_regression(torch):
    x = _data(torch, 50, 3)
    y = x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) + 3
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    b = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    for step in range(100):
        loss = ((x @ w + b - y) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
            b -= 0.1 * b.grad
            w.grad.zero_()
            b.grad = None
        if step % 25 == 0:
            print(f"step {step}: loss {loss.item():.6f}")
    print(w, b)
    yield w, b, loss.item()
    ones = torch.cat([x, torch.ones(50, 1, dtype=torch.float64)], 1)
    yield torch.linalg.lstsq(ones, y).solution
    yield torch.linalg.inv(ones.T @ ones) @ ones.T @ y


def logistic_regression(torch):
    x = _data(torch, 60, 2)
    y = (x[:, 0] + 2 * x[:, 1] > 0).double()
    w = torch.zeros(2, dtype=torch.float64)
    for _ in range(50):
        p = torch.sigmoid(x @ w)
        w += 0.5 * x.T @ (y - p) / len(y)
    accuracy = ((p > 0.5) == y.bool()).float().mean()
    print(f"accuracy {accuracy:.3f} {accuracy.item():.1%}", w)
    model = torch.nn.Linear(2, 1).double()
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.constant_(model.bias, 0.1)
    criterion = torch.nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9, weight_decay=1e-3)
    history = []
    for epoch in range(20):
        optimizer.zero_grad()
        loss = criterion(model(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    yield history, model.weight, model.bias


def classifier_by_hand(torch):
    x = _data(torch, 64, 2)
    labels = (x[:, 0] * x[:, 1] > 0).long()
    w1 = (_data(torch, 2, 16, seed=1) * 0.5).requires_grad_()
    b1 = torch.zeros(16, dtype=torch.float64, requires_grad=True)
    w2 = (_data(torch, 16, 2, seed=2) * 0.5).requires_grad_()
    b2 = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    params = [w1, b1, w2, b2]
    correct = 0
    for epoch in range(10):
        for i in range(0, 64, 16):
            xb, yb = x[i : i + 16], labels[i : i + 16]
            hidden = torch.tanh(xb @ w1 + b1)
            logits = hidden @ w2 + b2
            loss = -(logits - logits.logsumexp(1, keepdim=True))[range(len(yb)), yb].mean()
            for p in params:
                p.grad = None
            loss.backward()
            for p in params:
                p.data -= 0.3 * p.grad
            correct += (logits.argmax(1) == yb).sum().item()
    print(f"{loss.item():.6f}", correct, correct / 640)
    yield params
    # the gradients again, without autograd
    with torch.no_grad():
        dlogits = logits.softmax(1) - torch.nn.functional.one_hot(yb, 2)
        dlogits /= len(yb)
        dw2 = hidden.T @ dlogits
        dhidden = dlogits @ (w2 + 0.3 * w2.grad).T
        dw1 = xb.T @ (dhidden * (1 - hidden**2))
    print(torch.allclose(dw2, w2.grad), torch.allclose(dw1, w1.grad))


def modules_and_adam(torch):
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self, sizes):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
            self.register_buffer("steps", torch.tensor(0))

        def forward(self, x):
            self.steps += 1
            for layer in self.layers[:-1]:
                x = torch.relu(layer(x))
            return self.layers[-1](x)

    net = Net([3, 8, 8, 4]).double()
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(_data(torch, *p.shape, seed=i) * 0.3)
    x = _data(torch, 30, 3)
    y = torch.arange(30) % 4
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.02, weight_decay=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    for _ in range(10):
        loss = nn.functional.cross_entropy(net(x), y, label_smoothing=0.1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        optimizer.step()
        scheduler.step()
        yield loss.item(), norm, scheduler.get_last_lr(), optimizer.param_groups[0]["lr"]
    print(net.steps, net)
    net.eval()
    print(net.training, net.layers[0].training, [n for n, _ in net.named_buffers()])
    yield net(x).argmax(1), list(net.parameters())
    state = optimizer.state_dict()
    print(sorted(state), sorted(state["state"][0]), state["state"][0]["step"])


def optimizers_by_hand(torch):
    """SGD with momentum, RMSprop and Adam on Rosenbrock's function, beside torch.optim's."""

    def rosenbrock(p):
        return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2

    start = torch.tensor([-1.5, 2.0], dtype=torch.float64)
    m, v, p = torch.zeros(2).double(), torch.zeros(2).double(), start.clone().requires_grad_()
    q = start.clone().requires_grad_()
    adam = torch.optim.Adam([q], lr=0.05)
    for step in range(1, 31):
        (g,) = torch.autograd.grad(rosenbrock(p), p)
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        with torch.no_grad():
            p -= 0.05 * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
        adam.zero_grad()
        rosenbrock(q).backward()
        adam.step()
    print(torch.allclose(p, q), p)
    yield p, q
    for make in (
        lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, nesterov=True),
        lambda p: torch.optim.RMSprop(p, lr=0.01),
        lambda p: torch.optim.Adagrad(p, lr=0.5),
        lambda p: torch.optim.Adadelta(p),
        lambda p: torch.optim.NAdam(p, lr=0.05),
        lambda p: torch.optim.RAdam(p, lr=0.05),
        lambda p: torch.optim.Adamax(p, lr=0.05),
        lambda p: torch.optim.Rprop(p, lr=0.05),
        lambda p: torch.optim.Rprop(p, 0.1, (0.3, 1.5), (0.01, 0.2), maximize=True),
    ):
        r = start.clone().requires_grad_()
        optimizer = make([r])
        for _ in range(8):
            optimizer.zero_grad()
            rosenbrock(r).backward()
            optimizer.step()
        yield r, rosenbrock(r)


def quasi_newton(torch):
    def rosenbrock(p):
        return ((1 - p[:-1]) ** 2 + 100 * (p[1:] - p[:-1] ** 2) ** 2).sum()

    for options in (
        {"line_search_fn": "strong_wolfe", "max_iter": 10},
        {"lr": 0.01},
        {"line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 4},
        {"max_iter": 3, "lr": 0.001, "max_eval": 2},
    ):
        r = torch.tensor([-1.5, 2.0, 0.3], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([r], **options)
        calls = 0

        def closure():
            nonlocal calls
            calls += 1
            optimizer.zero_grad()
            loss = rosenbrock(r)
            loss.backward()
            return loss

        for _ in range(2):
            yield optimizer.step(closure), r
            print(calls, optimizer.state[r]["n_iter"], optimizer.state[r]["func_evals"])
    x, y = _data(torch, 30, 3), _data(torch, 30, 2, seed=3)
    model = torch.nn.Linear(3, 2).double()
    for p in model.parameters():
        torch.nn.init.zeros_(p)
    optimizer = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")

    def fit():
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        return loss

    yield optimizer.step(fit), optimizer.step(fit), list(model.parameters())
    print(optimizer)
    for call in (
        lambda: torch.optim.LBFGS([{"params": [r]}, {"params": [x]}]),
        lambda: torch.optim.LBFGS([r], line_search_fn="other").step(closure),
        lambda: torch.optim.LBFGS([r], lr=-1),
    ):
        try:
            call()
        except (ValueError, RuntimeError) as error:
            print(type(error).__name__, error)


def early_stopping(torch):
    x, y = _data(torch, 40, 4), _data(torch, 40, 1, seed=5)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)
    ).double()
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(0.1)
            p[0] = 0.2
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2, factor=0.5)
    best, wait, saved, losses = float("inf"), 0, None, torch.zeros(0, dtype=torch.float64)
    running = 0.0
    for epoch in range(60):
        model.train()
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x[:30]), y[:30])
        loss.backward()
        optimizer.step()
        running += loss.detach()
        model.eval()
        with torch.no_grad():
            valid = torch.nn.functional.mse_loss(model(x[30:]), y[30:])
        scheduler.step(valid)
        losses = torch.cat([losses, valid.reshape(1)])
        if valid < best - 1e-3:
            best, wait = valid.item(), 0
            saved = {k: v.clone() for k, v in model.state_dict().items()}
        else:
            wait += 1
            if wait >= 5:
                print("stopped at", epoch)
                break
    model.load_state_dict(saved)
    yield (
        best,
        losses,
        running,
        optimizer.param_groups[0]["lr"],
        torch.nn.functional.mse_loss(model(x[30:]), y[30:]),
    )


def loaders(torch):
    data = torch.utils.data
    x = torch.arange(10.0).view(10, 1)
    set_ = data.TensorDataset(x, torch.arange(10))
    print(len(set_), set_[3], len(data.DataLoader(set_, batch_size=4)))
    for xb, yb in data.DataLoader(set_, batch_size=4):
        print(xb.shape, yb, xb.dtype)

    class Squares(data.Dataset):
        def __len__(self):
            return 5

        def __getitem__(self, i):
            return {"x": float(i), "y": np.array([i * i]), "name": f"n{i}"}

    for batch in data.DataLoader(Squares(), batch_size=3, drop_last=True):
        print(batch)
    print([b.tolist() for b in data.DataLoader(torch.arange(5), batch_size=2)])
    seen = torch.cat([yb for _, yb in data.DataLoader(set_, batch_size=3, shuffle=True)])
    print(
        seen.sort().values,
        [len(s) for s in data.random_split(set_, [7, 3])],
        len(data.Subset(set_, [1, 2])),
    )
    print([b for b in data.DataLoader([1, 2, 3], batch_size=2, collate_fn=lambda rows: sum(rows))])


def running_metrics(torch):
    total = torch.zeros(())
    count = 0
    mean, m2 = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    ema = None
    rows = _data(torch, 40, 3)
    for i, row in enumerate(rows):
        total += row.sum().float()
        count += 1
        delta = row - mean
        mean += delta / count
        m2 += delta * (row - mean)
        ema = row if ema is None else 0.9 * ema + 0.1 * row
    yield total / count, mean, (m2 / (count - 1)).sqrt(), ema, rows.mean(0), rows.std(0)
    norm = torch.nn.BatchNorm1d(3).double()
    for batch in rows.split(10):
        out = norm(batch)
    print(norm.num_batches_tracked)
    yield norm.running_mean, norm.running_var, out
    norm.eval()
    yield norm(rows[:2])
    predictions, truth = (rows > 0).long(), (rows > 0.5).long()
    tp = (predictions & truth).sum(0)
    precision, recall = tp / predictions.sum(0), tp / truth.sum(0)
    print(tp, precision, recall, 2 * precision * recall / (precision + recall))


def gradient_accumulation(torch):
    x, y = _data(torch, 32, 3), _data(torch, 32, 2, seed=1)
    w = _data(torch, 3, 2, seed=2).requires_grad_()
    ((x @ w - y) ** 2).sum().div(32).backward()
    whole = w.grad.clone()
    w.grad = None
    for xb, yb in zip(x.chunk(4), y.chunk(4)):
        loss = ((xb @ w - yb) ** 2).sum() / 32
        loss.backward()
    print(torch.allclose(whole, w.grad), w.grad is w.grad, w.grad.requires_grad)
    yield whole, w.grad
    total = torch.nn.utils.clip_grad_norm_([w], max_norm=0.1)
    yield total, w.grad
    torch.nn.utils.clip_grad_value_([w], 0.01)
    print(w.grad.abs().max(), torch.nn.utils.parameters_to_vector([w]).shape)
    frozen = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 1)).double()
    for p in frozen[0].parameters():
        p.requires_grad = False
    frozen(x).sum().backward()
    print(
        [p.grad is None for p in frozen.parameters()],
        [p.requires_grad for p in frozen.parameters()],
    )


def groups_and_schedules(torch):
    a, b = torch.ones(2, requires_grad=True), torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.01}], lr=0.1)
    schedules = torch.optim.lr_scheduler
    warm = schedules.LinearLR(optimizer, 0.1, total_iters=3)
    later = schedules.StepLR(optimizer, step_size=2, gamma=0.5)
    scheduler = schedules.SequentialLR(optimizer, [warm, later], milestones=[3])
    for _ in range(8):
        optimizer.zero_grad()
        (a.sum() ** 2 + b.sum()).backward()
        optimizer.step()
        scheduler.step()
        yield [g["lr"] for g in optimizer.param_groups], a, b
    optimizer.add_param_group({"params": [torch.zeros(1, requires_grad=True)], "lr": 5})
    print(len(optimizer.param_groups), optimizer)
    for make in (
        lambda o: schedules.ExponentialLR(o, 0.9),
        lambda o: schedules.LambdaLR(o, lambda step: 1 / (1 + step)),
        lambda o: schedules.MultiStepLR(o, [2, 4], 0.1),
        lambda o: schedules.OneCycleLR(o, max_lr=1.0, total_steps=10),
        lambda o: schedules.CosineAnnealingWarmRestarts(o, 3),
        lambda o: schedules.PolynomialLR(o, 5),
    ):
        o = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5, momentum=0.9)
        s = make(o)
        rates = []
        for _ in range(6):
            o.step()
            s.step()
            rates.append(o.param_groups[0]["lr"])
        yield rates
    try:
        torch.optim.SGD([], lr=0.1)
    except ValueError as error:
        print(error)
    try:
        torch.optim.Adam([a], lr=-1)
    except ValueError as error:
        print(error)


def cosine_schedule_by_hand(torch):
    steps = torch.arange(10)
    rates = torch.where(
        steps < 3, (steps + 1) / 3, 0.5 * (1 + torch.cos(math.pi * (steps - 3) / 7))
    )
    print(rates, rates.dtype)
    w = torch.tensor(1.0, requires_grad=True)
    for rate in rates:
        (w**2).backward()
        with torch.no_grad():
            w.sub_(rate * 0.1 * w.grad)
        w.grad.zero_()
    yield w, rates
