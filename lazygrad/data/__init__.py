"""The small data sets that ship with the package.

Owns: the files in this folder and how they are read into numpy arrays. Must not know: tensors,
models or training. Where each file comes from, and under which licence, stands in the text file
beside it.
"""

from __future__ import annotations

from importlib import resources

import numpy as np
import numpy.typing as npt

__all__ = ["load_digits"]


def load_digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The UCI handwritten digits: images and labels.

    Returns `(images, labels)`: images uint8 of shape (1797, 8, 8) with values 0 to 16, labels
    uint8 of shape (1797,) with values 0 to 9. Both arrays are fresh and may be written to.
    """
    found = resources.files(__name__).joinpath("digits.npz")
    with found.open("rb") as file, np.load(file) as archive:
        return archive["images"], archive["labels"]
