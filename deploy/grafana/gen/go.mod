module github.com/poolgauge/poolgauge/deploy/grafana/gen

go 1.26.0

require (
	github.com/grafana/grafana-foundation-sdk/go v0.0.22
	github.com/poolgauge/poolgauge v0.0.0
	go.opentelemetry.io/otel v1.47.0
)

require github.com/cespare/xxhash/v2 v2.3.0 // indirect

replace github.com/poolgauge/poolgauge => ../../..
