# The gate, and everything else that is run by hand. `make help` lists the targets.

GOLANGCI_LINT = go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 30s
PLATFORMS = linux/arm64 linux/386 linux/arm darwin/amd64 darwin/arm64 windows/amd64

# The root and every module below it: every target runs in each of them.
MODULES = $(sort $(patsubst %/go.mod,%,$(shell find . -name go.mod -not -path '*/testdata/*')))
each = @set -e; for m in $(MODULES); do echo "== $$m: $(1)"; (cd $$m && $(1)); done

check: tidy build vet lint test alerts readme cross ## run the whole gate, as CI does, on every module

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

tidy: ## check that go.mod and go.sum match the imports
	$(call each,go mod tidy -diff)

# Two things make the binary smaller to read from disk and to hold in memory: functions are aligned to
# 16 bytes, where Go aligns to 32 on amd64, and nothing is inlined in packages that run only at the
# start, or as often as a person or a scrape asks.
cold = go.yaml.in/yaml github.com/spf13 github.com/gdamore github.com/clipperhouse \
	github.com/prometheus github.com/pandatix crypto/tls crypto/x509 encoding/asn1 encoding/json \
	math/big mime net/url regexp text google.golang.org/genproto google.golang.org/grpc/balancer \
	google.golang.org/grpc/internal/xds google.golang.org/grpc/resolver \
	google.golang.org/protobuf/encoding/protojson \
	google.golang.org/protobuf/encoding/prototext google.golang.org/protobuf/internal/filedesc \
	google.golang.org/protobuf/internal/filetype go.opentelemetry.io/otel/sdk/resource
shipped = CGO_ENABLED=0 go build -buildvcs=false -tags grpcnotrace,nethttpomithttp2 -trimpath \
	$(cold:%=-gcflags=%/...=-l) -ldflags '-s -w -funcalign 16 -X main.version=$(VERSION)'

OUT = bin/sidecar
build: ## build bin/sidecar, stripped, as it is shipped
	$(shipped) -o $(OUT) ./cmd/sidecar

# The same source gives the same bytes. The certificates are those of the building machine.
ARCHS ?= amd64 arm64
imagecontext: ## build bin/image: the programs for both architectures, and certificates
	@mkdir -p bin/image
	@set -e; for arch in $(ARCHS); do \
		GOARCH=$$arch GOOS=linux $(shipped) -o bin/image/$$arch/sidecar ./cmd/sidecar; \
		(cd examples/orders && GOARCH=$$arch GOOS=linux $(shipped) -o ../../bin/image/$$arch/orders .); \
	done
	cp /etc/ssl/certs/ca-certificates.crt bin/image/

CONTAINER ?= podman
IMAGE_TAG = $(shell sed -n 's|.*image: .*/sidecar:||p' deploy/k8s/sidecar/sidecar.yaml)
image: ARCHS = $(shell go env GOARCH)
image: imagecontext ## build the images for this machine, under the names in deploy/k8s
	@set -e; for program in sidecar orders; do \
		$(CONTAINER) build $(if $(findstring podman,$(CONTAINER)),--timestamp 0) --target $$program --build-arg TARGETARCH=$(ARCHS) \
			$(IMAGE_FLAGS) --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
			-t ghcr.io/poolgauge/$$program:$(IMAGE_TAG) -f deploy/image/Dockerfile bin/image; \
	done

# A release includes manifests with the image by digest, so that moving a tag changes nothing.
PINNED ?= bin/deploy
pinned: ## write bin/deploy: deploy with the sidecar's image by DIGEST (sha256:…)
	@case "$(DIGEST)" in sha256:????????????????????????????????????????????????????????????????) ;; *) echo "DIGEST=$(DIGEST): want sha256: and 64 digits" >&2; exit 2;; esac
	@rm -rf $(PINNED) && mkdir -p $(PINNED) && cp -r deploy/gateway deploy/helm deploy/k8s $(PINNED)/ && rm -r $(PINNED)/k8s/gen
	@find $(PINNED) -name '*.yaml' -exec sed -i -e 's|\(ghcr.io/poolgauge/sidecar\):$(IMAGE_TAG)|\1@$(DIGEST)|' -e 's|^  digest: ""|  digest: "$(DIGEST)"|' {} +

NFPM = go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.48.0
packages: imagecontext ## build bin/packages: deb and rpm for plain hosts, both architectures
	@mkdir -p bin/packages
	@set -e; for arch in $(ARCHS); do for packager in deb rpm; do \
		ARCH=$$arch VERSION=$(VERSION) $(NFPM) package -f deploy/package/nfpm.yaml -p $$packager -t bin/packages/; \
	done; done

podman: ## run deploy/k8s/example in podman, and check that its points arrive
	deploy/k8s/podman.sh

vet: ## run go vet
	$(call each,go vet ./...)

lint: ## look for banned words, and run golangci-lint
	go run ./internal/words
	$(call each,$(GOLANGCI_LINT) run)

fmt: ## format the code as lint requires
	$(call each,$(GOLANGCI_LINT) fmt)

# Some tests build programs of another module or run go list, which Go's test cache does not track:
# hence -count=1.
test: ## run the tests with the race detector; stale generated files fail
	$(call each,go test -race -count=1 -timeout 30m ./...)

alerts: ## replay the faults of the alerts, without the race detector, which is five times as slow
	cd e2e/prometheus && go test -count=1 -run Alert .

readme: ## run the commands of README.md and docs
	go run ./internal/readme README.md $(wildcard docs/*.md)

cross: ## compile for every other platform, without cgo
	@set -e; for p in $(PLATFORMS); do echo "== $$p"; CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build ./...; done

generate: ## write the generated files
	$(call each,go generate ./...)

browser: ## test the page in chromium; needs chromium, node and npm
	CGO_ENABLED=0 go build -o bin/sidecar ./cmd/sidecar
	cd e2e/browser && npm ci --no-audit --no-fund && SIDECAR=$(CURDIR)/bin/sidecar node --test

fuzz: ## run every fuzz target for FUZZTIME (30s)
	$(call each,FUZZTIME=$(FUZZTIME) $(CURDIR)/.ci/fuzz)

bench: ## compare with peers; fails if a target is missed
	@cd benchmarks && missed=0; for b in footprint relay pools pools/truth pools/memory wrap "classify -rounds 3" "poolbench -seed 13" "poolbench -live"; do go run ./$$b || missed=1; done; exit $$missed

.PHONY: check help tidy build imagecontext image packages pinned podman vet lint fmt test alerts readme cross generate browser fuzz bench
