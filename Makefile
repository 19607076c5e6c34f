# Needs make and a Python of 3.11 or newer; `make help` lists the targets.
PYTHON_BIN = .venv/bin
PYTEST = $(PYTHON_BIN)/python -m pytest
PACKAGES = dlq flows tasks deployments
# In this order, files side by side: first what needs no server, last what is short, so that no core waits at the end.
TESTS = tests/unit tests/simulation tests/integration tests/runbook tests/kubernetes tests/chaos
SIDE_BY_SIDE = -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install ensure-redis ensure-prometheus ensure-chromium ensure-rabbitmq demo test test-kubernetes simulate check sabotage chaos bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' Makefile

install: ## make .venv from requirements.lock (only when the lock or pyproject.toml changed)
	@sh scripts/bootstrap.sh

ensure-redis:
	@sh scripts/ensure-redis.sh

ensure-prometheus:
	@sh scripts/ensure-prometheus.sh

ensure-chromium:
	@sh scripts/ensure-chromium.sh

ensure-rabbitmq:
	@sh scripts/ensure-rabbitmq.sh

demo: install ## an incident on servers of its own, from the alert to the report; BROKER=redis-cluster or rabbitmq
	$(PYTHON_BIN)/dlq demo $(if $(BROKER),--broker $(BROKER))

test: install ensure-redis ensure-prometheus ensure-chromium ensure-rabbitmq ## all tests, with a small sample of the chaos ones
	$(PYTEST) $(SIDE_BY_SIDE) $(TESTS)

test-kubernetes: install ## the Kubernetes tests on a real API server too, which is built once (nine minutes, Debian 12)
	cache=$$(bash scripts/build-kube-apiserver.sh) && \
	  DLQ_KUBE_CACHE="$$cache" DLQ_TEST_KUBERNETES=real $(PYTEST) tests/kubernetes

simulate: install ## simulated drains in 2,000 seeded worlds: how long they take beside one that knows the truth
	$(PYTHON_BIN)/python -m tests.simulation.outcomes

check: install ## ruff, formatting, types, import contracts
	$(PYTHON_BIN)/ruff check
	$(PYTHON_BIN)/ruff format --check
	$(PYTHON_BIN)/mypy $(PACKAGES)
	$(PYTHON_BIN)/lint-imports

sabotage: install ensure-redis ## breaks the code under 30 journeys of the closed loop; each has to fail
	$(PYTHON_BIN)/python -m tests.sabotage

chaos: install ensure-redis ensure-rabbitmq ## the chaos tests with 200 kills on each broker
	DLQ_CHAOS_KILLS=200 $(PYTEST) tests/chaos --timeout 3600

bench: install ensure-redis ## the benchmarks; results in build/bench.json
	$(PYTHON_BIN)/python -m benchmarks

lock: install ## resolve requirements.lock anew within the bounds of pyproject.toml
	$(PYTHON_BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade --quiet \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --output-file requirements.lock

clean: ## remove what the targets made, .venv too
	rm -rf .venv build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find $(PACKAGES) tests benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
