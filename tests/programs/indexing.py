"""Reading and writing parts of tensors."""

import numpy as np


def reading(torch):
    x = torch.arange(24).view(2, 3, 4)
    print(
        x[0],
        x[1, 2],
        x[1, 2, 3],
        x[-1, -1, -1],
        x[:, 1],
        x[..., 0],
        x[0, ..., 1:3],
        x[:, ::2].shape,
    )
    print(
        x[None].shape, x[:, None, :, None].shape, x[0][1][2], x[1:].shape, x[5:].shape, x[:, :, -2:]
    )
    print(
        x[[0, 1], [1, 2]],
        x[[1]],
        x[torch.tensor([1, 0])].shape,
        x[:, [0, 2]].shape,
        x[[0, 1], :, [1, 2]],
    )
    print(x[x > 20], x[:, torch.tensor([True, False, True])].shape, x[True].shape, x[False].shape)
    print(
        x[torch.tensor([[0, 1], [1, 0]])].shape,
        x[0, torch.tensor([0, 2]), 1:3],
        x[np.array([1])].shape,
    )
    print(
        x[(0, 1)],
        x[slice(0, 1)].shape,
        x[..., None].shape,
        x[torch.tensor(1)].shape,
        x[np.int64(1), 0],
    )
    rows = torch.arange(3)
    print(
        x[0][rows, rows],
        x[:, rows, rows],
        x[0, :, :3].diagonal(),
        x.select(1, 2),
        x.take(torch.tensor([0, -1])),
    )
    print(
        x.index_select(2, torch.tensor([3, 0]))[0],
        x.gather(2, torch.zeros(2, 3, 1, dtype=torch.long)).squeeze(-1),
    )
    for row in x[0]:
        print(row, row.sum().item())
    for i, (a, b) in enumerate(zip(x[0], x[1])):
        print(i, (a + b).tolist())
    a, b = x
    print(a.shape, [int(v) for v in x[0, 0]], max(x[0, 0]), sum(x[0, 0]), list(reversed(x[0, 0])))
    print(
        torch.where(x > 20),
        torch.nonzero(x > 21),
        (x == 5).nonzero(as_tuple=True),
        torch.argwhere(x == 3),
    )


def writing(torch):
    x = torch.zeros(3, 4)
    x[0] = 1
    x[1, 2] = 5.5
    x[:, 0] = torch.tensor([7, 8, 9])
    print(x)
    x[x == 0] = -1
    x[2, 1:3] = torch.tensor([3.0, 4.0])
    x[[0, 1], [1, 1]] = 10
    x[..., -1] += 100
    print(x)
    x[[0, 0, 1]] *= 2
    x[torch.tensor([True, False, False])] = 0
    x[1] = x[2].clone()
    x[0, :] = x[:, 0][:1]
    print(x)
    x[:] = torch.arange(4)
    x[1:, ::2] -= 1
    x.T[0] = 42
    x.fill_diagonal_(0)
    print(x, x.tolist())
    y = torch.arange(5)
    y[1:] = y[:-1].clone()
    y[y > 1] = 7
    y[-1], y[0] = y[0].clone(), y[-1].clone()
    y[2] = True
    y[3] = 2.9
    print(y)
    x.index_fill_(0, torch.tensor([1]), 3)
    x.index_add_(0, torch.tensor([0, 0]), torch.ones(2, 4))
    x.index_copy_(1, torch.tensor([3]), torch.zeros(3, 1))
    x.masked_fill_(x > 40, -1).scatter_(1, torch.tensor([[0], [1], [2]]), 0.5)
    print(x)
    x.zero_()
    x.index_put_(
        (torch.tensor([0, 0]), torch.tensor([1, 1])), torch.tensor([2.0, 3.0]), accumulate=True
    )
    x.masked_scatter_(torch.eye(3, 4).bool(), torch.tensor([1.0, 2.0, 3.0]))
    print(x)


