"""Errors as programs catch them: their types, and the words they look for."""


def _caught(call, *words):
    try:
        print("no error", call())
    except Exception as error:
        text = str(error)
        print(type(error).__name__.strip("_"), [word for word in words if word in text])


def shapes_that_do_not_fit(torch):
    a, b = torch.ones(2, 3), torch.ones(4, 5)
    F = torch.nn.functional
    _caught(
        lambda: a + b,
        "The size of tensor a (3) must match the size of tensor b (5) at non-singleton dimension 1",
    )
    _caught(lambda: a @ b, "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)")
    _caught(lambda: a.view(4), "shape '[4]' is invalid for input of size 6")
    _caught(
        lambda: a.t().view(6),
        "view size is not compatible with input tensor's size and stride",
        "reshape",
    )
    _caught(lambda: a.reshape(-1, 4), "shape '[-1, 4]' is invalid for input of size 6")
    _caught(lambda: a.reshape(-1, -1), "only one dimension can be inferred")
    _caught(lambda: torch.cat([a, b]), "Sizes of tensors must match except in dimension 0")
    _caught(lambda: torch.cat([]), "expected a non-empty list of Tensors")
    _caught(lambda: torch.stack([a, b]), "stack expects each tensor to be equal size")
    _caught(lambda: torch.dot(a, a), "1D tensors expected")
    _caught(lambda: a.expand(4, 3), "must match the existing size (2) at non-singleton dimension 0")
    _caught(
        lambda: a.squeeze(5),
        "Dimension out of range (expected to be in range of [-2, 1], but got 5)",
    )
    _caught(lambda: a.sum(2), "Dimension out of range")
    _caught(lambda: a.permute(0, 0), "duplicate dims")
    _caught(lambda: a.permute(0), "number of dimensions")
    _caught(
        lambda: torch.nn.Linear(4, 2)(a), "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x2)"
    )
    _caught(
        lambda: F.conv2d(torch.ones(1, 2, 4, 4), torch.ones(1, 3, 3, 3)),
        "expected input",
        "to have 3 channels, but got 2 channels instead",
    )
    _caught(
        lambda: F.cross_entropy(a, torch.ones(3).long()),
        "Expected input batch_size (2) to match target batch_size (3)",
    )
    _caught(lambda: F.mse_loss(a, torch.ones(4)), "size")
    _caught(lambda: torch.tensor([[1, 2], [3]]), "expected sequence of length 2 at dim 1 (got 1)")
    _caught(lambda: torch.ones(2, -1), "negative dimension -1")
    _caught(lambda: torch.linalg.inv(a), "must be batches of square matrices")
    _caught(lambda: torch.linalg.inv(torch.zeros(2, 2)), "singular")
    _caught(lambda: torch.linalg.cholesky(-torch.eye(2)), "not positive-definite")
    _caught(lambda: torch.einsum("ij,jk", a, b), "operand")
    _caught(lambda: a.chunk(0), "chunk expects `chunks` to be greater than 0, got: 0")
    _caught(lambda: a.split([1, 2]), "split_with_sizes expects split_sizes to sum exactly to 2")
    _caught(
        lambda: a.repeat(2),
        "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor",
    )
    _caught(lambda: a.unflatten(1, (2, 2)), "2, 2")
    _caught(lambda: torch.ones(3).item(), "a Tensor with 3 elements cannot be converted to Scalar")
    _caught(
        lambda: torch.ones(0).max(),
        "max(): Expected reduction dim to be specified for input.numel() == 0",
    )
    _caught(lambda: torch.ones(0).argmax(), "Expected reduction dim")
    _caught(
        lambda: torch.nn.BatchNorm1d(3)(torch.ones(1, 3)),
        "Expected more than 1 value per channel when training",
    )


