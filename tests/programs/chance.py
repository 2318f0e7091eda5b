"""Random numbers: what a seed promises, and what statistics show."""

import math


def seeds(torch):
    torch.manual_seed(0)
    a = torch.rand(3)
    torch.manual_seed(0)
    b = torch.rand(3)
    c = torch.rand(3)
    print(
        torch.equal(a, b),
        torch.equal(b, c),
        a.dtype,
        torch.initial_seed(),
        type(torch.manual_seed(1)).__name__,
    )
    state = torch.get_rng_state()
    d = torch.randn(4)
    torch.set_rng_state(state)
    print(torch.equal(d, torch.randn(4)), state.dtype)
    g = torch.Generator().manual_seed(7)
    h = torch.Generator()
    h.manual_seed(7)
    print(
        torch.equal(torch.randn(5, generator=g), torch.randn(5, generator=h)),
        g.initial_seed(),
        g.device,
    )
    saved = g.get_state()
    e = torch.randint(10, (3,), generator=g)
    g.set_state(saved)
    print(torch.equal(e, torch.randint(10, (3,), generator=g)), e.dtype, e.shape)
    with torch.random.fork_rng():
        torch.rand(10)
    torch.manual_seed(3)
    f = torch.nn.Dropout(0.5)(torch.ones(100))
    torch.manual_seed(3)
    print(torch.equal(f, torch.nn.functional.dropout(torch.ones(100), 0.5)), set(f.tolist()))
    torch.manual_seed(5)
    first = torch.nn.Linear(3, 3)
    torch.manual_seed(5)
    print(
        torch.equal(first.weight, torch.nn.Linear(3, 3).weight),
        first.weight.abs().max() <= 1 / math.sqrt(3),
    )


def statistics(torch):
    torch.manual_seed(0)
    n = 20000
    x = torch.randn(n)
    u = torch.rand(n)
    print(
        abs(x.mean()) < 0.03,
        abs(x.std() - 1) < 0.03,
        abs(u.mean() - 0.5) < 0.02,
        u.min() >= 0,
        u.max() < 1,
    )
    i = torch.randint(-2, 3, (n,))
    print(
        i.unique(),
        (torch.bincount(i + 2) / n - 0.2).abs().max() < 0.02,
        i.dtype,
        torch.randperm(6).sort().values,
    )
    b = torch.bernoulli(torch.full((n,), 0.3))
    print(
        abs(b.mean() - 0.3) < 0.02,
        b.unique(),
        torch.empty(3).uniform_(2, 3).floor(),
        torch.empty(2).bernoulli_(1.0),
    )
    m = torch.multinomial(torch.tensor([0.1, 0.0, 0.9]), n, replacement=True)
    print(
        m.unique(),
        abs((m == 2).float().mean() - 0.9) < 0.02,
        torch.multinomial(torch.ones(4), 4).sort().values,
    )
    e = torch.empty(n).exponential_(2.0)
    print(
        abs(e.mean() - 0.5) < 0.03,
        abs(torch.normal(5.0, 2.0, (n,)).mean() - 5) < 0.1,
        torch.normal(torch.zeros(2), torch.zeros(2)),
    )
    print(torch.rand_like(x).shape, torch.randn(2, 3, dtype=torch.float64).dtype)
    print(
        torch.randint_like(x, 5).dtype,
        torch.randint(0, 2, (2, 2)).bool().dtype,
        torch.randn(3, requires_grad=True).is_leaf,
        torch.rand(()).shape,
    )


