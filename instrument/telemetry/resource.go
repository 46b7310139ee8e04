package telemetry

import (
	"context"
	"runtime/debug"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// detect returns a resource that describes the program. Later options override the attributes of
// earlier ones. If a detector fails, the attributes that it could not find are omitted.
func detect(ctx context.Context, attributes []attribute.KeyValue) *resource.Resource {
	r, _ := resource.New(
		ctx,
		resource.WithSchemaURL(semconv.SchemaURL),
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithOS(),
		resource.WithContainer(),
		resource.WithProcessPID(),
		resource.WithProcessExecutableName(),
		resource.WithProcessExecutablePath(),
		resource.WithProcessOwner(),
		resource.WithProcessRuntimeName(),
		resource.WithProcessRuntimeVersion(),
		resource.WithProcessRuntimeDescription(),
		resource.WithService(),
		resource.WithAttributes(version()...),
		resource.WithAttributes(attributes...),
		resource.WithFromEnv(),
	)
	return r
}

// version returns service.version if the program was built from a versioned module.
func version() []attribute.KeyValue {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return nil
	}
	return []attribute.KeyValue{semconv.ServiceVersion(info.Main.Version)}
}
