"""`lazygrad.optim`: optimizers and learning-rate schedules in PyTorch's interface.

Owns: the public names of this package. Must not know: modules, kernels or backends; an update
is a composition of public tensor ops.
"""

from __future__ import annotations

from lazygrad.optim import lr_scheduler
from lazygrad.optim.adam import Adam, AdamW
from lazygrad.optim.adaptive import Adadelta, Adagrad, Adamax, NAdam, RAdam, RMSprop
from lazygrad.optim.lbfgs import LBFGS
from lazygrad.optim.optimizer import Optimizer
from lazygrad.optim.rprop import Rprop
from lazygrad.optim.sgd import SGD

__all__ = [
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
]
