"""`DataLoader`: batches of a data set, in order or shuffled.

Owns: which samples make a batch and how samples are put together. Must not know: models,
optimizers, or how a tensor is gathered. Everything happens in the calling process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from lazygrad.tensor import Tensor, float64, stack, tensor
from lazygrad.utils.data.dataset import Subset, TensorDataset, permutation

__all__ = ["DataLoader", "default_collate"]


def default_collate(batch: list[Any]) -> Any:
    """A list of samples as one: tensors, arrays and numbers stacked, containers by element.

    Strings stay a list. TypeError for anything else.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(batch, 0)
    if isinstance(first, np.ndarray | np.generic):
        return tensor(np.stack(batch))
    if isinstance(first, float):
        return tensor(batch, dtype=float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, tuple | list):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [default_collate(list(column)) for column in zip(*batch, strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else columns
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {type(first)}"
    )


def _tensor_rows(dataset: Any, indices: list[int]) -> list[Tensor] | None:
    """A batch gathered at once, if the data set is tensors or a part of such; else None."""
    while isinstance(dataset, Subset):
        indices, dataset = [dataset.indices[i] for i in indices], dataset.dataset
    return dataset.batch(indices) if type(dataset) is TensorDataset else None


class DataLoader:
    """Iterates over batches of `batch_size` samples; `shuffle` draws a new order every time.

    `collate_fn` makes a batch of a list of samples, `drop_last` leaves out a smaller last batch,
    `generator` is what the order is drawn from. ValueError for a batch size that is not positive
    and for worker processes, which there are none of.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        drop_last: bool = False,
        generator: Any = None,
    ) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        if num_workers != 0:
            raise ValueError(f"DataLoader: num_workers must be 0, but got {num_workers}")
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self.drop_last, self.generator = drop_last, generator

    def __len__(self) -> int:
        count = len(self.dataset)
        whole = count // self.batch_size
        return whole if self.drop_last or count % self.batch_size == 0 else whole + 1

    def __iter__(self) -> Iterator[Any]:
        count = len(self.dataset)
        order = permutation(count, self.generator) if self.shuffle else list(range(count))
        for place in range(len(self)):
            indices = order[place * self.batch_size : (place + 1) * self.batch_size]
            batch = None
            if self.collate_fn is default_collate:
                batch = _tensor_rows(self.dataset, indices)
            if batch is None:
                batch = self.collate_fn([self.dataset[i] for i in indices])
            yield batch
