"""Kernels as CUDA C: which threads do what, and the text. Device functions: c/device.cuh."""
