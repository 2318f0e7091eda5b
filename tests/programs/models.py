"""Algorithms and layers by hand, beside the library's own."""

import math

import numpy as np

ULPS = 400


def _data(torch, *shape, seed=0, dtype="float64"):
    return torch.from_numpy(np.random.RandomState(seed).randn(*shape).astype(dtype))


def k_means(torch):
    points = torch.cat([_data(torch, 20, 2, seed=i) * 0.3 + 3 * i for i in range(3)])
    centers = points[[0, 25, 45]].clone()
    for step in range(10):
        distances = torch.cdist(points, centers)
        labels = distances.argmin(1)
        new = torch.stack([points[labels == k].mean(0) for k in range(3)])
        if torch.allclose(new, centers):
            print("converged", step)
            break
        centers = new
    print(labels, torch.bincount(labels))
    yield centers, distances.min(1).values.sum(), distances


def principal_components(torch):
    x = _data(torch, 40, 4) @ _data(torch, 4, 4, seed=1)
    x = x - x.mean(0)
    u, s, vh = torch.linalg.svd(x, full_matrices=False)
    values, vectors = torch.linalg.eigh(x.T @ x)
    yield s, values, (x @ vh[:2].T).abs(), vectors.abs(), s**2 / (s**2).sum()
    print(
        torch.allclose(u @ torch.diag(s) @ vh, x),
        torch.allclose(values.flip(0).sqrt(), s),
        u.shape,
        vh.shape,
    )
    low = (u[:, :1] * s[:1]) @ vh[:1]
    yield (x - low).norm(), torch.linalg.matrix_norm(x, "nuc"), torch.linalg.matrix_norm(x, 2)


def power_iteration(torch):
    a = _data(torch, 5, 5)
    a = a @ a.T
    v = torch.ones(5).double()
    for i in range(200):
        w = a @ v
        norm = w.norm()
        w = w / norm
        if (w - v).norm() < 1e-10:
            break
        v = w
    yield v, norm, torch.dot(v, a @ v)
    p = torch.tensor([[0.9, 0.1], [0.5, 0.5]])
    state = torch.tensor([1.0, 0.0])
    for _ in range(50):
        state = state @ p
    yield state, torch.linalg.matrix_power(p, 50)


def attention(torch):
    F = torch.nn.functional
    q, k, v = (_data(torch, 2, 3, 5, 4, seed=i) for i in range(3))
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
    mask = torch.triu(torch.ones(5, 5), diagonal=1).bool()
    weights = scores.masked_fill(mask, float("-inf")).softmax(dim=-1)
    out = weights @ v
    print(
        weights[0, 0], torch.allclose(out, F.scaled_dot_product_attention(q, k, v, is_causal=True))
    )
    yield out, out.transpose(1, 2).reshape(2, 5, 12), torch.einsum("bhqk,bhkd->bqhd", weights, v)
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True).double()
    with torch.no_grad():
        for i, p in enumerate(attention.parameters()):
            p.copy_(_data(torch, *p.shape, seed=i) * 0.2)
    x = _data(torch, 2, 3, 8)
    y, w = attention(x, x, x)
    yield y, w, w.sum(-1)
    positions = torch.arange(6).unsqueeze(1)
    rate = torch.exp(torch.arange(0, 8, 2) * (-math.log(10000.0) / 8))
    table = torch.zeros(6, 8)
    table[:, 0::2] = torch.sin(positions * rate)
    table[:, 1::2] = torch.cos(positions * rate)
    yield table


def recurrent_cells(torch):
    x, h, c = _data(torch, 7, 2, 3), torch.zeros(2, 4).double(), torch.zeros(2, 4).double()
    lstm = torch.nn.LSTM(3, 4).double()
    gru = torch.nn.GRU(3, 4).double()
    rnn = torch.nn.RNN(3, 4).double()
    with torch.no_grad():
        for net in (lstm, gru, rnn):
            for i, p in enumerate(net.parameters()):
                p.copy_(_data(torch, *p.shape, seed=i) * 0.3)
    outs = []
    for step in x:
        gates = (
            step @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + h @ lstm.weight_hh_l0.T + lstm.bias_hh_l0
        )
        i, f, g, o = gates.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outs.append(h)
    out, (hn, cn) = lstm(x)
    print(
        torch.allclose(torch.stack(outs), out), torch.allclose(h, hn[0]), torch.allclose(c, cn[0])
    )
    out.sum().backward()
    yield out, lstm.weight_hh_l0.grad, gru(x), rnn(x)
    h = torch.zeros(2, 4).double()
    for step in x:
        ri, zi, ni = (step @ gru.weight_ih_l0.T + gru.bias_ih_l0).chunk(3, 1)
        rh, zh, nh = (h @ gru.weight_hh_l0.T + gru.bias_hh_l0).chunk(3, 1)
        r, z = torch.sigmoid(ri + rh), torch.sigmoid(zi + zh)
        h = (1 - z) * torch.tanh(ni + r * nh) + z * h
    print(torch.allclose(h, gru(x)[1][0]))
    packed = torch.nn.utils.rnn.pad_sequence(
        [torch.ones(2), torch.ones(4), torch.ones(1)], batch_first=True
    )
    print(packed, torch.nn.RNNCell(3, 4)(torch.zeros(2, 3)).shape)


