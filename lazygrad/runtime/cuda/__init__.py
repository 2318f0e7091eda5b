"""CUDA devices through pycuda, which is imported when the first one is opened."""
