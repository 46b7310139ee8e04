// Package telemetry starts the metrics of a program in one call:
//
//	shutdown, err := telemetry.Start(ctx)
//	if err != nil {
//		return err
//	}
//	defer shutdown(flushCtx) // last of all, when the pools are closed
//
// From then on every pool of the process, the Go runtime and whatever else uses OpenTelemetry's
// global MeterProvider are exported over OTLP, by default to the poolgauge sidecar (or any
// Collector) beside the program, at http://localhost:4317 without TLS.
//
// # Settings
//
// All settings are OpenTelemetry's variables, and mean what they mean everywhere. One that is empty
// counts as unset; one with a value that makes no sense is refused by [Start], where the SDK would
// log it and go on with something else.
//
//	OTEL_EXPORTER_OTLP_ENDPOINT        http://, https:// (TLS), unix:/// or host:port; by default http://localhost:4317
//	OTEL_EXPORTER_OTLP_PROTOCOL        grpc (default), or http/protobuf, whose default endpoint is http://localhost:4318
//	OTEL_EXPORTER_OTLP_{HEADERS,INSECURE,CERTIFICATE,CLIENT_CERTIFICATE,CLIENT_KEY,COMPRESSION,TIMEOUT}
//	OTEL_METRIC_EXPORT_INTERVAL        in milliseconds; by default 10000, as the sidecar's, and not the specification's 60000
//	OTEL_METRIC_EXPORT_TIMEOUT         in milliseconds; by default 30000
//	OTEL_METRICS_EXPORTER              otlp (default); console, a table on standard output; none; with prometheus nothing is
//	                                   started either, and otel.Handle is told what a program must do that is scraped
//	OTEL_SDK_DISABLED                  true starts nothing
//	OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
//	OTEL_METRICS_EXEMPLAR_FILTER
//	OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE
//	OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION
//
// OTEL_EXPORTER_OTLP_METRICS_… goes before OTEL_EXPORTER_OTLP_… of the same ending.
//
// The Producer of instrument/producer hands pools over as cumulative exponential histograms. Where
// the settings ask for explicit buckets or for delta or lowmemory temporality, it is left out:
// pools then go through the MeterProvider, which takes 0.2 µs more for each use, and does not tell
// how a pool ended that was closed since the last export.
//
// # Resource
//
// The resource says which program sends: the telemetry SDK, host.name, os.*, process.* (without the
// command's arguments, which may hold secrets), container.id where the control group tells it,
// service.name (unknown_service:EXECUTABLE unless set), service.version if the build knows it, and
// service.instance.id, random at each start, so that no two processes share a series. What cannot
// be read is absent. [WithAttributes] goes before what was detected, and the variables before both:
// in Kubernetes set OTEL_RESOURCE_ATTRIBUTES=service.instance.id=$(POD),k8s.pod.name=$(POD) for
// names that people can read.
//
// # GOMAXPROCS
//
// [Start] warns once, by [log/slog], where GOMAXPROCS does not fit the CPU quota of the program's
// control groups: pinned by the variable or the program, it does not follow the quota, and Go does
// not see the quota of a group further up.
//
// # Cost
//
// One goroutine, and 7 to 15 µs a pool for each export. A program gains the SDK, gRPC and protobuf;
// importing pools or instrument alone gains none of them. To use a MeterProvider of your own, give
// it the Producer: see instrument/producer.
package telemetry
