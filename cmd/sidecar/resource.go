package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
)

// programName is what the sidecar is called, whatever its file is in an image.
const programName = "sidecar"

// newResource says who sends: host, operating system, process and, last and strongest, what the
// user set. The command's arguments stay out of it, since they may hold secrets.
func newResource(ctx context.Context, s *config.Settings, containerID string) (*resource.Resource, error) {
	r, err := resource.New(
		ctx,
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithOS(),
		resource.WithProcessPID(),
		resource.WithProcessExecutableName(),
		resource.WithProcessExecutablePath(),
		resource.WithProcessOwner(),
		resource.WithProcessRuntimeName(),
		resource.WithProcessRuntimeVersion(),
		resource.WithSchemaURL(semconv.SchemaURL),
		resource.WithAttributes(chosen(s, containerID)...),
	)
	if r == nil {
		return nil, fmt.Errorf("resource: %w", err)
	}
	// A detector that failed left out what it could not find.
	if inPod(s.ResourceAttributes) && s.ResourceAttributes[string(semconv.HostNameKey)] == "" &&
		hostOf(s.ResourceAttributes) == nil {
		r = without(r, semconv.HostNameKey)
	}
	return r, nil
}

// chosen are the service's attributes and those that the user set.
func chosen(s *config.Settings, containerID string) []attribute.KeyValue {
	kvs := []attribute.KeyValue{
		semconv.ServiceName(
			"poolgauge-sidecar",
		),
		semconv.ServiceVersion(buildVersion()),
		semconv.ProcessExecutableName(programName),
	}
	if host, err := os.Hostname(); err == nil {
		kvs = append(kvs, semconv.ServiceInstanceID(host)) // in Kubernetes the pod's name
	}
	kvs = append(kvs, hostOf(s.ResourceAttributes)...)
	if containerID != "" {
		kvs = append(kvs, semconv.ContainerID(containerID))
	}
	for key, value := range s.ResourceAttributes {
		// A variable of the downward API may be empty. The container's name goes on its points
		// alone: others are of the pod's other containers.
		if value != "" && key != string(semconv.K8SContainerNameKey) {
			kvs = append(kvs, attribute.String(key, value))
		}
	}
	if s.ServiceName != "" {
		kvs = append(kvs, semconv.ServiceName(s.ServiceName))
	}
	return kvs
}

// hostOf is the host's name in a pod: that of the node, if the user said which it is. What the
// system says there is the name of the pod, which must not go out as that of a host, least of all
// with the app's points.
func hostOf(chosen map[string]string) []attribute.KeyValue {
	if node := chosen[string(semconv.K8SNodeNameKey)]; node != "" {
		return []attribute.KeyValue{semconv.HostName(node)}
	}
	return nil
}

// inPod tells whether the system's host name is that of the pod which the user named.
func inPod(chosen map[string]string) bool {
	host, err := os.Hostname()
	pod := chosen[string(semconv.K8SPodNameKey)]
	// A long name of a pod is cut to the 63 bytes that a host name may have.
	return err == nil && host != "" && pod != "" && strings.HasPrefix(pod, host)
}

func without(r *resource.Resource, key attribute.Key) *resource.Resource {
	kept, _ := attribute.NewSetWithFiltered(r.Attributes(), func(kv attribute.KeyValue) bool { return kv.Key != key })
	return resource.NewWithAttributes(r.SchemaURL(), kept.ToSlice()...)
}

// nameOf is what the sidecar is called where people look: its service and its instance.
func nameOf(r *resource.Resource) string {
	service, _ := r.Set().Value(semconv.ServiceNameKey)
	instance, ok := r.Set().Value(semconv.ServiceInstanceIDKey)
	if !ok {
		return service.AsString()
	}
	return service.AsString() + " on " + instance.AsString()
}
