"""DLPack, under the names that PyTorch has for it.

Owns: nothing. Must not know: how memory is shared (`lazygrad.tensor.dlpack` does).
"""

from __future__ import annotations

from lazygrad.tensor.dlpack import DLDeviceType, from_dlpack, to_dlpack

__all__ = ["DLDeviceType", "from_dlpack", "to_dlpack"]