def convolution_by_unfold(torch):
    F = torch.nn.functional
    x = _data(torch, 2, 3, 6, 7).requires_grad_()
    w = _data(torch, 4, 3, 3, 3, seed=1).requires_grad_()
    columns = F.unfold(x, 3, padding=1, stride=2)
    out = (w.view(4, -1) @ columns).view(2, 4, 3, 4)
    want = F.conv2d(x, w, padding=1, stride=2)
    print(torch.allclose(out, want), columns.shape)
    got = torch.autograd.grad(out.square().sum(), [x, w])
    exact = torch.autograd.grad(want.square().sum(), [x, w])
    print([torch.allclose(a, b) for a, b in zip(got, exact)])
    yield out, exact
    windows = x.detach().unfold(2, 3, 1).unfold(3, 3, 1)
    yield torch.einsum("bchwij,ocij->bohw", windows, w.detach()), windows.amax((-1, -2))
    print(
        torch.allclose(windows.amax((-1, -2)), F.max_pool2d(x, 3, 1)),
        F.fold(columns, (6, 7), 3, padding=1, stride=2).shape,
    )
    yield (
        F.avg_pool2d(x, 2),
        F.interpolate(x, scale_factor=2),
        F.interpolate(x, (3, 3), mode="bilinear", align_corners=False),
    )
    yield (
        F.conv1d(x[:, :, 0], w[:, :, 0]),
        F.conv_transpose2d(x, w.transpose(0, 1), stride=2),
        F.adaptive_avg_pool2d(x, 1),
    )
    yield (
        torch.conv2d(x, w),
        torch.pixel_shuffle(_data(torch, 1, 4, 2, 2), 2),
        F.pad(x, (1, 1, 1, 1), mode="reflect"),
    )


def small_cnn(torch):
    nn = torch.nn
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    ).double()
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(_data(torch, *p.shape, seed=i) * 0.3)
    x, y = _data(torch, 6, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        loss = nn.CrossEntropyLoss()(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()
    yield list(net.parameters()), net.eval()(x).softmax(-1)
    print(
        sum(p.numel() for p in net.parameters() if p.requires_grad),
        [type(m).__name__ for m in net.children()],
    )


def graph_network(torch):
    edges = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])
    x = _data(torch, 4, 3).requires_grad_()
    w = _data(torch, 3, 3, seed=1)
    degree = torch.zeros(4).double().scatter_add_(0, edges[1], torch.ones(5).double()).clamp_(min=1)
    for _ in range(2):
        messages = (x @ w)[edges[0]]
        x = torch.relu(
            torch.zeros(4, 3).double().index_add_(0, edges[1], messages) / degree[:, None] + x
        )
    adjacency = torch.zeros(4, 4).double()
    adjacency[edges[1], edges[0]] = 1
    yield (
        x,
        degree,
        adjacency @ w[:, :1].new_ones(4, 1),
        torch.linalg.eigvalsh(torch.diag(adjacency.sum(1)) - (adjacency + adjacency.T) / 2),
    )


def gaussian_process(torch):
    x = torch.linspace(0, 3, 12, dtype=torch.float64)
    y = torch.sin(2 * x)
    log_scale = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    for _ in range(3):
        k = torch.exp(-0.5 * (x[:, None] - x[None]) ** 2 / log_scale.exp() ** 2) + 0.1 * torch.eye(
            12
        )
        chol = torch.linalg.cholesky(k)
        alpha = torch.linalg.solve(chol.T, torch.linalg.solve(chol, y[:, None]))
        loss = 0.5 * y @ alpha[:, 0] + chol.diagonal().log().sum()
        (grad,) = torch.autograd.grad(loss, log_scale)
        log_scale = (log_scale - 0.1 * grad).detach().requires_grad_()
        yield loss, log_scale
    yield alpha, torch.linalg.inv(chol)


