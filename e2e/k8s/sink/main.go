// Command sink receives OTLP metrics and prints a line for each new combination of service, pod and
// instrumentation scope. With a URL as its argument, it fetches that URL instead, and exits with 0
// if the status is 200. It stands in for an upstream in podman.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // a client may compress
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if len(os.Args) > 1 {
		err = fetch(ctx, os.Args[1])
	} else {
		err = serve(ctx, ":4317")
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sink:", err)
		os.Exit(1)
	}
}

func fetch(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: got status %s, want 200", url, response.Status)
	}
	return nil
}

func serve(ctx context.Context, address string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	collector.RegisterMetricsServiceServer(server, &sink{seen: map[string]bool{}})
	context.AfterFunc(ctx, server.Stop)
	return server.Serve(listener)
}

type sink struct {
	collector.UnimplementedMetricsServiceServer
	mu   sync.Mutex // guards seen
	seen map[string]bool
}

// Export implements the metrics service of OTLP.
func (s *sink) Export(
	_ context.Context,
	request *collector.ExportMetricsServiceRequest,
) (*collector.ExportMetricsServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range request.ResourceMetrics {
		for _, scope := range r.ScopeMetrics {
			line := fmt.Sprintf(
				"%s %s %s",
				attribute(r.Resource, "service.name"),
				attribute(r.Resource, "k8s.pod.name"),
				scope.GetScope().GetName(),
			)
			if len(scope.Metrics) > 0 && !s.seen[line] {
				s.seen[line] = true
				fmt.Println(line)
			}
		}
	}
	return &collector.ExportMetricsServiceResponse{}, nil
}

// attribute returns the string value of the attribute key, or "-" if there is none.
func attribute(r *resourcepb.Resource, key string) string {
	for _, kv := range r.GetAttributes() {
		if kv.Key == key {
			return kv.Value.GetStringValue()
		}
	}
	return "-"
}
