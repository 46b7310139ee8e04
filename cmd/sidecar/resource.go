package main

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
)

// newResource says who sends: host, operating system, process and, last and strongest, what the user set.
// The command's arguments stay out of it, since they may hold secrets.
func newResource(ctx context.Context, s *config.Settings, containerID string) (*resource.Resource, error) {
	r, err := resource.New(
		ctx,
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithOS(),
		resource.WithProcessPID(), resource.WithProcessExecutableName(), resource.WithProcessExecutablePath(), resource.WithProcessOwner(),
		resource.WithProcessRuntimeName(), resource.WithProcessRuntimeVersion(),
		resource.WithSchemaURL(semconv.SchemaURL),
		resource.WithAttributes(chosen(s, containerID)...),
	)
	if r == nil {
		return nil, fmt.Errorf("resource: %w", err)
	}
	return r, nil // a detector that failed left out what it could not find
}

// chosen are the service's attributes and those that the user set.
func chosen(s *config.Settings, containerID string) []attribute.KeyValue {
	kvs := []attribute.KeyValue{semconv.ServiceName("poolgauge-sidecar"), semconv.ServiceVersion(buildVersion())}
	if host, err := os.Hostname(); err == nil {
		kvs = append(kvs, semconv.ServiceInstanceID(host)) // in Kubernetes the pod's name
	}
	if containerID != "" {
		kvs = append(kvs, semconv.ContainerID(containerID))
	}
	for key, value := range s.ResourceAttributes {
		if value != "" { // a variable of the downward API may be empty
			kvs = append(kvs, attribute.String(key, value))
		}
	}
	if s.ServiceName != "" {
		kvs = append(kvs, semconv.ServiceName(s.ServiceName))
	}
	return kvs
}