def dropout(torch):
    torch.manual_seed(0)
    layer = torch.nn.Dropout(0.25)
    x = torch.ones(10000, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    print(
        torch.equal(x.grad, y.detach()),
        abs((y == 0).float().mean() - 0.25) < 0.03,
        y.max(),
        layer.eval()(x) is x,
    )
    layer.eval()
    print(
        torch.equal(layer(x), x),
        torch.nn.functional.dropout(x, 0.5, training=False).equal(x),
        torch.nn.Dropout(1.0)(torch.ones(3)),
    )
    try:
        torch.nn.Dropout(1.5)
    except ValueError as error:
        print(error)
    z = torch.nn.Dropout2d(0.5)(torch.ones(4, 50, 2, 2))
    print(((z == 0).flatten(2).all(-1) | (z == 2).flatten(2).all(-1)).all())


def metropolis(torch):
    g = torch.Generator().manual_seed(1)
    x = torch.zeros(1000)
    samples = []
    accepted = torch.zeros(())
    for step in range(60):
        proposal = x + torch.randn(1000, generator=g)
        log_ratio = (x**2 - proposal**2) / 2
        accept = torch.rand(1000, generator=g).log() < log_ratio
        x = torch.where(accept, proposal, x)
        accepted += accept.float().mean()
        if step >= 20:
            samples.append(x.clone())
    samples = torch.stack(samples)
    print(
        samples.shape,
        abs(samples.mean()) < 0.1,
        abs(samples.var() - 1) < 0.15,
        0.5 < accepted / 60 < 0.9,
    )
    inside = (torch.rand(50000, 2, generator=g).pow(2).sum(1) < 1).float().mean() * 4
    print(abs(inside - math.pi) < 0.05)
    walk = torch.randint(0, 2, (100, 50), generator=g).mul(2).sub(1).cumsum(1)
    print(
        walk.abs().max() <= 50, abs(walk[:, -1].float().mean()) < 3, ((walk[:, -1] % 2) == 0).all()
    )


def initialisation(torch):
    init = torch.nn.init
    torch.manual_seed(0)
    w = torch.empty(200, 100)
    print(
        init.calculate_gain("relu"),
        init.calculate_gain("leaky_relu", 0.2),
        init.zeros_(w) is w,
        init.ones_(w).sum(),
        init.constant_(w, 0.3)[0, 0],
    )
    print(
        abs(init.xavier_uniform_(w).std() - math.sqrt(2 / 300)) < 0.002,
        abs(init.xavier_normal_(w).std() - math.sqrt(2 / 300)) < 0.002,
    )
    print(
        abs(init.kaiming_normal_(w, nonlinearity="relu").std() - math.sqrt(2 / 100)) < 0.003,
        init.kaiming_uniform_(w, mode="fan_out").abs().max() <= math.sqrt(6 / 200),
    )
    print(init.eye_(torch.empty(2, 3)), init.uniform_(w, 1, 2).min() >= 1)
    q = init.orthogonal_(torch.empty(4, 6))
    print(torch.allclose(q @ q.T, torch.eye(4), atol=1e-5), init.normal_(torch.empty(3), 1, 0))
    t = init.trunc_normal_(w, std=0.02, a=-0.04, b=0.04)
    print(t is w, t.abs().max() <= 0.04, abs(t.std() - 0.0176) < 0.001, abs(t.mean()) < 0.001)
    t = init.trunc_normal_(w, mean=1.0, std=2.0, a=0.0, b=9.0)
    print(t.min() >= 0, abs(t.mean() - 2.0183) < 0.05, abs((t < 1).float().mean() - 0.2769) < 0.02)
    print(init.dirac_(torch.empty(2, 2, 3)), init.dirac_(torch.empty(4, 1, 3, 3), 2)[:, 0, 1])
    s = init.sparse_(torch.empty(10, 4), 0.25)
    print((s == 0).sum(0), s.abs().max() < 0.1)
    for call in (
        lambda: init.dirac_(torch.empty(2, 2)),
        lambda: init.dirac_(torch.empty(3, 1, 1), 2),
        lambda: init.sparse_(torch.empty(3), 0.1),
    ):
        try:
            call()
        except ValueError as error:
            print(error)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))

    def weights(module):
        if isinstance(module, torch.nn.Linear):
            init.zeros_(module.weight)
            module.bias.data.fill_(0.01)

    model.apply(weights)
    print(model(torch.ones(1, 2)), list(model.parameters())[1])
