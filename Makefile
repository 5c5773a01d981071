# The product's front door. `make` alone says what there is.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m

unexport PYTHONPATH  # what a sourced ROS workspace puts there must not mix with the pinned packages
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

help:  ## say what each target does (the default)
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

venv: $(VENV)/installed  ## set up .venv with the pinned packages; PYTHON=... picks the Python

demo: venv  ## drive a simulated robot, remember and recall what it sees; report in demo_out/
	$(VENV)/bin/gaussvae demo

test: $(VENV)/installed-dev  ## run all tests, those of the ROS 2 nodes where ROS 2 is found
	@ROS_PYTHONPATH="$(PYTHONPATH)" test/ros/run.sh $(VENV)/bin/python

bench: venv  ## measure speed and quality on this machine, beside the targets
	$(VENV)/bin/gaussvae bench

clean:  ## remove .venv, demo_out/ and what builds and tests leave behind
	rm -rf $(VENV) demo_out build *.egg-info .pytest_cache .hypothesis .ruff_cache
	find gaussvae_ros test -name __pycache__ -prune -exec rm -rf {} +

# pip comes from requirements.txt, since some systems keep ensurepip in a package of its own.
$(VENV)/made:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10))" || \
		{ echo "make: $(PYTHON) is not Python 3.10 or later; name one with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null || \
		{ echo "make: $(PYTHON) has no pip: install it (python3-pip on Debian and Ubuntu)" >&2; exit 1; }
	$(PYTHON) -m venv --clear --without-pip $(VENV)
	@touch $(VENV)/COLCON_IGNORE
	$(PYTHON) -m pip install --quiet "$$(grep ^pip== requirements.txt)" \
		--target "$$($(VENV)/bin/python -c 'import site; print(site.getsitepackages()[0])')"
	@touch $@

$(VENV)/installed: $(VENV)/made requirements.txt setup.py pyproject.toml
	@echo "Installing the pinned packages into $(VENV): once, some minutes"
	$(RUN) pip install -r requirements.txt
	$(RUN) pip install -qq --no-deps --no-build-isolation --editable .
	$(VENV)/bin/gaussvae compile
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-train.txt requirements-peers.txt \
		requirements-lerobot.txt requirements-text.txt requirements-mcp.txt requirements-fleet.txt \
		requirements-dev.txt
	$(RUN) pip install -r requirements-dev.txt
	@touch $@

.PHONY: help venv demo test bench clean
