"""Data sets: what has samples and a length.

Owns: data sets over tensors, parts of data sets, and splitting one at random. Must not know: how
samples become batches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.tensor import Tensor, float64, rand, tensor

__all__ = ["Dataset", "Subset", "TensorDataset", "permutation", "random_split"]


class Dataset:
    """Samples by index; a subclass has `__getitem__` and, to be shuffled, `__len__`."""

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")


class TensorDataset(Dataset):
    """Tensors with one first axis: a sample is the tuple of their rows.

    AssertionError if their first sizes differ.
    """

    def __init__(self, *tensors: Tensor) -> None:
        if any(t.shape[0] != tensors[0].shape[0] for t in tensors):
            raise AssertionError("Size mismatch between tensors")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def batch(self, indices: Sequence[int]) -> list[Tensor]:
        """Several samples, stacked: one gather a tensor and not one op a sample."""
        rows = tensor(np.asarray(indices, dtype=np.int64))
        return [t.index_select(0, rows.to(t.device)) for t in self.tensors]

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])


class Subset(Dataset):
    """The samples of a data set at some indices."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def permutation(count: int, generator: Any = None) -> list[int]:
    """The numbers below `count` in an order drawn from lazygrad's generator."""
    options = {} if generator is None else {"generator": generator}
    keys = rand(count, dtype=float64, **options).numpy()
    order: list[int] = np.argsort(keys, kind="stable").tolist()
    return order


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: Any = None
) -> list[Subset]:
    """Disjoint random parts of the given lengths, or fractions that add up to one.

    ValueError if the lengths do not add up to that of the data set, or a fraction is not within
    0 and 1.
    """
    count = len(dataset)
    if any(isinstance(length, float) for length in lengths) and math.isclose(sum(lengths), 1):
        sizes = []
        for place, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"Fraction at index {place} is not between 0 and 1")
            sizes.append(math.floor(count * fraction))
        for place in range(count - sum(sizes)):
            sizes[place % len(sizes)] += 1
    else:
        sizes = [int(length) for length in lengths]
    if sum(sizes) != count:
        raise ValueError("Sum of input lengths does not equal the length of the input dataset!")
    order, start, parts = permutation(count, generator), 0, []
    for size in sizes:
        parts.append(Subset(dataset, order[start : start + size]))
        start += size
    return parts