def views_and_copies(torch):
    x = torch.arange(6)
    v = x.view(2, 3)
    c = x.clone()
    v[0, 0] = 99
    x[5] = -5
    print(x, v, c, v.T, v._base is x, v.data_ptr() == x.data_ptr(), c.data_ptr() == x.data_ptr())
    row = v[1]
    row += 10
    row.mul_(2)
    print(x, row, row.storage_offset(), row.is_contiguous(), v.T.is_contiguous())
    fancy = x[[0, 1]]
    fancy[0] = 0
    print(
        x[0],
        fancy,
        x.flatten().data_ptr() == x.data_ptr(),
        v.T.flatten().data_ptr() == x.data_ptr(),
    )
    for piece in x.split(2):
        piece.zero_()
        break
    print(x, x.reshape(3, 2).sub_(1), x)
    a, b = x.chunk(2)
    a.copy_(b)
    print(x, x.expand(2, 6).sum(0), x.diag().diagonal().data_ptr() == x.data_ptr())
    y = x
    y = y + 1
    x += 1
    print(torch.equal(x, y), x is y, x.detach().fill_(4), x)
    z = torch.zeros(2, 2)
    z.t()[0, 1] = 1
    z.diagonal().add_(5)
    z.unsqueeze(0)[0, 0] = 7
    print(z, z.as_strided((2,), (2,)), z._version)
    w = torch.zeros(3)
    kept = [w]
    for i in range(3):
        w[i] = i
        kept.append(w.clone())
    print(kept)


def matrix_games(torch):
    """Life, a spiral of indices, transposing in blocks."""
    board = torch.zeros(6, 6, dtype=torch.int64)
    board[1, 2] = board[2, 3] = board[3, 1] = board[3, 2] = board[3, 3] = 1
    for _ in range(4):
        near = sum(board.roll((i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)
        board = ((near == 3) | ((board == 1) & (near == 2))).long()
    print(board)
    print(board.nonzero().tolist(), board.sum().item())
    x = torch.arange(16).reshape(2, 2, 2, 2).permute(0, 2, 1, 3).reshape(4, 4)
    print(x, x.rot90(), x.tril(), x.triu(1), x.flip(0, 1), x.fliplr())
    pascal = torch.ones(5, 5, dtype=torch.long)
    for i in range(1, 5):
        for j in range(1, 5):
            pascal[i, j] = pascal[i - 1, j] + pascal[i, j - 1]
    print(pascal)
    sieve = torch.ones(50, dtype=torch.bool)
    sieve[:2] = False
    for n in range(2, 8):
        if sieve[n]:
            sieve[n * n :: n] = False
    print(sieve.nonzero().flatten().tolist())
    fib = torch.ones(10, dtype=torch.int32)
    for i in range(2, 10):
        fib[i] = fib[i - 1] + fib[i - 2]
    print(fib)


def sorting_and_searching(torch):
    x = torch.tensor([3.0, 1.0, 2.0, 1.0, float("nan"), -1.0])
    print(
        x.sort(),
        x.sort(descending=True),
        x[:4].argsort(),
        x[:4].sort(stable=True).indices,
        x[:4].topk(2),
    )
    values, index = torch.topk(x[:4], 2, largest=False)
    print(values, index, torch.sort(torch.tensor([[3, 1], [2, 5]]), dim=0), x.msort())
    u, inverse, counts = torch.unique(
        torch.tensor([3, 1, 2, 3, 1]), return_inverse=True, return_counts=True
    )
    print(u, inverse, counts, u[inverse], torch.unique_consecutive(torch.tensor([1, 1, 2, 2, 1])))
    print(
        torch.unique(torch.tensor([[1, 2], [1, 2], [0, 1]]), dim=0),
        torch.isin(torch.arange(5), torch.tensor([1, 3])),
    )
    scores = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]])
    order = scores.argsort(dim=1, descending=True)
    print(
        order, scores.gather(1, order), scores.take_along_dim(order, 1), torch.argmax(scores, dim=1)
    )
    mask = torch.zeros_like(scores).scatter_(1, order[:, :1], 1.0).bool()
    print(mask, scores[mask], scores.masked_fill(~mask, float("-inf")), scores.masked_select(mask))
    print(
        (scores > 0.25).nonzero(),
        scores.max(1, keepdim=True),
        scores.kthvalue(2, dim=1),
        scores.median(dim=1),
    )
    perm = torch.tensor([2, 0, 1])
    back = torch.empty_like(perm)
    back[perm] = torch.arange(3)
    print(back, perm[back], torch.argsort(perm), scores[:, perm])
    cum = torch.cumsum(torch.tensor([0.1, 0.2, 0.3, 0.4]), 0)
    print(torch.searchsorted(cum, torch.tensor([0.05, 0.5, 0.95])), (cum > 0.25).int().argmax())


