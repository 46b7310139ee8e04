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

// programName is the executable name that is reported, whatever the file is called.
const programName = "sidecar"

// newResource returns the resource that describes the sidecar: its host, operating system and
// process, and the attributes in the settings, which take precedence. It leaves out the command's
// arguments, which may contain secrets.
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
		resource.WithAttributes(configured(s, containerID)...),
	)
	if r == nil { // otherwise err only names the attributes that were not found
		return nil, fmt.Errorf("cannot detect the resource: %w", err)
	}
	// In a pod, the detected host name is that of the pod.
	if inPod(s.ResourceAttributes) && s.ResourceAttributes[string(semconv.HostNameKey)] == "" &&
		hostOf(s.ResourceAttributes) == nil {
		r = without(r, semconv.HostNameKey)
	}
	return r, nil
}

// configured returns the attributes of the service and those in the settings.
func configured(s *config.Settings, containerID string) []attribute.KeyValue {
	kvs := []attribute.KeyValue{
		semconv.ServiceName(
			"poolgauge-sidecar",
		),
		semconv.ServiceVersion(buildVersion()),
		semconv.ProcessExecutableName(programName),
	}
	if host, err := os.Hostname(); err == nil {
		kvs = append(kvs, semconv.ServiceInstanceID(host)) // in Kubernetes, host is the pod's name
	}
	kvs = append(kvs, hostOf(s.ResourceAttributes)...)
	if containerID != "" {
		kvs = append(kvs, semconv.ContainerID(containerID))
	}
	for key, value := range s.ResourceAttributes {
		// A variable from the downward API may be empty. The container's name is left out: it names
		// the sidecar's container, but some metrics describe the pod's other containers.
		if value != "" && key != string(semconv.K8SContainerNameKey) {
			kvs = append(kvs, attribute.String(key, value))
		}
	}
	if s.ServiceName != "" {
		kvs = append(kvs, semconv.ServiceName(s.ServiceName))
	}
	return kvs
}

// hostOf returns the attribute host.name for a sidecar in a pod: the node's name, if attributes has
// it. The system's host name cannot be used, since in a pod it is the pod's name.
func hostOf(attributes map[string]string) []attribute.KeyValue {
	if node := attributes[string(semconv.K8SNodeNameKey)]; node != "" {
		return []attribute.KeyValue{semconv.HostName(node)}
	}
	return nil
}

// inPod reports whether the system's host name is the name of the pod in attributes.
func inPod(attributes map[string]string) bool {
	host, err := os.Hostname()
	pod := attributes[string(semconv.K8SPodNameKey)]
	// Kubernetes truncates the pod's name to the 63 bytes that a host name may have.
	return err == nil && host != "" && pod != "" && strings.HasPrefix(pod, host)
}

func without(r *resource.Resource, key attribute.Key) *resource.Resource {
	kept, _ := attribute.NewSetWithFiltered(r.Attributes(), func(kv attribute.KeyValue) bool { return kv.Key != key })
	return resource.NewWithAttributes(r.SchemaURL(), kept.ToSlice()...)
}

// nameOf returns a human-readable name of the sidecar, made from its service and its instance.
func nameOf(r *resource.Resource) string {
	service, _ := r.Set().Value(semconv.ServiceNameKey)
	instance, ok := r.Set().Value(semconv.ServiceInstanceIDKey)
	if !ok {
		return service.AsString()
	}
	return service.AsString() + " on " + instance.AsString()
}
