# Two commands matter: `make lab` and `make test`. Each does all the set-up that it needs.
PYTHON ?= python3
DEV = $(PYTHON) scripts/dev.py

.PHONY: lab check test test-all test-python test-js bench lint docs schema pictures wheel constraints release clean

lab:            ## set up once, then open JupyterLab with the quickstart notebook; ARGS="--port 9999" is for JupyterLab
	@$(DEV) lab $(ARGS)

check:          ## set up once, then run the quick tests of every package, in about a minute; ARGS is for pytest
	@$(DEV) check $(ARGS)

test:           ## set up once, then run every test; ARGS is for pytest
	@$(DEV) test $(ARGS)

test-all:       ## the exhaustive tests too: counts, matrices, real Nsight tools, old wheels; ARGS narrows it
	@$(DEV) test-all $(ARGS)

test-python:    ## pytest alone; ARGS="tests/core -k store" narrows it
	@$(DEV) test-python $(ARGS)

test-js:        ## jest alone
	@$(DEV) test-js $(ARGS)

bench:          ## print one JSON line a figure
	@$(DEV) bench $(ARGS)

lint:           ## ruff, mypy, eslint, prettier, stylelint, the docs, and whether generated files are current
	@$(DEV) lint

docs:           ## build the documentation site into docs/_build; a link that leads nowhere is an error
	@$(DEV) docs

schema:         ## openapi.json from Python, TypeScript types from openapi.json
	@$(DEV) schema

pictures:       ## make the pictures of the docs from the product (Linux, root); ARGS="track sweep" makes some
	@$(DEV) pictures $(ARGS)

wheel:          ## build the wheel and the source distribution into dist/
	@$(DEV) wheel $(ARGS)

constraints:    ## constraints.txt from what .venv has; commit it after a complete green run
	@$(DEV) constraints

release:        ## build what a release consists of; ARGS=--version 0.2.0 (docs/releasing.md)
	@$(PYTHON) scripts/release.py $(ARGS)

clean:          ## remove what was built; the virtual environment stays
	rm -rf lib dist genops_lab/labextension genops_lab/runtime/static genops_lab/_version.py genops_lab/profiling/engine/reading/native/*.so tsconfig.tsbuildinfo .cache docs/_build docs/reference
