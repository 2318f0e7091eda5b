"""`lazygrad.nn.utils.rnn`: sequences of different lengths in one tensor.

Owns: padding. Must not know: recurrent layers.
"""

from __future__ import annotations

from collections.abc import Iterable

from lazygrad.tensor import Tensor

__all__ = ["pad_sequence"]


def pad_sequence(
    sequences: Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences of shape (L_i, *) as one tensor of (max L, N, *), or (N, max L, *).

    RuntimeError for no sequences or another side than "left" and "right".
    """
    parts = list(sequences)
    if not parts:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    longest = max(part.shape[0] for part in parts)
    out = parts[0].new_full((len(parts), longest, *parts[0].shape[1:]), padding_value)
    for number, part in enumerate(parts):
        count = part.shape[0]
        first = 0 if padding_side == "right" else longest - count
        out[number, first : first + count] = part
    return out if batch_first else out.transpose(0, 1).contiguous()