def indices_out_of_range(torch):
    x = torch.arange(6).view(2, 3)
    _caught(lambda: x[2], "index 2 is out of bounds for dimension 0 with size 2")
    _caught(lambda: x[0, 3], "index 3 is out of bounds for dimension 1 with size 3")
    _caught(lambda: x[0, 0, 0], "too many indices for tensor of dimension 2")
    _caught(lambda: x[torch.tensor([0, 5])], "index 5 is out of bounds for dimension 0 with size 2")
    _caught(
        lambda: x[[True, False, True]],
        "The shape of the mask [3] at index 0 does not match the shape of the indexed tensor [2, 3] at index 0",
    )
    _caught(lambda: x[1.0], "index")
    _caught(lambda: x["a"], "index")
    _caught(lambda: x[::-1], "step must be greater than zero")
    _caught(
        lambda: x[torch.tensor([0.5])],
        "tensors used as indices must be long, int, byte or bool tensors",
    )
    _caught(
        lambda: x[[0, 1], [0, 1, 2]],
        "shape mismatch: indexing tensors could not be broadcast together with shapes [2], [3]",
    )
    _caught(lambda: x.index_select(0, torch.tensor([3])), "index out of range in self")
    _caught(
        lambda: x.gather(1, torch.tensor([[9]])),
        "index 9 is out of bounds for dimension 1 with size 3",
    )
    _caught(
        lambda: torch.zeros(3).scatter_(0, torch.tensor([3]), 1.0),
        "index 3 is out of bounds for dimension 0 with size 3",
    )
    _caught(
        lambda: torch.nn.functional.one_hot(torch.tensor([3]), 2),
        "Class values must be smaller than num_classes.",
    )
    _caught(lambda: torch.nn.Embedding(3, 2)(torch.tensor([3])), "index out of range in self")
    _caught(
        lambda: x.__setitem__(0, torch.ones(4)),
        "The expanded size of the tensor (3) must match the existing size (4) at non-singleton dimension 0",
    )
    _caught(lambda: x.__setitem__(x > 2, torch.ones(2).long()), "shape mismatch")
    _caught(
        lambda: x.select(0, 5),
        "select(): index 5 out of range for tensor of size [2, 3] at dimension 0",
    )
    _caught(lambda: x.narrow(0, 1, 5), "start (1) + length (5) exceeds dimension size (2).")
    _caught(
        lambda: x.take(torch.tensor([10])),
        "out of range: tried to access index 10 on a tensor of 6 elements.",
    )
    _caught(lambda: len(torch.tensor(1)), "len() of a 0-d tensor")
    _caught(lambda: list(torch.tensor(1)), "iteration over a 0-d tensor")
    _caught(lambda: torch.tensor(1)[0], "invalid index of a 0-dim tensor. Use `tensor.item()`")
    _caught(lambda: x.topk(5), "selected index k out of range")
    _caught(lambda: x.kthvalue(9), "out of range")
    _caught(
        lambda: torch.multinomial(torch.tensor([1.0]), 2),
        "cannot sample n_sample > prob_dist.size(-1) samples without replacement",
    )
    _caught(
        lambda: torch.multinomial(torch.tensor([-1.0, 1.0]), 1),
        "probability tensor contains either `inf`, `nan` or element < 0",
    )


def wrong_types(torch):
    x, i = torch.ones(2, 2), torch.ones(2, 2).long()
    F = torch.nn.functional
    _caught(lambda: x @ i, "expected m1 and m2 to have the same dtype")
    _caught(lambda: torch.nn.Linear(2, 2)(i), "dtype")
    _caught(lambda: torch.nn.Linear(2, 2)(x.double()), "dtype")
    _caught(lambda: F.cross_entropy(x, torch.ones(2)), "expected scalar type Long but found Float")
    _caught(lambda: F.one_hot(x), "one_hot is only applicable to index tensor")
    _caught(
        lambda: torch.nn.Embedding(3, 2)(x),
        "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int",
    )
    _caught(
        lambda: i.mean(),
        "could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: Long",
    )
    _caught(lambda: i.std(), "std and var only support")
    _caught(lambda: i.softmax(0), "not implemented for 'Long'")
    _caught(lambda: i.add_(0.5), "result type Float can't be cast to the desired output type Long")
    _caught(lambda: torch.tensor("a"), "new(): invalid data type 'str'")
    _caught(lambda: torch.tensor([1, "a"]), "invalid")
    _caught(lambda: torch.tensor(None), "Could not infer dtype of NoneType")
    _caught(lambda: x + "a", "str")
    _caught(lambda: x + None, "NoneType")
    _caught(lambda: torch.cat(x, [1]), "cat")
    _caught(lambda: torch.zeros("a"), "zeros(): argument 'size'")
    _caught(lambda: torch.ones(2, dtype="float"), "dtype")
    _caught(lambda: torch.ones(2, device="nowhere"), "Expected one of cpu", "nowhere")
    _caught(lambda: torch.sum("a"), "sum(): argument 'input' (position 1) must be Tensor, not str")
    _caught(lambda: torch.relu(3), "relu(): argument 'input' (position 1) must be Tensor, not int")
    _caught(lambda: x.sum(dims=1), "dims")
    _caught(lambda: x.nothing(), "'Tensor' object has no attribute 'nothing'")
    _caught(lambda: torch.nothing, "has no attribute 'nothing'")
    _caught(lambda: torch.nn.Linear(2, 2).nothing, "'Linear' object has no attribute 'nothing'")
    _caught(lambda: torch.nn.Sequential(3), "int is not a Module subclass")
    _caught(lambda: torch.nn.Linear("a", 2))
    _caught(lambda: x.to("float32"), "float32")
    _caught(lambda: x.where(i, i), "where expected condition to be a boolean tensor")
    _caught(lambda: x.masked_fill(i, 0), "mask")
    _caught(lambda: torch.bincount(x), "1-d non-negative integral values")
    _caught(
        lambda: torch.randint(5, 2, (1,)),
        "random_ expects 'from' to be less than 'to', but got from=5 >= to=2",
    )
    _caught(
        lambda: torch.bernoulli(torch.tensor([2.0])), "Expected p_in >= 0 && p_in <= 1 to be true"
    )
    _caught(lambda: torch.normal(0.0, -1.0, (1,)), "normal expects std >= 0.0, but found std -1")


