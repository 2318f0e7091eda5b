"""Autograd: hooks, functions, higher orders, errors, in-place."""

import warnings

ULPS = 10000  # of float64, what matrix decompositions and iterations make of roundings


def basics(torch):
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = (x**2).sum()
    y.backward()
    print(
        x.grad, y, x.is_leaf, y.is_leaf, y.grad_fn, y.grad_fn.next_functions[0][0], x.grad.is_leaf
    )
    y = x.prod() + x.max() + x.norm()
    y.backward()
    print(x.grad)
    x.grad.zero_()
    (x * torch.tensor([1.0, 0.0, 2.0])).backward(torch.tensor([1.0, 1.0, 0.5]))
    print(x.grad)
    a, b = torch.tensor(2.0, requires_grad=True), torch.tensor(3.0, requires_grad=True)
    print(torch.autograd.grad(a * b + a.sin(), [a, b]), a.grad)
    with torch.no_grad():
        z = x * 2
    print(z.requires_grad, z.grad_fn, x.detach().requires_grad, (x.detach() * 2).requires_grad)
    with torch.no_grad(), torch.enable_grad():
        print((x * 2).requires_grad, torch.is_grad_enabled())
    torch.set_grad_enabled(False)
    print((x * 2).requires_grad)
    torch.set_grad_enabled(True)
    with torch.inference_mode():
        z = x * 2
    print(z.requires_grad, z.is_inference())

    @torch.no_grad()
    def f(v):
        return v * 2

    print(
        f(x).requires_grad,
        x.requires_grad_(False).requires_grad,
        torch.ones(2).requires_grad_().requires_grad,
    )
    h = torch.ones(2, requires_grad=True)
    m = h * 3
    m.retain_grad()
    (m**2).sum().backward()
    print(m.grad, h.grad, m.retains_grad, h.retains_grad)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        print((h * 2).grad)
    print([w.category.__name__ for w in seen])


def errors(torch):
    x = torch.ones(3, requires_grad=True)
    detached = torch.ones(2)

    def twice():
        y = (x * x).sum()
        y.backward()
        y.backward()

    def saved_changed():
        y = x.exp()
        y.add_(1)
        y.sum().backward()

    def input_changed():
        w = torch.ones(3)
        y = (x * w).sum()
        w += 1
        y.backward()

    def leaf_in_place():
        x.add_(1)

    def leaf_view():
        x[0] = 1

    def view_of_split():
        a, b = (x * 2)[:2].unbind()
        a.mul_(2)

    def unused():
        torch.autograd.grad((x * 2).sum(), [x, torch.ones(1, requires_grad=True)])

    def integer():
        torch.ones(2, dtype=torch.long, requires_grad=True)

    def shape():
        (x * 2).backward(torch.ones(2))

    def nonleaf_flag():
        (x * 2).requires_grad_(False)

    def inference():
        with torch.inference_mode():
            y = torch.ones(3)
        (x * y).sum().backward()

    calls = [
        lambda: (x * 2).backward(),
        lambda: detached.sum().backward(),
        twice,
        saved_changed,
        input_changed,
    ]
    calls += [
        leaf_in_place,
        leaf_view,
        view_of_split,
        unused,
        integer,
        shape,
        nonleaf_flag,
        inference,
    ]
    calls += [
        lambda: x.numpy(),
        lambda: setattr(x, "grad", torch.ones(2)),
        lambda: x.detach().register_hook(print),
    ]
    calls += [
        lambda: torch.autograd.grad(detached.sum(), detached),
        lambda: setattr(x * 2, "requires_grad", False),
    ]
    for call in calls:
        try:
            call()
            print("no error")
        except (RuntimeError, TypeError) as error:
            print(type(error).__name__, str(error)[1:48])
        x.grad = None


def in_place_and_views(torch):
    x = torch.arange(4.0, requires_grad=True)
    y = x * 1
    y[1] = 10
    y[2:] *= 3
    y.sum().backward()
    print(x.grad, y)
    x.grad = None
    y = x.clone()
    v = y.view(2, 2)
    v[0].mul_(5)
    print(y.grad_fn, v.grad_fn, v, y)
    (y * torch.arange(4.0)).sum().backward()
    print(x.grad)
    x.grad = None
    buffer = torch.zeros(4)
    buffer[:2] = x[:2] * 2
    buffer[2:].copy_(x[2:].exp())
    print(buffer.requires_grad, buffer)
    buffer.sum().backward()
    print(x.grad)
    x.grad = None
    out = []
    state = torch.zeros(())
    for v in x:
        state = state * 0.5 + v
        out.append(state)
    torch.stack(out).sum().backward()
    print(x.grad)
    w = torch.ones(2, 2, requires_grad=True)
    with torch.no_grad():
        w[0, 0] = 5
        w.fill_diagonal_(2)
        w -= 1
    print(w, w.grad_fn, w._version)
    (w.t() * 2).relu_().sum().backward()
    print(w.grad)
    m = (w * 1).masked_fill_(torch.eye(2).bool(), 0)
    m.clamp_(max=0.5).sum().backward()
    print(w.grad)


