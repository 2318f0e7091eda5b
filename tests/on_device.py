"""Running the CPU's tests on another device: pytest --device cuda.

Owns: making that device the default one, and the list of tests that are about the host alone. Must
not know: which tests there are beyond that list.

Tests look at values by `.numpy()`, which other devices' tensors refuse: here it copies. And they
look at texts, which name a device that is not the host: here they do not. What a test then cannot
see, memory shared with numpy, is what the list leaves out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

HOST = "cpu"
_SHARED = "numpy shares the memory"
_HOSTS = "it is of the host's memory"
_NUMPY = "it names the line of `.numpy()`, which is the tests' own here"
_ARRAYS = "numpy's arrays are on the host, where a GPU's tensor does not meet them"
_INDEX = "a value in a GPU's memory is refused where it is used: test_value_checks.py has both"
_FORK = "after a fork a GPU cannot be used: test_cuda.py has what is said"
_NO_GPU = "what is said where there is no GPU"
_C = "it is about the C backend's own parts"
_CHILDREN = "its processes compute on the host"
_TEXT = "it reads the package's source"
_FINISHES = "what cuBLAS and its epilogues take is another matter: test_cuda_epilogue.py"
_ANY_SIZES = "plans for many sizes are of the C backend alone (Device.any_sizes)"
_PATTERN = "backward passes are known by a pattern on the host alone"
_ITSELF = "it names its devices itself"
_WHERE = "it asks whether its tensors are the host's"
# of tests/programs
PROGRAMS = {
    "basics.asking_what_they_are": _WHERE,
    "basics.dtype_conversion": _WHERE,
    "interop.dlpack": _SHARED,
    "interop.numpy_both_ways": _SHARED,
    "mistakes.indices_out_of_range": _INDEX,
    "mistakes.wrong_types": _INDEX,
    "models.losses_by_hand": _INDEX,
}
HOST_ONLY: dict[str, str] = {
    **dict.fromkeys(
        (
            "test_kernels.py",
            "test_no_compiler.py",
            "test_python_time.py",
            "test_repro.py",
            "test_runtime_c.py",
            "test_targets.py",
            "test_vmath.py",
        ),
        _C,
    ),
    **dict.fromkeys(
        (
            "test_cuda.py",
            "test_cuda_attention.py",
            "test_cuda_doctor.py",
            "test_cuda_planted.py",
            "test_cuda_product.py",
            "test_cuda_reductions.py",
            "test_cuda_sass.py",
            "test_cuda_scatter.py",
            "test_cuda_sharing.py",
            "test_cuda_source.py",
            "test_emulator.py",
            "test_sass.py",
        ),
        _ITSELF,
    ),
    "test_architecture.py": _TEXT,
    "test_bench.py::test_operations_of_a_product_are_with_those_done_to_its_blocks": _FINISHES,
    "test_autograd.py::test_gradient_lands_where_a_leaf_had_its_gradient_exported": _SHARED,
    "test_dlpack.py": _SHARED,
    "test_docs.py::test_commands_print_what_the_page_shows": _CHILDREN,
    "test_docs.py::test_python_examples_run[guide.md]": _SHARED,
    "test_epilogue.py": _FINISHES,
    "test_families.py::test_a_new_batch_size_runs_nothing_of_an_operation": _ANY_SIZES,
    "test_families.py::test_sizes_that_differ_each_time_are_learnt_too": _ANY_SIZES,
    "test_fusion.py::test_a_value_between_two_kernels_is_not_fused_around": _FINISHES,
    "test_indexing.py::test_bad_indices_are_refused"
    "[key6-IndexError-index 5 is out of bounds for dimension 0 with size 3]": _INDEX,
    "test_jit.py::test_memory_shared_with_numpy": _SHARED,
    "test_jit.py::test_what_cannot_be_replayed_runs_and_is_said_once"
    "[<lambda>-needs the memory of a tensor]": _NUMPY,
    "test_long_runs.py::test_memory_is_counted": _HOSTS,
    "test_long_runs.py::test_a_failed_allocation_names_the_largest_values": _HOSTS,
    "test_notebook.py::test_output_is_exactly[to-numpy-shared]": _SHARED,
    "test_notebook.py::test_output_is_exactly[from-numpy-shared]": _SHARED,
    "test_plans.py": _ANY_SIZES,
    "test_protocols.py::test_the_same_memory_or_an_error": _SHARED,
    "test_protocols.py::test_as_torch"
    "[np.array(list(x)), np.asarray(x).ctypes.data == x.data_ptr()]": _SHARED,
    "test_protocols.py::test_as_torch[np.array(x, dtype=np.int32, copy=False)]": _SHARED,
    "test_protocols.py::test_as_torch"
    "[n == x, x == n, x == np.array(2), x == np.float64(1), np.float64(1) == x]": _ARRAYS,
    "test_repeats.py::test_what_is_not_as_in_the_pattern": _PATTERN,
    "test_semantics.py::test_random_programs_agree_with_pytorch": _SHARED,
    "test_semantics.py::test_memory_shared_with_numpy_keeps_its_size": _SHARED,
    "test_semantics.py::test_a_product_written_into_shared_memory_saves_a_copy": _SHARED,
    "test_semantics.py::test_memory_is_taken_back_when_the_array_dies": _SHARED,
    "test_semantics.py::test_numpy_shares_memory_both_ways": _SHARED,
    "test_semantics.py::test_strided_array_is_shared": _SHARED,
    "test_semantics.py::test_strides_of_empty_arrays_are_numpys": _SHARED,
    "test_shared_calls.py": _SHARED,
    "test_threads.py::test_realize_after_fork": _FORK,
    "test_tensor.py::test_errors_are_raised_at_the_call[lg.zeros(3)[lg.tensor([7])]]": _INDEX,
    "test_tensor.py::test_errors_are_raised_at_the_call"
    "[lg.zeros(3).gather(0, lg.tensor([4]))]": _INDEX,
    "test_templates.py::test_parameters_that_share_memory_are_written_as_ever": _SHARED,
    "test_tensor.py::test_errors_are_raised_at_the_call[lg.zeros(2).cuda()]": _NO_GPU,
    "test_tensor.py::test_errors_are_raised_at_the_call[lg.zeros(2).to(0)]": _NO_GPU,
    **{
        f"test_user_programs.py::test_a_program_shows_what_it_shows_with_pytorch[{of}-{name}]": why
        for of in ("interp", "")
        for name, why in PROGRAMS.items()
    },
    "test_ways.py::test_memory_that_is_shared_is_read_at_once": _SHARED,
}


def name() -> str:
    """The device that tests run on; the option is kept in the environment for their children."""
    return os.environ.get("TEST_DEVICE", HOST)


def reason(test: str) -> str | None:
    """Why a test (`test_file.py::test_name[parameters]`) is about the host alone, if it is."""
    whole = test.rpartition("/")[2]
    file = whole.partition("::")[0]
    bare = whole.partition("[")[0]  # without parameters
    return HOST_ONLY.get(whole) or HOST_ONLY.get(bare) or HOST_ONLY.get(file)


def split(tests: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Tests to run on another device, and those to leave out."""
    kept: list[Any] = []
    left: list[Any] = []
    for test in tests:
        (left if reason(test.nodeid) else kept).append(test)
    return kept, left


def install() -> None:
    """Make the device the default, `.numpy()` a copy of what lies on it, and texts silent of it."""
    import numpy as np

    import lazygrad
    from lazygrad.tensor import convert

    lazygrad.set_default_device(name())
    tensor = lazygrad.Tensor
    plain, from_numpy, tensor_text = tensor.numpy, lazygrad.from_numpy, convert.tensor_text

    def numpy(self: Any, *, force: bool = False) -> np.ndarray:
        if self.requires_grad and not force:
            return plain(self)  # raises
        return plain(self.detach().cpu()).copy()

    def array(self: Any, *args: Any, **more: Any) -> np.ndarray:
        return np.array(numpy(self), *args, **{**more, "copy": True})

    def moved(array: Any) -> Any:
        where = lazygrad.get_default_device()
        made = from_numpy(array)
        return made.to(where) if where.type != HOST else made.clone()

    def text(*args: Any, device: str, **more: Any) -> str:
        return tensor_text(*args, device=HOST if device == f"{name()}:0" else device, **more)

    tensor.numpy = numpy
    tensor.__array__ = array
    convert.tensor_text = text
    lazygrad.from_numpy = moved