def scatter_tricks(torch):
    labels = torch.tensor([2, 0, 1, 2])
    F = torch.nn.functional
    print(
        F.one_hot(labels),
        F.one_hot(labels, 4).float(),
        torch.eye(3)[labels],
        torch.eye(3).index_select(0, labels),
    )
    print(
        torch.zeros(4, 3).scatter_(1, labels.unsqueeze(1), 1.0),
        (labels[:, None] == torch.arange(3)).int(),
    )
    hist = torch.zeros(3).scatter_add_(0, labels, torch.ones(4))
    print(hist, torch.bincount(labels, minlength=5), hist / hist.sum())
    x = torch.arange(8.0).view(4, 2)
    sums = torch.zeros(3, 2).index_add_(0, labels, x)
    print(
        sums,
        sums / hist[:, None],
        torch.zeros(3).scatter_reduce(0, labels, x[:, 0], "amax", include_self=False),
    )
    print(torch.zeros(3, 2).scatter_add(0, labels[:, None].expand(-1, 2), x))
    lengths = torch.tensor([2, 3, 1])
    mask = torch.arange(3)[None, :] < lengths[:, None]
    print(mask, mask.sum(1), (torch.ones(3, 3) * mask).mean(1), mask.float().cumsum(1))
    adjacency = torch.zeros(4, 4)
    edges = torch.tensor([[0, 1], [1, 2], [2, 3]]).T
    adjacency[edges[0], edges[1]] = 1
    print(
        adjacency, adjacency + adjacency.T, torch.matrix_power(adjacency, 2), adjacency.sum(0).int()
    )
    confusion = torch.zeros(3, 3, dtype=torch.long)
    for truth, guess in zip(labels, torch.tensor([2, 0, 2, 1])):
        confusion[truth, guess] += 1
    print(confusion, confusion.diag().sum() / confusion.sum(), confusion.diag() / confusion.sum(1))


def broadcasting(torch):
    a = torch.arange(3)
    b = torch.arange(2).unsqueeze(1)
    print(
        a + b, (a[:, None] - a[None, :]).abs(), a * torch.ones(2, 1, 3), (a == a.unsqueeze(1)).int()
    )
    prediction = torch.ones(3, 1)
    target = torch.ones(3)
    print((prediction - target).shape, (prediction.squeeze() - target).shape)
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    print(((points[:, None] - points[None]) ** 2).sum(-1).sqrt(), torch.cdist(points, points))
    normal = (points - points.mean(0)) / points.std(0)
    print(normal, points / points.norm(dim=1, keepdim=True), points.sub(points.amin(0)))
    for left, right in [((3,), (4,)), ((2, 3), (2,)), ((0,), (2,))]:
        try:
            torch.ones(left) + torch.ones(right)
        except RuntimeError as error:
            print(error)
    x = torch.ones(3)
    try:
        x += torch.ones(2, 3)
    except RuntimeError as error:
        print(error)
    print(
        torch.broadcast_tensors(a, b),
        x.expand_as(torch.ones(2, 3)),
        torch.ones(1, 0) + torch.ones(3, 1),
    )
