# Two commands from a clean clone: `make demo` and `make test`. Each makes what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-emulated test-emulated-all test-gpu lint long bench clean

demo: $(VENV)/.demo
	$(BIN)/python -m lazygrad demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto

# the CUDA backend on an emulated GPU, whose settings are the hardest: tests/emulator/README.md
EMULATED := $(BIN)/python tests/emulator/run.py $(BIN)/python -m pytest -n auto
HARD := EMULATOR_ORDER=2 EMULATOR_LAZY=1 EMULATOR_ALIGN=16 LAZYGRAD_POOL=0
OF_CUDA := $(addprefix tests/test_cuda, .py _attention.py _sharing.py _reductions.py _scatter.py _product.py _epilogue.py _library.py _doctor.py _planted.py)
test-emulated: $(VENV)/.emulator
	$(EMULATED) tests/test_emulator.py tests/test_sass.py $(OF_CUDA)
	$(BIN)/python -m pytest -n auto tests/test_cuda_sass.py
	$(HARD) $(EMULATED) --device cuda --every 10 --ignore tests/test_random_programs.py tests
	$(HARD) $(EMULATED) --device cuda tests/test_random_programs.py -k compiled

# all tests of the CPU on it
test-emulated-all: $(VENV)/.emulator
	$(EMULATED) tests/test_emulator.py tests/test_sass.py $(OF_CUDA)
	$(HARD) $(EMULATED) --device cuda tests

# on a real GPU, with what is installed: numpy, jinja2, networkx, pytest, pycuda, an nvcc, and the
# peers to compare with. nvcc takes 0.8 s for a kernel, and the backend's tests have some 590 units,
# test_autograd.py 170, test_ops.py about 330: without pytest-xdist every third test runs, and none
# of those generated for every op
SIDE_BY_SIDE := $(shell $(PYTHON) -c "import xdist; print('-n auto')" 2>/dev/null)
test-gpu:
	$(PYTHON) -m pytest -q $(SIDE_BY_SIDE) tests/test_cuda_source.py
	$(PYTHON) -m pytest -q $(or $(SIDE_BY_SIDE),--every 3) $(OF_CUDA)
	$(PYTHON) -m pytest -q $(or $(SIDE_BY_SIDE),--every 3) --device cuda tests/test_autograd.py $(if $(SIDE_BY_SIDE),tests/test_ops.py)
	$(PYTHON) -m lazygrad bench --device cuda

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

long: $(VENV)/.test
	$(BIN)/python -m pytest -n auto -m slow

bench: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	$(BIN)/python -m lazygrad bench

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

$(VENV)/.emulator: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[test,emulator]"
	$(BIN)/python tests/emulator/pycuda_wheel.py --install
	touch $@

$(VENV)/.lint: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[lint]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
