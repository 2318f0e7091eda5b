"""`lg.jit`: functions recorded once and replayed, which leaves the time of their kernels.

Owns: the public name. Must not know: anything else.
"""

from lazygrad.recorded.jit import Jitted, jit

__all__ = ["Jitted", "jit"]
