package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/protobuf/proto"
)

// Limits of the sidecar's resident memory, in MiB.
const (
	maxResident = 42 // the target is 40, which the garbage collector sometimes exceeds slightly
	maxIdle     = 22 // including the data of the page
)

// checkPeak checks the peak resident memory of a sidecar so far.
func checkPeak(t *testing.T, s *relayed, limit float64) {
	t.Helper()
	peak := peakRSS(t, s.cmd.Process.Pid)
	t.Logf("peak RSS %.1f MiB", peak)
	if peak > limit {
		t.Errorf("peak RSS is %.1f MiB, want at most %v", peak, limit)
	}
}

// load sends requests to a sidecar for the duration d, as fast as it can. It ignores rejections.
type load func(t *testing.T, s *relayed, d time.Duration)

// floods returns the loads under which the sidecar used a lot of memory in the past.
func floods() map[string]load {
	groups := manyGroups(400_000)
	histograms := histogramJSON(4 << 20)
	many, _ := proto.Marshal(floodRequest(35_000)) // a valid message always marshals
	packed := gzipped(many)
	return map[string]load{
		"8 clients, 5,000 points": func(t *testing.T, s *relayed, d time.Duration) {
			t.Logf("%d points acknowledged", flood(t, s.target, 8, floodRequest(5000), d))
		},
		"50 clients, 10,000 points": func(t *testing.T, s *relayed, d time.Duration) {
			t.Logf("%d points acknowledged", flood(t, s.target, 50, floodRequest(10_000), d))
		},
		"48 clients, 2,000 points, gzip": func(t *testing.T, s *relayed, d time.Duration) {
			t.Logf(
				"%d points acknowledged",
				flood(t, s.target, 48, floodRequest(2000), d, grpc.UseCompressor(gzip.Name)),
			)
		},
		"48 clients, 35,000 points, gzip": func(_ *testing.T, s *relayed, d time.Duration) {
			floodHTTP(s, 48, "application/x-protobuf", "gzip", packed, d)
		},
		"4 clients, 4 MiB of histograms, JSON": func(_ *testing.T, s *relayed, d time.Duration) {
			floodHTTP(s, 4, "application/json", "", histograms, d)
		},
		"16 clients, 4 MiB of histograms, JSON, gzip": func(_ *testing.T, s *relayed, d time.Duration) {
			floodHTTP(s, 16, "application/json", "gzip", gzipped(histograms), d)
		},
		"4 MB of protobuf over HTTP, 4 clients": func(_ *testing.T, s *relayed, d time.Duration) {
			floodHTTP(s, 4, "application/x-protobuf", "", large(4_000_000), d)
		},
		"4 clients, 400,000 groups": func(_ *testing.T, s *relayed, d time.Duration) {
			floodHTTP(s, 4, "application/x-protobuf", "", groups, d)
		},
	}
}

// manyGroups returns a request of n resources without attributes. The first has a point.
func manyGroups(n int) []byte {
	body, _ := proto.Marshal(floodRequest(1)) // a valid message always marshals
	empty, _ := proto.Marshal(
		&colmetricpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricpb.ResourceMetrics{{}}},
	)
	return append(body, bytes.Repeat(empty, n-1)...)
}

// histogramJSON returns a request of about n bytes, most of which are bucket counts.
func histogramJSON(n int) []byte {
	var b strings.Builder
	b.WriteString(
		`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[`,
	)
	point := `{"timeUnixNano":"1","count":"80","bucketCounts":["1"` + strings.Repeat(
		`,"1"`,
		79,
	) + `],"explicitBounds":[0` + strings.Repeat(
		`,1`,
		78,
	) + `]}`
	for b.WriteString(point); b.Len() < n-2*len(point); {
		b.WriteString("," + point)
	}
	b.WriteString("]}}]}]}]}")
	return []byte(b.String())
}

// floodHTTP posts body repeatedly for the duration d, from the given number of clients, each with
// its own connection.
func floodHTTP(s *relayed, clients int, kind, encoding string, body []byte, d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				r, _ := http.NewRequestWithContext(
					ctx,
					http.MethodPost,
					"http://"+s.httpAddress+"/v1/metrics",
					bytes.NewReader(body),
				)
				r.Header.Set("Content-Type", kind)
				if encoding != "" {
					r.Header.Set("Content-Encoding", encoding)
				}
				if answer, err := client.Do(r); err == nil {
					_, _ = io.Copy(io.Discard, answer.Body)
					_ = answer.Body.Close()
				}
			}
		})
	}
	all.Wait()
}

// Whatever clients send, and whether or not the upstream is reachable, the sidecar's memory stays
// below its container's limit.
func TestRelayMemory(t *testing.T) {
	for name, load := range floods() {
		for _, where := range []string{"memory", "disk"} {
			for _, upstream := range []string{"up", "down"} {
				if !full && (where == "memory") != (upstream == "up") {
					continue
				}
				t.Run(fmt.Sprintf("%s, %s, %s", name, where, upstream), func(t *testing.T) {
					up := newSink(t)
					up.blind = true
					address := freeAddress(t)
					if upstream == "up" {
						address = up.listen("127.0.0.1:0")
					}
					var args []string
					if where == "disk" {
						args = append(args, "--queue-dir="+t.TempDir())
					}
					s := newShipped(t, address, args...).start()
					load(t, s, pick(2*time.Second, 10*time.Second))
					checkPeak(t, s, maxResident)
					if code, took := s.terminate(); code != 0 || took > grace {
						t.Errorf("the sidecar exited with code %d after %v, want 0 within %v", code, took, grace)
					}
				})
			}
		}
	}
}

// An idle sidecar uses little memory.
func TestRelayMemoryIdle(t *testing.T) {
	up := newSink(t)
	s := newShipped(t, up.listen("127.0.0.1:0"), "--queue-dir="+t.TempDir(), "--interval=100ms").start()
	first := up.awaitAccount("at the start", func(account) bool { return true })
	up.awaitAccount("after 3 s", func(a account) bool { return a.at.After(first.at.Add(3 * time.Second)) })
	checkPeak(t, s, maxIdle)
	s.terminate()
}
