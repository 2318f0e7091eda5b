"""Devices, memory, compilers, the disk cache and the executor."""
