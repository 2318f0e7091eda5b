"""`lazygrad.nn.functional`: the functions that layers are made of.

Owns: the public names, and which of them take `out`. Must not know: how any of them is computed.
Each idea has a file of its own: activations, linear maps and dropout, normalisation, convolution,
pooling, resampling, attention, losses. All are compositions of public tensor ops in PyTorch's
signature; one whose result has a `grad_fn` of its own in PyTorch is a `composite` of that name.
"""

from __future__ import annotations

from lazygrad.nn import _activation_functions, _linear_functions, _pooling
from lazygrad.nn._activation_functions import (
    celu,
    celu_,
    elu,
    elu_,
    glu,
    hardsigmoid,
    hardswish,
    hardtanh,
    hardtanh_,
    leaky_relu,
    leaky_relu_,
    log_softmax,
    mish,
    prelu,
    relu,
    relu6,
    relu_,
    selu,
    selu_,
    sigmoid,
    silu,
    softmax,
    softmin,
    softsign,
    tanh,
    tanhshrink,
    threshold,
    threshold_,
)
from lazygrad.nn._adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from lazygrad.nn._attention import scaled_dot_product_attention
from lazygrad.nn._convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from lazygrad.nn._distances import (
    cosine_similarity,
    huber_loss,
    l1_loss,
    mse_loss,
    pairwise_distance,
    smooth_l1_loss,
)
from lazygrad.nn._linear_functions import (
    alpha_dropout,
    bilinear,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    embedding,
    one_hot,
)
from lazygrad.nn._loss_functions import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    kl_div,
    nll_loss,
)
from lazygrad.nn._margin_losses import (
    cosine_embedding_loss,
    gaussian_nll_loss,
    gumbel_softmax,
    hinge_embedding_loss,
    margin_ranking_loss,
    multilabel_soft_margin_loss,
    poisson_nll_loss,
    soft_margin_loss,
    triplet_margin_loss,
)
from lazygrad.nn._norm_functions import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    normalize,
    rms_norm,
)
from lazygrad.nn._padding import pad
from lazygrad.nn._pooling import avg_pool1d, max_pool1d, max_pool2d, max_pool3d
from lazygrad.nn._resampling import interpolate, pixel_shuffle, pixel_unshuffle
from lazygrad.nn._windows import fold, unfold
from lazygrad.tensor.out import out_form

avg_pool2d = out_form("avg_pool2d", _pooling.avg_pool2d, "same")
avg_pool3d = out_form("avg_pool3d", _pooling.avg_pool3d, "same")
gelu = out_form("gelu", _activation_functions.gelu, "same")
hardshrink = out_form("hardshrink", _activation_functions.hardshrink, "same")
linear = out_form("linear", _linear_functions.linear, "same")
logsigmoid = out_form("log_sigmoid", _activation_functions.logsigmoid, "same")
softplus = out_form("softplus", _activation_functions.softplus, "same")
softshrink = out_form("softshrink", _activation_functions.softshrink, "same")

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "celu_",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "elu_",
    "embedding",
    "fold",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "leaky_relu_",
    "linear",
    "log_softmax",
    "logsigmoid",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "mish",
    "mse_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "rms_norm",
    "scaled_dot_product_attention",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
    "triplet_margin_loss",
    "unfold",
]