def differential_equations(torch):
    state = torch.tensor([1.0, 0.0], dtype=torch.float64)
    a = torch.tensor([[0.0, 1.0], [-1.0, -0.1]], dtype=torch.float64)
    path = [state]
    for _ in range(50):
        k1 = a @ state
        k2 = a @ (state + 0.05 * k1)
        k3 = a @ (state + 0.05 * k2)
        k4 = a @ (state + 0.1 * k3)
        state = state + 0.1 / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path.append(state)
    path = torch.stack(path)
    yield (
        path,
        path.diff(dim=0).abs().max(),
    )
    heat = torch.zeros(20).double()
    heat[10] = 1
    for _ in range(30):
        heat[1:-1] += 0.2 * (heat[2:] - 2 * heat[1:-1] + heat[:-2])
    yield heat, heat.sum(), heat.diff()


def text_model(torch):
    text = "hello world, hello lazy tensors"
    letters = sorted(set(text))
    stoi = {ch: i for i, ch in enumerate(letters)}
    data = torch.tensor([stoi[ch] for ch in text])
    counts = torch.zeros(len(letters), len(letters), dtype=torch.int32)
    for a, b in zip(data, data[1:]):
        counts[a, b] += 1
    p = (counts + 1).float()
    p /= p.sum(1, keepdim=True)
    logs = torch.log(p[data[:-1], data[1:]])
    print(
        f"{-logs.mean():.4f}",
        letters[counts.sum(0).argmax()],
        "".join(letters[int(i)] for i in data[:5]),
    )
    w = torch.zeros(len(letters), len(letters), requires_grad=True)
    one_hot = torch.nn.functional.one_hot(data[:-1], num_classes=len(letters)).float()
    for _ in range(5):
        logits = one_hot @ w
        counts_ = logits.exp()
        probs = counts_ / counts_.sum(1, keepdims=True)
        loss = -probs[torch.arange(len(data) - 1), data[1:]].log().mean() + 0.01 * (w**2).mean()
        w.grad = None
        loss.backward()
        w.data += -50 * w.grad
    yield loss.item(), w
    embed = torch.nn.Embedding(len(letters), 4, padding_idx=0)
    print(embed(data).shape, embed.weight[0], torch.topk(counts.sum(1), 3).values)
    blocks = torch.stack([data[i : i + 4] for i in range(0, 12, 4)])
    print(blocks, blocks.unfold(1, 2, 1).shape, data.tolist()[:3], data[:8].view(2, 4))
    logits = w.detach()[data[:3]]
    top = torch.topk(logits, 3)
    logits[logits < top.values[:, [-1]]] = -float("inf")
    yield torch.softmax(logits / 0.7, dim=-1)


def losses_by_hand(torch):
    F = torch.nn.functional
    logits, target = _data(torch, 5, 3), torch.tensor([0, 2, 1, 1, 0])
    manual = -logits.log_softmax(1).gather(1, target[:, None]).mean()
    print(torch.allclose(manual, F.cross_entropy(logits, target)), f"{manual:.6f}")
    weights = torch.tensor([1.0, 2.0, 0.5]).double()
    yield (
        F.cross_entropy(logits, target, weight=weights),
        F.cross_entropy(logits, logits.softmax(1)),
        F.nll_loss(logits, target, ignore_index=1),
    )
    p, q = logits.softmax(1), logits.flip(0).softmax(1)
    yield (
        F.kl_div(p.log(), q, reduction="batchmean"),
        (q * (q / p).log()).sum(1),
        F.binary_cross_entropy(p, q),
        F.huber_loss(p, q),
    )
    focal = (1 - p.gather(1, target[:, None])) ** 2 * -p.gather(1, target[:, None]).log()
    yield (
        focal,
        F.smooth_l1_loss(p, q, beta=0.1),
        F.triplet_margin_loss(p, q, logits),
        F.cosine_embedding_loss(p, q, torch.ones(5)),
    )
    dice = 1 - (2 * (p * q).sum() + 1) / (p.sum() + q.sum() + 1)
    similarity = F.normalize(logits) @ F.normalize(logits).T / 0.1
    contrastive = F.cross_entropy(similarity - 1e9 * torch.eye(5), torch.tensor([1, 0, 3, 2, 0]))
    yield (
        dice,
        contrastive,
        F.gaussian_nll_loss(p, q, p),
        F.poisson_nll_loss(p, q),
        F.hinge_embedding_loss(p, torch.ones(5, 3)),
    )
    try:
        F.cross_entropy(logits, torch.tensor([0, 1, 2, 3, 0]))
    except (IndexError, RuntimeError) as error:
        print(type(error).__name__)
