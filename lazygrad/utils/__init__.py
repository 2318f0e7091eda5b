"""`lazygrad.utils`: what a training program needs around its tensors.

Owns: nothing itself; see `lazygrad.utils.data`. Must not know: tensors or kernels.
"""
