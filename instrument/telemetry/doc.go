// Package telemetry sets up metrics export for a program in one call:
//
//	shutdown, err := telemetry.Start(ctx)
//	if err != nil {
//		return err
//	}
//	defer shutdown(flushCtx) // must run last, after the pools have been closed
//
// From then on, the metrics of all pools, of Go's runtime and of everything that uses
// OpenTelemetry's global MeterProvider are exported over OTLP. The default receiver is a poolgauge
// sidecar or a Collector at http://localhost:4317, without TLS.
//
// # Settings
//
// All settings are OpenTelemetry's environment variables, with the meaning that OpenTelemetry's
// specification gives them. An empty variable counts as unset. [Start] returns an error for an
// invalid value, whereas the SDK would log an error and use the default.
//
//	OTEL_EXPORTER_OTLP_ENDPOINT  http://, https:// (TLS), unix:/// or host:port; by default
//	                             http://localhost:4317
//	OTEL_EXPORTER_OTLP_PROTOCOL  grpc (default), or http/protobuf, whose default endpoint is
//	                             http://localhost:4318
//	OTEL_EXPORTER_OTLP_{HEADERS,INSECURE,CERTIFICATE,CLIENT_CERTIFICATE,CLIENT_KEY,COMPRESSION,TIMEOUT}
//	OTEL_METRIC_EXPORT_INTERVAL  in milliseconds; by default 10000, as in the sidecar, and not the
//	                             specification's 60000
//	OTEL_METRIC_EXPORT_TIMEOUT   in milliseconds; by default 30000
//	OTEL_METRICS_EXPORTER        otlp (default); console, a table on standard output; none;
//	                             prometheus, which starts nothing, and passes an explanation of how
//	                             to serve Prometheus to otel.Handle
//	OTEL_SDK_DISABLED            if true, nothing is started
//	OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
//	OTEL_METRICS_EXEMPLAR_FILTER
//	OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE
//	OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION
//
// OTEL_EXPORTER_OTLP_METRICS_X overrides OTEL_EXPORTER_OTLP_X.
//
// Pools are reported through the Producer of instrument/producer, with cumulative exponential
// histograms. If the settings request explicit buckets, or delta or lowmemory temporality, pools
// are reported through the MeterProvider instead, which costs more per use.
//
// # Resource
//
// The resource describes the program: the telemetry SDK, host.name, os.*, process.* (without the
// command's arguments, which may contain secrets), container.id if the cgroup shows it,
// service.name (unknown_service:EXECUTABLE unless set), service.version if the build contains one,
// and service.instance.id, which is random at each start, so that no two processes share a series.
// Attributes that cannot be determined are omitted. [WithAttributes] overrides the detected
// attributes, and the variables override both. For readable names in Kubernetes, set
// OTEL_RESOURCE_ATTRIBUTES=service.instance.id=$(POD),k8s.pod.name=$(POD).
//
// # GOMAXPROCS
//
// [Start] warns once, through [log/slog], if GOMAXPROCS does not match the CPU quota of the
// program's cgroups. They differ if the environment variable or the program sets GOMAXPROCS, or if
// the quota belongs to a parent cgroup, which Go does not see.
//
// # Cost
//
// The package uses one goroutine. A program that imports it includes the SDK, gRPC and protobuf; a
// program that imports only pools or instrument does not. To use your own MeterProvider, pass the
// Producer to its reader; see instrument/producer, which also documents the cost of a collection.
package telemetry
