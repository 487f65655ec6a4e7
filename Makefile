# faultline: what a developer does. `make demo` and `make test` need Go and make only;
# the Docker tests need an engine, and say so when there is none.

GO      ?= go
PLUGINS := $(patsubst plugins/%/main.go,%,$(wildcard plugins/*/main.go))
export CGO_ENABLED ?= 0
# Everything is built the same way, by tests, too, so that they share the cache. A plugin is
# hashed and read at each start: no symbols and debug information (DEBUG=1 keeps them), and
# without gRPC's page of traces, for which the linker would keep every method of every type.
DEBUG   ?=
STRIP   := $(if $(DEBUG),,-s)
export GOFLAGS := $(strip $(GOFLAGS) -tags=grpcnotrace -ldflags=$(STRIP))

# The processors of Docker engines to which the net plugin can send its helper.
HELPER_ARCHS ?= $(shell $(GO) env GOARCH)

.PHONY: build helper demo test soak lint bench generate clean

# Plugins first: faultline is linked with their checksums, and starts no others of their
# names. Without the state of the repository in them the same source gives the same bytes.
build: helper ## every binary into bin/
	@mkdir -p bin
	@for p in $(PLUGINS); do \
		echo "$(GO) build -o bin/faultline-plugin-$$p ./plugins/$$p"; \
		$(GO) build -trimpath -buildvcs=false -o bin/faultline-plugin-$$p ./plugins/$$p || exit 1; \
	done
	@sums=$$(cd bin && for p in $(PLUGINS); do \
		sum=$$(sha256sum "faultline-plugin-$$p") || exit 1; printf '%s:%s,' "$$p" "$${sum%% *}"; \
	done) || exit 1; \
	echo "$(GO) build -o bin/ ./cmd/... ./scenarios/quickstart/shop"; \
	$(GO) build -trimpath -ldflags="$(STRIP) -X main.builtinPlugins=$$sums" -o bin/ ./cmd/... && \
	$(GO) build -trimpath -o bin/ ./scenarios/quickstart/shop

helper: ## the small program that the net plugin carries along
	@for a in $(HELPER_ARCHS); do \
		GOARCH=$$a GOOS=linux CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags='-s -w' \
			-o plugins/net/helper/embedded/helper-linux-$$a ./plugins/net/helper/program || exit 1; \
	done

demo: build ## the main job: break a shop of its own, twice, and report
	bin/faultline demo

test: lint helper ## all tests
	$(GO) test -timeout 20m $(TESTFLAGS) ./...

soak: build ## a million simulated worlds, and a thousand accidents on real targets: hours on two cores
	$(GO) test ./engine/simulation -run TestWorlds -worlds 1000000 -timeout 8h
	bin/faultline selftest -size full

lint:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not gofmt-ed:"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

generate: ## code made from plugin.proto
	$(GO) generate ./...

clean:
	rm -rf bin

bench: build ## figures beside their floors and peers; asserts nothing
	$(GO) run ./contrib/bench -bin bin
	$(GO) test -run '^$$' -bench . -benchtime 10x ./engine/history
	$(GO) test -run '^$$' -bench . -benchtime 3x ./plugins/docker
	$(GO) test -run '^$$' -bench . -benchtime 20x ./plugins/net
	$(GO) test -run '^$$' -bench . -benchtime 5x ./plugins/proxy/relay
