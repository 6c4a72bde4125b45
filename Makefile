# The targets that people and scripts use; docs/development.md explains them.
GO       ?= go
FUZZTIME ?= 30s
PKGS     := ./...
# The race detector links C: without a C compiler the same tests run without it.
RACE     := $(shell [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v $$($(GO) env CC) >/dev/null 2>&1 && echo -race)
BUILD    := CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w"
LINT     := $(GO) tool -modfile=internal/tools/lint.mod

.PHONY: all build demo test check lint interop soak fuzz bench gate fmt clean need-go

all: build

need-go:
	@command -v $(GO) >/dev/null 2>&1 || { echo "Go 1.26 or newer is needed (https://go.dev/dl/): no '$(GO)' command was found." >&2; exit 1; }

build: need-go
	$(BUILD) -o bin/postrider ./cmd/postrider
	$(BUILD) -o bin/postbench ./cmd/postbench

demo: build
	bin/postrider demo

# The models of what is stored cut the power many times as often without the race
# detector, and damage is tried in more places, so they run once more. What a hot path
# allocates can only be counted without the detector and the extra checks.
test: need-go
	$(GO) test $(RACE) -tags invariants -timeout 9m $(PKGS)
	$(if $(RACE),$(GO) test -tags invariants -timeout 5m -run 'Model$$|DamagedRows|PowerCut|FlippedByte|SyncErrors|AgainstAnArray|DiskFaults|Chaos' ./queue/... ./internal/spool ./delivery/mailbox ./relay ./relay/outbound)
	$(GO) test -timeout 5m -run 'Alloc' ./queue ./relay/... ./delivery/... ./access/... ./internal/auth ./internal/maillog

lint: need-go
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "gofmt would change:"; echo "$$out"; exit 1; }
	$(GO) vet -tags invariants $(PKGS)
	$(GO) mod tidy -diff
	$(LINT) staticcheck -tags invariants $(PKGS)

check: lint build test

interop: build
	internal/interop/run

soak: build
	SOAK=1 internal/interop/run

fuzz: need-go
	internal/tools/fuzz $(FUZZTIME)

# The short set, three rounds each. bench/baseline has what one machine made of it;
# `make gate` holds a new result of the same machine against it.
bench: build
	bin/postbench run relay4k steady open70 accept --runs 3 --duration 6s --warmup 1s --out bench-out/short

gate:
	bin/postbench gate --base bench/baseline/short.json --new bench-out/short/result.json --max-regress 5%

fmt:
	gofmt -w $$(git ls-files '*.go')

clean:
	rm -rf bin bench-out