def custom_functions(torch):
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale=1.0):
            ctx.save_for_backward(x)
            ctx.scale = scale
            return x**3 * scale

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return 3 * x**2 * ctx.scale * grad, None

    class StraightThrough(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return (x > 0).float()

        @staticmethod
        def backward(ctx, grad):
            return grad.clamp(-1, 1)

    class Two(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a + b, a * b

        @staticmethod
        def backward(ctx, first, second):
            a, b = ctx.saved_tensors
            return first + second * b, first + second * a

    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = Cube.apply(x, 2.0)
    print(y)
    y.sum().backward()
    print(x.grad)
    x.grad = None
    StraightThrough.apply(x).sum().backward()
    print(x.grad)
    s, p = Two.apply(x, x * 2)
    print(s, p)
    (s + p).sum().backward()
    print(x.grad)
    double = torch.tensor([0.5, 1.5], dtype=torch.float64, requires_grad=True)
    print(
        torch.autograd.gradcheck(Cube.apply, (double,)),
        torch.autograd.gradgradcheck(Cube.apply, (double,)),
    )

    class Wrong(Cube):
        @staticmethod
        def backward(ctx, grad):
            return grad, None

    try:
        torch.autograd.gradcheck(Wrong.apply, (double,))
    except RuntimeError as error:
        print(str(error)[:40])
    print(torch.autograd.gradcheck(Wrong.apply, (double,), raise_exception=False))
    print(type(y.grad_fn).__name__, y.grad_fn.scale)


def higher_orders(torch):
    x = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    y = x**4
    for _ in range(4):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
        print(y.item())
    w = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    F = torch.autograd.functional

    def f(v):
        return (v.sin() * v.roll(1)).sum() + v.prod()

    yield (
        F.jacobian(lambda v: v**2 * v.sum(), w),
        F.hessian(f, w),
        F.vjp(torch.exp, w, torch.ones(3).double()),
    )
    yield F.jvp(torch.exp, w, torch.ones(3).double()), F.hvp(f, w, torch.ones(3).double())
    penalty = torch.autograd.grad(f(w), w, create_graph=True)[0].pow(2).sum()
    penalty.backward()
    yield w.grad
    rows = torch.stack(
        [
            torch.autograd.grad(g, w, retain_graph=True)[0]
            for g in torch.autograd.grad(f(w), w, create_graph=True)[0]
        ]
    )
    yield rows


def hooks(torch):
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    handle = y.register_hook(lambda g: print("y", g))
    x.register_hook(lambda g: g * 10)
    y.sum().backward()
    print(x.grad)
    handle.remove()
    x.grad = None
    x.register_post_accumulate_grad_hook(lambda p: print("accumulated", p.grad))
    (x * 3).sum().backward()
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(0.5)
    seen = {}
    net[0].register_forward_hook(lambda m, args, out: seen.update(linear=out.detach()))
    net.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    net[1].register_full_backward_hook(lambda m, gi, go: print("back", gi, go))
    net(torch.zeros(1, 2)).sum().backward()
    print(seen, net[0].weight.grad)

    def hook(grad):
        raise ValueError("from a hook")

    z = (x * 1).sum()
    z.register_hook(hook)
    try:
        z.backward()
    except ValueError as error:
        print(error)


def newton_and_line_search(torch):
    def f(p):
        return (p[0] - 1) ** 4 + (p[0] + p[1]) ** 2 + p.exp().sum()

    p = torch.tensor([2.0, -1.0], dtype=torch.float64, requires_grad=True)
    for _ in range(8):
        g = torch.autograd.grad(f(p), p)[0]
        H = torch.autograd.functional.hessian(f, p)
        step = torch.linalg.solve(H, g)
        rate = 1.0
        while f(p - rate * step) > f(p) - 1e-4 * rate * g @ step:
            rate /= 2
        p = (p - rate * step).detach().requires_grad_()
    yield p, f(p), torch.autograd.grad(f(p), p)[0].norm() < 1e-8


def gradients_through_everything(torch):
    torch_data = torch.tensor([[0.3, -1.2, 0.7], [2.0, 0.1, -0.4]], dtype=torch.float64)
    F = torch.nn.functional
    index = torch.tensor([[2, 0], [1, 1]])
    functions = [
        lambda x: x.sort(1)[0][:, 0],
        lambda x: x.topk(2).values,
        lambda x: x.cumsum(1) * x.cumprod(0),
        lambda x: x.gather(1, index),
        lambda x: x[:, [0, 0, 2]],
        lambda x: x[x > 0],
        lambda x: torch.where(x > 0, x, x.exp()),
        lambda x: x.std(1) + x.var(),
        lambda x: x.max(1)[0] - x.min(0)[0][:2],
        lambda x: x @ x.T @ x,
        lambda x: torch.linalg.svdvals(x),
        lambda x: torch.linalg.det(x @ x.T),
        lambda x: torch.linalg.inv(x @ x.T),
        lambda x: F.softmax(x, 1)[:, 0],
        lambda x: F.layer_norm(x, (3,)).exp(),
        lambda x: F.pad(x, (1, 1)).roll(1),
        lambda x: x.unfold(1, 2, 1),
        lambda x: x.expand(2, 2, 3).sum(0),
        lambda x: x.repeat(2, 2),
        lambda x: torch.cat([x, x * 2], 1),
        lambda x: torch.einsum("ij,kj->ik", x, x),
        lambda x: F.cosine_similarity(x[:1], x[1:]),
        lambda x: x.norm(dim=1),
        lambda x: x.abs().log(),
        lambda x: torch.cdist(x, x + 1),
        lambda x: x.median(1)[0],
        lambda x: x.logsumexp(0),
        lambda x: F.gelu(x) + F.silu(x) + F.elu(x),
        lambda x: torch.linalg.cholesky(x @ x.T),
        lambda x: torch.linalg.eigvalsh(x @ x.T),
        lambda x: x.clamp(-1, 0.5),
        lambda x: x.tril() + x.triu(),
        lambda x: x.index_add(0, torch.tensor([0, 0]), x),
        lambda x: x.scatter_add(1, index, x[:, :2]),
        lambda x: x.masked_fill(x > 1, 0),
        lambda x: x.atan2(x.flip(1)),
        lambda x: torch.linalg.qr(x.T)[1].abs(),
        lambda x: x.prod(1),
        lambda x: x.lerp(x.flip(0), 0.3),
        lambda x: x.diagonal() * x.trace() if x.shape[0] == x.shape[1] else x.diagonal(),
        lambda x: torch.linalg.solve(x @ x.T, x),
        lambda x: torch.linalg.norm(x, 2),
        lambda x: F.normalize(x),
        lambda x: x.kthvalue(2)[0],
    ]
    for f in functions:
        x = torch_data.clone().requires_grad_()
        f(x).square().sum().backward()
        yield x.grad


def anomaly(torch):
    x = torch.tensor([-1.0, 4.0], requires_grad=True)
    y = x.sqrt().sum()
    y.backward()
    print(x.grad, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.set_detect_anomaly(True):
            try:
                x.sqrt().sum().backward()
            except RuntimeError as error:
                print(error)
    x.grad = None
    torch.nan_to_num(x.sqrt()).sum().backward()
    print(x.grad)
    z = torch.tensor(0.0, requires_grad=True)
    print(
        torch.autograd.grad(torch.where(z > 0, z.log(), z * 2), z),
        torch.autograd.grad(z.abs() + z.relu() + z.sign(), z),
    )
    print(
        torch.autograd.grad(z**2, z),
        torch.autograd.grad(z**0.5, z),
        torch.autograd.grad(z.norm(), z),
        torch.autograd.grad(z**0, z),
    )


def checkpoint_and_detach(torch):
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    ema = torch.zeros(2)
    for _ in range(3):
        y = (w * 2).tanh()
        ema.mul_(0.9).add_(y.detach(), alpha=0.1)
        y.sum().backward()
    print(ema, ema.requires_grad, w.grad)
    target = (w * 3).detach()
    target[0] = 100
    print(w, target, w.data is w, w.data.requires_grad, w.data.data_ptr() == w.data_ptr())
    w.data[0] = 7
    w.data = w.data * 2
    print(w, w.is_leaf)
    a = (w * 1).detach_()
    print(a.requires_grad, a.is_leaf, a.grad_fn)
