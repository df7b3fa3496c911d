PYTHON ?= python3
BIN := .venv/bin

# cpu or gpu: what was asked for, else what is installed, else what the machine has.
ENGINE ?= $(patsubst .venv/.installed-%,%,$(wildcard .venv/.installed-*))
ifeq ($(ENGINE),)
ENGINE := $(shell nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
endif

INSTALLED := .venv/.installed-$(ENGINE)
PROTOS := $(wildcard protos/paddock/v1/*.proto)
DOCKER_REGISTRY := $(BIN)/docker-registry
PROTO_MODULES := $(PROTOS:.proto=_pb2.py) $(PROTOS:.proto=_pb2_grpc.py)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-tests run fsck test test-unit test-integration bench k8s-check images images-check protos lint types format lock clean distclean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) protos ## Install what is missing (ENGINE=cpu or gpu; found out by default)

setup-tests: setup $(DOCKER_REGISTRY) ## Install what only the tests need, too

run: setup ## Install what is missing and start everything on this machine
	@$(BIN)/paddock serve $(ARGS)

fsck: setup ## Check that every stored model is whole (ARGS=--repair deletes wrong blobs)
	@$(BIN)/paddock fsck $(ARGS)

test: lint types setup-tests ## Install what is missing and run every check and test
	$(BIN)/pytest $(sort $(filter-out tests/integration/ tests/__pycache__/,$(wildcard tests/*/ tests/test_*.py))) tests/integration $(ARGS)

test-unit: setup-tests ## The tests that start no processes
	$(BIN)/pytest --ignore=tests/integration $(ARGS)

test-integration: setup-tests ## The tests that start real processes
	$(BIN)/pytest tests/integration $(ARGS)

bench: setup-tests ## Compare the speed with vLLM's own server and its bare engine (ARGS=--help)
	$(BIN)/python -m bench $(ARGS)

k8s-check: setup-tests ## Check the manifests in k8s/ (needs kubectl)
	$(BIN)/pytest tests/k8s $(ARGS)

images: ## Build the container images (ENGINE=cpu or gpu, TAG, REGISTRY, BASE, BUILD_ARGS)
	@$(PYTHON) scripts/build_images.py $(ENGINE) $(if $(TAG),--tag=$(TAG)) \
		$(if $(REGISTRY),--registry=$(REGISTRY)) $(if $(BASE),--base=$(BASE)) $(BUILD_ARGS)

images-check: setup-tests ## Start every process of the images (as root, with buildah)
	ENGINE=$(ENGINE) TAG=$(TAG) REGISTRY=$(REGISTRY) $(BIN)/pytest tests/k8s_images/check_processes.py $(ARGS)

protos: $(PROTO_MODULES) ## Generate the Python code of the protos

lint: setup ## Check style
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup ## Check types
	$(BIN)/mypy .

format: setup ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# uv does not read pip's configuration, so it is told where torch's CPU build is.
TORCH_WHEELS ?= $(or $(PIP_FIND_LINKS),https://download.pytorch.org/whl/cpu/torch/)
RESOLVE = UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile -q --universal --python-version 3.11 $(ARGS) pyproject.toml

lock: setup ## Pin the requirements anew (ARGS=--upgrade takes newer versions)
	$(RESOLVE) --extra cpu --find-links $(TORCH_WHEELS) -o requirements/cpu.txt
	$(RESOLVE) -c requirements/cpu.txt -o requirements/core.txt
	$(RESOLVE) -c requirements/cpu.txt --extra dev -o requirements/dev.txt
	$(RESOLVE) -c requirements/dev.txt --extra gpu -o requirements/gpu.txt

clean: ## Remove what was generated
	rm -rf build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find protos -name '*_pb2*.py*' -delete
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## Remove what was installed, too
	rm -rf .venv

$(INSTALLED): pyproject.toml requirements/$(ENGINE).txt requirements/dev.txt scripts/install.py scripts/mend_torch.py
	@$(PYTHON) scripts/install.py $(ENGINE)
	@touch $@

$(DOCKER_REGISTRY): scripts/install_docker_registry.py $(INSTALLED)
	@$(PYTHON) scripts/install_docker_registry.py $@
	@touch -h $@

$(PROTO_MODULES) &: $(PROTOS) $(INSTALLED)
	@find protos -name '*_pb2*.py*' -delete
	@PATH=$(CURDIR)/$(BIN):$$PATH python -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. \
		--mypy_out=quiet:. --mypy_grpc_out=quiet,only_async:. $(PROTOS)
