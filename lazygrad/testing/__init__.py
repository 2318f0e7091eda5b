"""What checks lazygrad itself: coverage of PyTorch's interface, measured by calls.

Owns: nothing but the package. Must not know: what is in its modules, which are imported where they
are used; PyTorch is never needed to import them.
"""
