package receive

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// BenchmarkGRPC measures requests over gRPC on loopback, including the work of the client, with an
// Accept that does nothing.
func BenchmarkGRPC(b *testing.B) {
	s := start(b, func(c *Config, _ *limits) { c.Accept = func(context.Context, otlp.Batch) error { return nil } })
	conn := dial(b, s.GRPCAddr().String())
	for _, points := range []int{10, 100} {
		b.Run(fmt.Sprintf("points=%d", points), func(b *testing.B) {
			data := metrics(b, points)
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if status, _ := export(b.Context(), conn, otlp.Metrics, data); status.Code() != codes.OK {
						b.Error(status)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N*points)/b.Elapsed().Seconds(), "points/s")
		})
	}
}
