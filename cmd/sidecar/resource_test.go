package main

import (
	"os"
	"testing"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
)

// In a pod, the system's host name is the name of the pod. It is reported as host.name neither for
// the sidecar nor for the app.
func TestPodNameIsNotReportedAsHostName(t *testing.T) {
	system, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	for name, c := range map[string]struct {
		attributes map[string]string
		want       string
	}{
		"no pod": {nil, system},
		// a pod on the host's network has the host's name
		"the host's network":    {map[string]string{"k8s.pod.name": "orders-x2k7p"}, system},
		"a pod":                 {map[string]string{"k8s.pod.name": system}, ""},
		"a truncated pod name":  {map[string]string{"k8s.pod.name": system + "-x2k7p"}, ""},
		"a pod on a known node": {map[string]string{"k8s.pod.name": system, "k8s.node.name": "node-7"}, "node-7"},
		"a configured host":     {map[string]string{"k8s.pod.name": system, "k8s.node.name": "node-7", "host.name": "mine"}, "mine"},
	} {
		r, err := newResource(t.Context(), &config.Settings{ResourceAttributes: c.attributes}, "")
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := r.Set().Value(semconv.HostNameKey); got.AsString() != c.want {
			t.Errorf("%s: host.name is %q, want %q", name, got.AsString(), c.want)
		}
		shared := sharedAttributes(r)
		if got, _ := shared.Value(semconv.HostNameKey); got.AsString() != c.want {
			t.Errorf("%s: the app gets host.name %q, want %q", name, got.AsString(), c.want)
		}
	}
}
