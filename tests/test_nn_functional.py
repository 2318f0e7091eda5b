"""The functions of `lazygrad.nn.functional`.

One line a case. GOLDEN holds, for a call in float64, the shape of its result in PyTorch 2.13, and
the result and the gradients of all tensors, multiplied by a wave and summed. Where torch is
installed, calls are compared with it element by element on other shapes.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.autograd import gradcheck, gradgradcheck
from lazygrad.nn import functional as F


def wave_array(*shape: int, scale: float = 2.0) -> np.ndarray:
    """Numbers without symmetry, the same on every machine."""
    count = math.prod(shape)
    return (scale * np.sin(1.7 * np.arange(count) + 0.3)).reshape(shape)


def wave(*shape: int, scale: float = 2.0) -> Any:
    return lg.tensor(wave_array(*shape, scale=scale))


def leaves() -> dict[str, Any]:
    """The tensors that GOLDEN speaks of."""
    made = {
        "x": wave(2, 3),
        "w": lg.tensor(wave_array(3, 3, scale=1.5)[:, [2, 0, 1]].copy()),
        "b": wave(3, scale=0.7),
        "im": wave(1, 2, 4, 4),
        "k": wave(3, 2, 3, 3, scale=0.5),
    }
    for leaf in made.values():
        leaf.requires_grad_()
    return made


def constants() -> dict[str, Any]:
    """Labels, weights and probabilities that GOLDEN speaks of."""
    return {
        "t": lg.tensor([2, 0]),
        "c": lg.tensor([[[0, 1], [1, 0]]]),
        "q": lg.tensor(abs(wave_array(2, 3, scale=1.5))),
        "p": lg.tensor(1 / (1 + np.exp(-wave_array(2, 3)))),
    }


GOLDEN = [
    ("F.relu(x)", (2, 3), 3.575356, 1.787678),
    ("F.gelu(x)", (2, 3), 3.464304, 1.872341),
    ('F.gelu(x, approximate="tanh")', (2, 3), 3.464212, 1.872848),
    ("F.silu(x)", (2, 3), 3.273912, 1.829857),
    ("F.elu(x, alpha=0.5)", (2, 3), 4.052467, 1.899981),
    ("F.leaky_relu(x, 0.2)", (2, 3), 3.926512, 1.963256),
    ("F.softplus(x * 20)", (2, 3), 71.507122, 35.753547),
    ("F.sigmoid(x)", (2, 3), 1.738101, 0.402727),
    ("F.tanh(x)", (2, 3), 3.277408, 0.565534),
    ("F.softmax(x, 1)", (2, 3), 1.343567, 0.191319),
    ("F.log_softmax(x, 0)", (2, 3), 1.750433, 1.358206),
    ("F.linear(x, w, b)", (2, 3), -8.170393, 1.978115),
    ("F.linear(x, w)", (2, 3), -9.09401, 0.658663),
    ("F.linear(x[0], w, b)", (3,), -1.477004, 2.13733),
    ("F.linear(im[0, 0, :, 1:], w, b)", (4, 3), 2.917841, 0.895268),
    ("F.embedding(t, w)", (2, 3), 1.250809, -0.976138),
    ("F.embedding(t, w, padding_idx=-2)", (2, 3), 1.250809, -0.976138),
    ("F.conv1d(im[0, 0], im[0, 1].reshape(2, 4, 2))", (2, 3), -1.202672, -1.202672),
    ("F.conv2d(im, k)", (1, 3, 2, 2), 0.525307, 1.313267),
    ("F.conv2d(im, k, b, stride=2, padding=1)", (1, 3, 2, 2), -2.453845, -6.0734),
    ('F.conv2d(im, k, padding="same")[..., 1]', (1, 3, 4), 0.953274, 2.383185),
    ("F.conv2d(im, k[:2, :1], groups=2, dilation=(1, 1))", (1, 2, 2, 2), -0.61565, -1.539125),
    ("F.conv2d(im, k[:, :, :2, :2], dilation=2)", (1, 3, 2, 2), 0.36948, 0.923699),
    ("F.max_pool2d(im, 2)", (1, 2, 2, 2), -0.085853, -0.042927),
    ("F.max_pool2d(im, 3, stride=1, padding=1)[0, 0, 1]", (4,), 1.146987, 0.573493),
    ("F.max_pool2d(im[:, :, :3], 2, ceil_mode=True)", (1, 2, 2, 2), 0.683114, 0.341557),
    ("F.max_pool2d(im * 0, 2)", (1, 2, 2, 2), 0.0, 0.0),
    ("F.avg_pool2d(im, 2)", (1, 2, 2, 2), -0.042283, -0.021141),
    ("F.avg_pool2d(im, 3, 2, 1, count_include_pad=False)", (1, 2, 2, 2), 0.374562, 0.187281),
    ("F.avg_pool2d(im[:, :, :3], 2, ceil_mode=True)", (1, 2, 2, 2), -0.009851, -0.004926),
    ("F.pad(x, (1, 2), value=0.5)", (2, 6), 2.429492, 1.244793),
    ('F.pad(x, (1, 2), mode="reflect")', (2, 6), 1.726636, 0.863318),
    ('F.pad(x, (2, 1), mode="replicate")', (2, 6), -2.824851, -1.412425),
    ('F.pad(x, (2, 1), mode="circular")', (2, 6), -7.019373, -3.509686),
    ("F.pad(x, (-1, 1))", (2, 3), -0.699995, -0.349998),
    ("F.batch_norm(im, None, None, training=True)[0, 0]", (4, 4), 11.121633, 2.9e-05),
    ("F.batch_norm(x, q[0], q[1], b, b)", (2, 3), 1.044739, 2.204126),
    ("F.layer_norm(x, (3,), b, b)", (2, 3), 1.822808, 2.604014),
    ("F.layer_norm(im, (2, 4, 4))[0, 1, 2:]", (2, 4), -5.116418, -1.3e-05),
    ("F.normalize(x)", (2, 3), 2.305825, -0.0),
    ("F.cross_entropy(x, t)", (), 1.00014, 0.390998),
    ("F.cross_entropy(x, t, weight=q[0])", (), 0.982813, 0.38452),
    ('F.cross_entropy(x, t, ignore_index=2, reduction="sum")', (), 1.061173, 0.413818),
    ("F.cross_entropy(x, t, label_smoothing=0.1)", (), 0.949666, 0.365761),
    ("F.cross_entropy(x, t, q[0], label_smoothing=0.1, ignore_index=0)", (), 0.889954, 0.342676),
    ("F.cross_entropy(x, w[:2].softmax(1))", (), 0.635249, -0.046044),
    ("F.cross_entropy(x[0], t[0])", (), 0.939107, 0.368178),
    ('F.cross_entropy(im[:, :, :2, :2], c, reduction="none")', (1, 2, 2), 2.775359, 1.455277),
    ("F.nll_loss(x, t)", (), 0.384945, 0.192472),
    ('F.nll_loss(x, t, weight=q[1], reduction="none")', (2,), 1.903756, 0.951878),
    ("F.mse_loss(x, w[:2])", (), 1.103831, 0.0),
    ('F.mse_loss(x, w[:2], reduction="none")', (2, 3), -0.365037, 0.0),
    ('F.l1_loss(x, w[:2], reduction="sum")', (), 3.044183, 0.0),
    ("F.smooth_l1_loss(x, w[:2], beta=0.5)", (), 0.442322, 0.0),
    ("F.smooth_l1_loss(x, w[1:3], beta=0.0)", (), 0.635635, 0.040386),
    ("F.binary_cross_entropy(x.sigmoid(), w[:2].sigmoid())", (), 0.296426, 0.017538),
    ("F.binary_cross_entropy_with_logits(x * 50, p)", (), 3.844731, 1.922366),
    ("F.binary_cross_entropy_with_logits(x * 0, p, q, pos_weight=q[0])", (), 0.205872, 0.0),
    (
        'F.kl_div(x.log_softmax(1), w[:2].softmax(1), reduction="batchmean")',
        (),
        0.386416,
        -0.093383,
    ),
    (
        'F.kl_div(x.log_softmax(1), w[:2].log_softmax(1), reduction="sum", log_target=True)',
        (),
        0.772831,
        -0.186766,
    ),
]


@pytest.mark.parametrize(
    ("call", "shape", "result", "gradient"), GOLDEN, ids=[case[0] for case in GOLDEN]
)
def test_value_and_gradient(
    call: str, shape: tuple[int, ...], result: float, gradient: float
) -> None:
    tensors = leaves()
    out = eval(call, {"F": F, **tensors, **constants()})
    assert tuple(out.shape) == shape
    total = (out * wave(*shape, scale=1.0)).sum()
    total.backward()
    found = 0.0
    for leaf in tensors.values():
        if leaf.grad is not None:
            found += float((leaf.grad.numpy() * wave_array(*leaf.shape, scale=1.0)).sum())
    assert (total.item(), found) == pytest.approx((result, gradient), rel=1e-5, abs=5e-6)


NAMES = [
    ("F.relu(x)", "ReluBackward0"),
    ("F.gelu(x)", "GeluBackward0"),
    ("F.silu(x)", "SiluBackward0"),
    ("F.elu(x)", "EluBackward0"),
    ("F.leaky_relu(x)", "LeakyReluBackward0"),
    ("F.softplus(x)", "SoftplusBackward0"),
    ("F.softmax(x, 1)", "SoftmaxBackward0"),
    ("F.log_softmax(x, 1)", "LogSoftmaxBackward0"),
    ("F.linear(x, w, b)", "AddmmBackward0"),
    ("F.linear(x, w)", "MmBackward0"),
    ("F.linear(im[..., 1:], w, b)", "AddBackward0"),
    ("F.embedding(t, w)", "EmbeddingBackward0"),
    ("F.conv2d(im, k)", "ConvolutionBackward0"),
    ("F.max_pool2d(im, 2)", "MaxPool2DWithIndicesBackward0"),
    ("F.avg_pool2d(im, 2)", "AvgPool2DBackward0"),
    ("F.pad(im, (1, 1))", "ConstantPadNdBackward0"),
    ("F.pad(im, (1, 1, 1, 1), mode='reflect')", "ReflectionPad2DBackward0"),
    ("F.dropout(x)", "MulBackward0"),
    ("F.batch_norm(im, None, None, training=True)", "NativeBatchNormBackward0"),
    ("F.layer_norm(x, (3,))", "NativeLayerNormBackward0"),
    ("F.cross_entropy(x, t)", "NllLossBackward0"),
    ("F.mse_loss(x, w[:2])", "MseLossBackward0"),
    ("F.l1_loss(x, w[:2])", "MeanBackward0"),
    ("F.smooth_l1_loss(x, w[:2])", "SmoothL1LossBackward0"),
    ("F.binary_cross_entropy_with_logits(x, x.detach())", "BinaryCrossEntropyWithLogitsBackward0"),
    ("F.mish(x)", "MishBackward0"),
    ("F.celu(x)", "CeluBackward0"),
    ("F.selu(x)", "EluBackward0"),
    ("F.elu(x.clone(), inplace=True)", "EluBackward1"),
    ("F.leaky_relu_(x.clone())", "LeakyReluBackward1"),
    ("F.hardtanh(x)", "HardtanhBackward0"),
    ("F.hardtanh_(x.clone())", "HardtanhBackward0"),
    ("F.relu6(x)", "HardtanhBackward0"),
    ("F.threshold(x, 0.1, 2.0)", "ThresholdBackward0"),
    ("F.threshold_(x.clone(), 0.1, 2.0)", "ThresholdBackward1"),
    ("F.hardsigmoid(x)", "HardsigmoidBackward0"),
    ("F.hardswish(x)", "HardswishBackward0"),
    ("F.hardshrink(x)", "HardshrinkBackward0"),
    ("F.softshrink(x)", "SoftshrinkBackward0"),
    ("F.logsigmoid(x)", "LogSigmoidBackward0"),
    ("F.softsign(x)", "DivBackward0"),
    ("F.tanhshrink(x)", "SubBackward0"),
    ("F.softmin(x, 1)", "SoftmaxBackward0"),
    ("F.glu(im)", "GluBackward0"),
    ("F.prelu(x, b)", "PreluKernelBackward0"),
    ("F.conv1d(im[0, 0], im[0, 1].reshape(2, 4, 2))", "SqueezeBackward1"),
    ("F.conv3d(im[None], k[:, :1, None])", "ConvolutionBackward0"),
    ("F.conv_transpose2d(im, k.transpose(0, 1))", "ConvolutionBackward0"),
    ("F.unfold(im, 2)", "Im2ColBackward0"),
    ("F.fold(im.reshape(1, 8, 4), 3, 2)", "Col2ImBackward0"),
    ("F.max_pool1d(im[0], 2)", "SqueezeBackward1"),
    ("F.max_pool3d(im, 2)", "MaxPool3DWithIndicesBackward0"),
    ("F.avg_pool1d(im[0], 2)", "SqueezeBackward1"),
    ("F.avg_pool3d(im, 2)", "AvgPool3DBackward0"),
    ("F.adaptive_avg_pool2d(im, 3)", "AdaptiveAvgPool2DBackward0"),
    ("F.adaptive_avg_pool2d(im, 1)", "MeanBackward1"),
    ("F.adaptive_avg_pool1d(im[0], 3)", "SqueezeBackward1"),
    ("F.adaptive_max_pool2d(im, 3)", "AdaptiveMaxPool2DBackward0"),
    ("F.interpolate(im, 3)", "UpsampleNearest2DBackward0"),
    ("F.interpolate(im, 3, mode='bilinear')", "UpsampleBilinear2DBackward0"),
    ("F.interpolate(im, 3, mode='bicubic')", "UpsampleBicubic2DBackward0"),
    ("F.interpolate(im, 3, mode='area')", "AdaptiveAvgPool2DBackward0"),
    ("F.interpolate(im, 3, mode='nearest-exact')", "UpsampleNearestExact2DBackward0"),
    ("F.interpolate(im, 3, mode='bilinear', antialias=True)", "UpsampleBilinear2DAaBackward0"),
    ("F.interpolate(im[0], 3, mode='linear')", "UpsampleLinear1DBackward0"),
    ("F.pixel_shuffle(im.reshape(8, 2, 2), 2)", "PixelShuffleBackward0"),
    ("F.pixel_unshuffle(im, 2)", "PixelUnshuffleBackward0"),
    ("F.group_norm(im, 2)", "NativeGroupNormBackward0"),
    ("F.instance_norm(im)", "ViewBackward0"),
    ("F.rms_norm(x, (3,), b)", "MulBackward0"),
    ("F.normalize(x)", "DivBackward0"),
    ("F.cosine_similarity(x, x)", "SumBackward1"),
    ("F.pairwise_distance(x, b)", "NormBackward1"),
    ("F.huber_loss(x, w[:2])", "HuberLossBackward0"),
    ("F.scaled_dot_product_attention(im, im, im)", "ScaledDotProductFlashAttentionForCpuBackward0"),
    ("F.bilinear(x, x, k[:, 0])", "ViewBackward0"),
]


@pytest.mark.parametrize(("call", "name"), NAMES, ids=[case[0] for case in NAMES])
def test_grad_fn_has_pytorchs_name(call: str, name: str) -> None:
    out = eval(call, {"F": F, **leaves(), **constants()})
    assert type(out.grad_fn).__name__ == name


ERRORS = [
    ("F.gelu(x, approximate='foo')", RuntimeError, "approximate argument must be either none or"),
    ("F.linear(x, im[0, 0])", RuntimeError, "mat1 and mat2 shapes cannot be multiplied (2x3"),
    ("F.embedding(x, x)", RuntimeError, "Expected tensor for argument #1 'indices' to have one"),
    ("F.embedding(t, x[0])", RuntimeError, "'weight' must be 2-D"),
    ("F.one_hot(lg.tensor([-1]))", RuntimeError, "Class values must be non-negative."),
    ("F.one_hot(t, 2)", RuntimeError, "Class values must be smaller than num_classes."),
    ("F.one_hot(x)", RuntimeError, "one_hot is only applicable to index tensor of type LongTensor"),
    ("F.conv2d(im, k[:, :1])", RuntimeError, "Given groups=1, weight of size [3, 1, 3, 3], expe"),
    ("F.conv2d(x, k)", RuntimeError, "Expected 3D (unbatched) or 4D (batched) input to conv2d, bu"),
    ("F.conv2d(im[..., :2], k)", RuntimeError, "Calculated padded input size per channel: (4 x 2)"),
    ("F.conv2d(im, k, x[0, :2])", RuntimeError, "expected bias to be 1-dimensional with 3 elemen"),
    ("F.conv2d(im, k, padding='same', stride=2)", RuntimeError, "padding='same' is not supported"),
    ("F.conv2d(im, k, stride=0)", RuntimeError, "non-positive stride is not supported"),
    ("F.conv2d(im, k, padding=-1)", RuntimeError, "negative padding is not supported"),
    ("F.conv2d(im, k, padding=(1, 2, 3))", RuntimeError, "expected padding to be a single integer"),
    ("F.conv2d(im, k, groups=2)", RuntimeError, "Given groups=2, expected weight to be divisible"),
    ("F.max_pool2d(im, 9)", RuntimeError, "Given input size: (2x4x4). Calculated output size: (2x"),
    ("F.max_pool2d(im, 2, padding=2)", RuntimeError, "pad should be at most half of effective ker"),
    ("F.max_pool2d(im, (1, 2, 3))", RuntimeError, "max_pool2d: kernel_size must either be a singl"),
    ("F.avg_pool2d(im, 2, divisor_override=0)", RuntimeError, "divisor must be not zero"),
    ("F.pad(x, (1,))", RuntimeError, "Padding length must be divisible by 2"),
    ("F.pad(x, (1,) * 6)", RuntimeError, "Padding length should be less than or equal to two tim"),
    ("F.pad(im, (9, 1), mode='reflect')", NotImplementedError, "Padding size 2 is not supported"),
    ("F.pad(x, (9, 1), mode='reflect')", RuntimeError, "Padding size should be less than the corr"),
    ("F.pad(x, (9, 1), mode='foo')", NotImplementedError, "Unrecognised padding mode foo"),
    ("F.dropout(x, 1.5)", ValueError, "dropout probability has to be between 0 and 1, but got 1.5"),
    ("F.batch_norm(x[:1], None, None, training=True)", ValueError, "Expected more than 1 value p"),
    ("F.batch_norm(x, None, None)", RuntimeError, "running_mean must be defined in evaluation mo"),
    ("F.batch_norm(x, b[:2], b)", RuntimeError, "running_mean should contain 3 elements not 2"),
    ("F.layer_norm(x, (4,))", RuntimeError, "Given normalized_shape=[4], expected input with sha"),
    ("F.layer_norm(x, (3,), b[:2])", RuntimeError, "Expected weight to be of same shape as norma"),
    ("F.cross_entropy(x, lg.tensor([0]))", ValueError, "Expected input batch_size (2) to match t"),
    ("F.cross_entropy(x, t, reduction='foo')", ValueError, "foo is not a valid value for reducti"),
    ("F.cross_entropy(x, t.float())", RuntimeError, "expected target dtype to be Long or Byte, b"),
    ("F.cross_entropy(x, t, weight=b[:2])", RuntimeError, "weight tensor should be defined either"),
    ("F.cross_entropy(x, t, label_smoothing=2)", RuntimeError, "label_smoothing must be between "),
    ("F.cross_entropy(im, t[:1])", RuntimeError, "only batches of spatial targets supported (3D "),
    ("F.nll_loss(im[0, 0], t)", ValueError, "Expected input batch_size (4) to match target batch"),
    ("F.mse_loss(x, w, reduction='foo')", ValueError, "foo is not a valid value for reduction"),
    ("F.smooth_l1_loss(x, x, beta=-1)", RuntimeError, "smooth_l1_loss does not support negative "),
    ("F.binary_cross_entropy(x, x[0])", ValueError, "Using a target size (lazygrad.Size([3])) th"),
    ("F.binary_cross_entropy_with_logits(x, x[0])", ValueError, "Target size (lazygrad.Size([3])"),
    ("F.softmax(x, 5)", IndexError, "Dimension out of range (expected to be in range of [-2, 1],"),
]


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS, ids=[case[0] for case in ERRORS])
def test_error_is_pytorchs(call: str, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        eval(call, {"F": F, "lg": lg, **leaves(), **constants()})
    assert type(caught.value) is kind
    assert text in str(caught.value)


# -- against torch -----------------------------------------------------------------------------

AGAINST = [
    "F.linear(a(2, 5, 3), a(4, 3), a(4))",
    "F.conv1d(a(2, 4, 9), a(6, 2, 3), a(6), stride=2, padding=1, groups=2)",
    "F.conv2d(a(2, 4, 7, 8), a(6, 4, 3, 2), a(6), padding=(2, 1), stride=(1, 2))",
    "F.conv2d(a(2, 4, 7, 8), a(6, 2, 3, 3), a(6), groups=2, dilation=(2, 1))",
    "F.conv2d(a(4, 7, 8), a(6, 4, 3, 2), padding='same', dilation=(2, 3))",
    "F.max_pool2d(a(2, 3, 7, 8), 3, 2, 1, ceil_mode=True)",
    "F.max_pool2d(a(2, 3, 9, 8), (3, 2), 1, dilation=2)",
    "F.max_pool2d(a(2, 3, 7, 8), 3, 2, 1, return_indices=True)[1]",
    "F.avg_pool2d(a(2, 3, 7, 8), 3, 2, 1, True, False)",
    "F.pad(a(2, 3, 7, 8), (1, 2, 3, 1), mode='reflect')",
    "F.pad(a(2, 3, 7, 8), (1, -2, 0, 3), mode='replicate')",
    "F.pad(a(2, 3, 7, 8), (1, 2, 3, 1), mode='circular')",
    "F.layer_norm(a(2, 3, 4), (3, 4), a(3, 4), a(3, 4))",
    "F.batch_norm(a(5, 3, 2), None, None, a(3), a(3), training=True)",
    "F.cross_entropy(a(2, 5, 3, 4), i(2, 3, 4), reduction='none')",
    "F.cross_entropy(a(2, 5, 3, 4), i(2, 3, 4), weight=p(5), label_smoothing=0.2)",
    "F.cross_entropy(a(6, 5), i(6), ignore_index=1, label_smoothing=0.2, reduction='sum')",
    "F.cross_entropy(a(2, 5, 3), p(2, 5, 3), weight=p(5), label_smoothing=0.2)",
    "F.nll_loss(a(2, 5, 3), i(2, 3), weight=p(5), ignore_index=3)",
    "F.kl_div(a(3, 4), p(3, 4), reduction='sum')",
    "F.binary_cross_entropy(p(3, 4), p(3, 4), weight=p(3, 4))",
    "F.mse_loss(a(3, 4), p(3, 4), weight=p(3, 4))",
    "F.one_hot(i(2, 3), 6)",
    "F.embedding(i(2, 3), a(6, 4), padding_idx=1)",
]


class Maker:
    """Makes the same tensors in either library, and keeps those that need a gradient."""

    def __init__(self, library: Any) -> None:
        self.library, self.made, self.random = library, [], np.random.default_rng(7)

    def a(self, *shape: int) -> Any:
        self.made.append(self.library.tensor(self.random.normal(size=shape)).requires_grad_())
        return self.made[-1]

    def p(self, *shape: int) -> Any:
        return self.library.tensor(self.random.uniform(0.1, 0.9, size=shape))

    def i(self, *shape: int) -> Any:
        return self.library.tensor(self.random.integers(0, 5, size=shape))


@pytest.mark.parametrize("call", AGAINST)
def test_against_torch(call: str) -> None:
    torch = pytest.importorskip("torch")
    results = []
    for library, functions in ((lg, F), (torch, torch.nn.functional)):
        make = Maker(library)
        out = eval(call, {"F": functions, "a": make.a, "p": make.p, "i": make.i})
        arrays = [out.detach().numpy()]
        if out.requires_grad:
            weights = np.random.default_rng(1).normal(size=tuple(out.shape))
            (out * library.tensor(weights)).sum().backward()
            arrays += [leaf.grad.numpy() for leaf in make.made]
        results.append(arrays)
    for ours, theirs in zip(*results, strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


SECOND = [
    "F.gelu(x)",
    "F.softplus(x, 2.0)",
    "F.linear(x, w, b)",
    "F.conv2d(im, k, b, padding=1, stride=2)",
    "F.max_pool2d(im, 2)",
    "F.avg_pool2d(im, 3, 2, 1)",
    "F.batch_norm(im, None, None, b[:2], b[1:], training=True)",
    "F.layer_norm(x, (3,), b, b)",
    "F.cross_entropy(x, t)",
    "F.binary_cross_entropy_with_logits(x, p)",
    "F.embedding(t, w)",
]


@pytest.mark.parametrize("call", SECOND)
def test_first_and_second_gradient_are_finite_differences(call: str) -> None:
    made = {name: leaf for name, leaf in leaves().items() if re.search(rf"\b{name}\b", call)}

    def function(*values: Any) -> Any:
        return eval(call, {"F": F, **constants(), **dict(zip(made, values, strict=True))})

    assert gradcheck(function, tuple(made.values()))
    assert gradgradcheck(function, tuple(made.values()))
