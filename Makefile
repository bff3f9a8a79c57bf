# make demo   set-up and the main job: clip art over HTTP -> tokens -> a trained model -> pictures
# make test   set-up and the tests
# make check  style, types and the direction of imports
# make bench  every figure that the README quotes (fetching needs nginx)
# make bench-gpu   every figure that needs a GPU, in one table
# make guards each guard taken away in turn: the tests must notice
# make soak   100,000 URLs of a server with random faults, half an hour at most
# make chaos  kill, cut, fill up and go on, ten minutes of it (MINUTES=60): the same bytes in the end
# Each works again after the first time; `make clean` throws the environment away.

VENV := .venv
MINUTES ?= 10
BIN := $(VENV)/bin
PYTHON ?= $(shell for name in python3.11 python3.12 python3 python; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null \
	&& { $$name -c 'import sys; print(sys.executable)'; break; }; done)
UV := $(shell command -v uv)

.PHONY: demo test check bench bench-gpu guards soak chaos clean

demo: $(VENV)/installed
	$(BIN)/python examples/demo.py

test: $(VENV)/installed
	$(BIN)/python -m pytest

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed
	for script in $(filter-out benchmarks/gpu.py,$(wildcard benchmarks/*.py)); do \
		$(BIN)/python $$script || echo "$$script: not measured, for the reason above"; done

bench-gpu: $(VENV)/installed
	$(BIN)/python benchmarks/gpu.py

guards: $(VENV)/installed
	$(BIN)/python -m tests.guards

soak: $(VENV)/installed
	$(BIN)/python -m tests.soak --urls 100000 --minutes 30

chaos: $(VENV)/installed
	$(BIN)/python -m tests.chaos --minutes $(MINUTES)

$(VENV)/installed: setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "pairmill needs Python 3.11 or 3.12; name one with make PYTHON=..."; exit 2; }
ifneq ($(UV),)
	test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --editable '.[all]'
else
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[all]'
endif
	touch $@

clean:
	rm -rf $(VENV)