def broken_modules(torch):
    nn = torch.nn

    class Forgotten(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    class Empty(nn.Module):
        pass

    class Assigned(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(1))
            self.w = torch.ones(1)

    _caught(Forgotten, "cannot assign module before Module.__init__() call")
    _caught(lambda: Empty()(1), 'Module [Empty] is missing the required "forward" function')
    _caught(Assigned, "as parameter 'w'")
    _caught(lambda: nn.ReLU()(1, 2))
    _caught(
        lambda: nn.Linear(2, 2).load_state_dict({}),
        "Missing key(s) in state_dict",
        "Error(s) in loading state_dict for Linear",
    )
    _caught(
        lambda: nn.Linear(2, 2).load_state_dict(
            {"weight": torch.ones(3, 3), "bias": torch.ones(2)}
        ),
        "size mismatch for weight",
    )
    _caught(
        lambda: torch.optim.SGD([torch.ones(1) * torch.ones(1, requires_grad=True)], lr=1),
        "can't optimize a non-leaf Tensor",
    )
    _caught(
        lambda: torch.optim.SGD(torch.ones(1), lr=1),
        "params argument given to the optimizer should be an iterable of Tensors or dicts",
    )
    _caught(
        lambda: nn.CrossEntropyLoss(reduction="nothing")(torch.ones(1, 2), torch.tensor([0])),
        "nothing is not a valid value for reduction",
    )
    _caught(lambda: nn.Conv2d(3, 4, 3, groups=2), "in_channels must be divisible by groups")
    _caught(lambda: nn.MultiheadAttention(5, 2), "embed_dim must be divisible by num_heads")
    _caught(
        lambda: nn.LSTM(2, 3)(torch.ones(1, 2, 5)),
        "input.size(-1) must be equal to input_size. Expected 2, got 5",
    )
    _caught(
        lambda: nn.functional.interpolate(torch.ones(1, 1, 2), mode="bilinear", scale_factor=2),
        "Got 3D input, but bilinear mode needs 4D input",
    )
    _caught(lambda: nn.ModuleList([nn.ReLU()])[3], "index 3 is out of range")
    _caught(
        lambda: nn.Sequential(nn.ReLU(), nn.Linear(2, 2))(torch.ones(1, 3)),
        "shapes cannot be multiplied",
    )
    model = Empty()
    model.x = 5
    model.weight = nn.Parameter(torch.zeros(1))
    print(model.x, list(model._parameters), isinstance(model, nn.Module), model)
    del model.weight
    print(hasattr(model, "weight"), list(model.parameters()))


def recovered_state(torch):
    """After an error, everything is as it was."""
    x = torch.arange(4.0)
    for bad in (
        lambda: x.add_(torch.ones(5)),
        lambda: x.view(2, 2).mul_(torch.ones(3)),
        lambda: x.__setitem__(slice(0, 2), torch.ones(3)),
    ):
        _caught(bad)
    print(x, x._version)
    try:
        with torch.no_grad():
            raise KeyError("out")
    except KeyError:
        print(torch.is_grad_enabled())
    w = torch.ones(2, requires_grad=True)
    y = w * 2
    try:
        y.backward()
    except RuntimeError:
        print(w.grad)
    y.sum().backward()
    print(w.grad)
    try:
        torch.empty(2, 2).copy_(torch.ones(3))
    except RuntimeError as error:
        print("must match" in str(error))
    try:
        (torch.ones(3) * float("nan")).int().float().sum().item()
        assert torch.isfinite(x).all(), f"bad values in {x}"
        assert (x < 3).all(), f"bad values in {x}"
    except AssertionError as error:
        print(error)
