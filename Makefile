# The commands most people need: make demo, make test, make check. The environment is created once and reused.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LIBRARY := runtime/edgegenre_runtime/frontend/lib/edgegenre_mel.so
AUDIO ?=

.DEFAULT_GOAL := help
.PHONY: help spelling boards demo test test-slow coverage fuzz check docs licenses instructions format wheels clean

help:
	@echo "make demo [AUDIO=song.mp3]   export the shipped checkpoint to int8 and classify a piece of music with it"
	@echo "make test                    all tests but the slow ones"
	@echo "make test-slow               the slow tests alone"
	@echo "make fuzz                    ten minutes of damaged files through every reader"
	@echo "make check                   format, lint, types, import rules"
	@echo "make spelling                words that are misspelled, or spelled the British way"
	@echo "make coverage                what reads, listens and answers, with coverage, which has a floor"
	@echo "make docs                    the site in site/, warnings are errors"
	@echo "make licenses                the licenses of everything in the base install"
	@echo "make instructions            count instructions on emulated boards again; 3 % more than stored fail"
	@echo "make format                  fix what ruff can fix"
	@echo "make wheels                  wheels for x86-64, aarch64, armv7l and armv6l (needs the cross compilers)"
	@echo "make boards                  measure this machine and every emulated board again, and write docs/boards.md"
	@echo "make clean                   remove the environment and what the demo wrote"

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all]'
	@touch $@

$(LIBRARY): $(STAMP) hatch_build.py $(wildcard runtime/c/include/*.h runtime/c/src/*/*)
	-$(BIN)/python hatch_build.py

demo: $(STAMP)
	$(BIN)/edgegenre export --int8 --out demo/bundle
	$(if $(AUDIO),,$(BIN)/edgegenre data piece disco --out demo/piece.wav)
	$(BIN)/edgegenre-run --bundle demo/bundle "$(or $(AUDIO),demo/piece.wav)"

test: $(STAMP) $(LIBRARY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: $(STAMP) $(LIBRARY)
	$(BIN)/python -m pytest -m slow

fuzz: $(STAMP) $(LIBRARY)
	EDGEGENRE_FUZZ_S=600 $(BIN)/python -m pytest tests/fuzz

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

spelling: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'codespell>=2.3'
	$(BIN)/codespell

# An environment of its own: the site needs none of the extras, and its tools must not change what the tests run with.
docs: pyproject.toml
	test -x .venv-docs/bin/mkdocs || { $(PYTHON) -m venv .venv-docs && \
		.venv-docs/bin/pip install --quiet --disable-pip-version-check '.[docs]'; }
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet

licenses: $(STAMP)
	$(BIN)/python scripts/dependency_licenses.py

instructions: $(STAMP) $(LIBRARY)
	mkdir -p .cache/instructions
	for device in cortex-m55 rpi4 rpi5; do \
		$(BIN)/edgegenre bench emulate --device $$device --out .cache/instructions/$$device.json && \
		$(BIN)/edgegenre bench compare devices/results/$$device.json .cache/instructions/$$device.json \
			--more-instructions 0.03 || exit 1; done

coverage: $(STAMP) $(LIBRARY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pytest-cov>=6'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" \
		tests/runtime/audio tests/runtime/library tests/runtime/live tests/runtime/outputs --cov --cov-report=term:skip-covered

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheels: $(STAMP)
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .
	for target in aarch64 armv7l armv6l; do \
		EDGEGENRE_TARGET=$$target $(BIN)/python -m build --wheel --no-isolation --outdir dist . || exit 1; done
	@ls dist

boards: $(STAMP) $(LIBRARY)
	scripts/measure_boards.sh full

clean:
	rm -rf $(VENV) .venv-docs site demo
