"""`lazygrad.utils.data`: data sets and batches of them.

Owns: the public names of this package. Must not know: modules or optimizers.
"""

from __future__ import annotations

from lazygrad.utils.data.dataset import Dataset, Subset, TensorDataset, random_split
from lazygrad.utils.data.loader import DataLoader, default_collate

__all__ = [
    "DataLoader",
    "Dataset",
    "Subset",
    "TensorDataset",
    "default_collate",
    "random_split",
]
