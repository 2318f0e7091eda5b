"""Kernels as CUDA C: which threads do what, and the text. Device functions: c/device.cuh."""

ARGUMENT_BYTES = 4096  # of a launch, on any GPU, toolkit and driver
MANY_ARGUMENT_BYTES = 32764  # where both nvcc and the driver are of CUDA 12.1 or newer
