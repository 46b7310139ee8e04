package receive

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// A large request has spare capacity, so that attributes can be added without copying the request.
func TestSpareCapacity(t *testing.T) {
	spares := make(chan int, 1)
	b := start(t, func(c *Config, _ *limits) {
		c.Enrich = func(_ otlp.Signal, data []byte) ([]byte, error) {
			spares <- cap(data) - len(data)
			return bytes.Clone(data), nil
		}
	})
	conn := dial(t, b.GRPCAddr().String())
	for _, c := range []struct{ points, minSpare, maxSpare int }{{1, 0, 1}, {2000, 4000, 4200}} {
		body := metrics(t, c.points)
		for name, send := range map[string]func(){
			"HTTP": func() {
				b.post(t, otlp.Metrics.Path(), body, "Content-Type", protobufFormat.contentType)
			},
			"gRPC": func() {
				if s, _ := export(t.Context(), conn, otlp.Metrics, body); s.Code() != codes.OK {
					t.Fatal(s)
				}
			},
		} {
			send()
			if got := <-spares; got < c.minSpare || got > c.maxSpare {
				t.Errorf("%s, %d bytes: %d spare bytes, want %d to %d", name, len(body), got, c.minSpare, c.maxSpare)
			}
		}
	}
}
