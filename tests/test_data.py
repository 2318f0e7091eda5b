"""The digits that ship with the package, data sets and loaders."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.data import load_digits
from lazygrad.utils.data import DataLoader, Dataset, Subset, TensorDataset, random_split


def test_digits_are_those_of_uci() -> None:
    images, labels = load_digits()
    assert (images.shape, images.dtype, labels.shape, labels.dtype) == (
        (1797, 8, 8),
        np.uint8,
        (1797,),
        np.uint8,
    )
    assert (images.min(), images.max()) == (0, 16)
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(labels).tolist() == counts
    assert (
        hashlib.sha256(images.tobytes() + labels.tobytes())
        .hexdigest()
        .startswith("87ff0c9e40dc7e2c")
    )


def test_digits_name_their_source_and_licence() -> None:
    folder = resources.files("lazygrad.data")
    text = folder.joinpath("digits.txt").read_text(encoding="utf-8")
    assert "UCI Machine Learning Repository" in text and "CC BY 4.0" in text
    assert len(folder.joinpath("digits.npz").read_bytes()) < 100_000


def pairs(count: int = 10) -> TensorDataset:
    return TensorDataset(lg.arange(count).float(), lg.arange(count))


def listed(loader: DataLoader) -> list[Any]:
    return [batch[1].tolist() for batch in loader]


def test_batches_in_order() -> None:
    assert listed(DataLoader(pairs(), 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert listed(DataLoader(pairs(), 4, drop_last=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [len(DataLoader(pairs(), 4, drop_last=d)) for d in (False, True)] == [3, 2]
    first = next(iter(DataLoader(pairs(), 4)))
    assert isinstance(first, list) and first[0].dtype == lg.float32


def test_shuffle_is_a_permutation_that_manual_seed_fixes() -> None:
    loader = DataLoader(pairs(100), 100, shuffle=True)
    lg.manual_seed(1)
    first, second = listed(loader)[0], listed(loader)[0]
    assert sorted(first) == list(range(100))
    assert first != second
    lg.manual_seed(1)
    assert listed(loader)[0] == first


def test_samples_that_are_no_tensors_are_put_together() -> None:
    class Squares(Dataset):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            return {"n": index, "pair": (float(index**2), np.ones(2)), "name": str(index)}

    (batch,) = DataLoader(Squares(), 3)
    assert batch["n"].tolist() == [0, 1, 2]
    assert batch["pair"][0].tolist() == [0.0, 1.0, 4.0]
    assert tuple(batch["pair"][1].shape) == (3, 2)
    assert batch["name"] == ["0", "1", "2"]
    assert list(DataLoader(Squares(), 2, collate_fn=len)) == [2, 1]


def test_random_split_is_disjoint() -> None:
    parts = random_split(pairs(), [0.75, 0.25])
    assert [len(part) for part in parts] == [8, 2]
    assert sorted(part[i][1].item() for part in parts for i in range(len(part))) == list(range(10))
    nested = Subset(Subset(pairs(), [9, 8, 7]), [2, 0])
    assert listed(DataLoader(nested, 2)) == [[7, 9]]


ERRORS = [
    ("DataLoader(pairs(), 0)", ValueError, "batch_size should be a positive integer value"),
    ("DataLoader(pairs(), 1, num_workers=2)", ValueError, "num_workers must be 0, but got 2"),
    ("TensorDataset(lg.ones(2), lg.ones(3))", AssertionError, "Size mismatch between tensors"),
    ("random_split(pairs(), [3, 3])", ValueError, "Sum of input lengths does not equal"),
    ("Dataset()[0]", NotImplementedError, "Subclasses of Dataset should implement __getitem__."),
]


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS, ids=[case[0] for case in ERRORS])
def test_error(call: str, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text.replace("[", r"\[")):
        eval(call)
