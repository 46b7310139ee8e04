package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
)

// floodRequest returns a request with the given number of points of one metric.
func floodRequest(points int) *colmetricpb.ExportMetricsServiceRequest {
	all := make([]*metricpb.NumberDataPoint, points)
	for i := range all {
		all[i] = &metricpb.NumberDataPoint{
			TimeUnixNano: uint64(i + 1),
			Value:        &metricpb.NumberDataPoint_AsInt{AsInt: int64(i)},
		}
	}
	return &colmetricpb.ExportMetricsServiceRequest{
		ResourceMetrics: []*metricpb.ResourceMetrics{{ScopeMetrics: []*metricpb.ScopeMetrics{
			{
				Metrics: []*metricpb.Metric{
					{Name: "flood", Data: &metricpb.Metric_Gauge{Gauge: &metricpb.Gauge{DataPoints: all}}},
				},
			},
		}}},
	}
}

// Clients that send more than the upstream accepts are slowed down. While the upstream is
// reachable, every acknowledged point arrives.
func TestRelayFlood(t *testing.T) {
	for _, c := range []struct{ clients, points int }{{8, 5000}, {50, 10_000}} {
		for _, where := range []string{"memory", "disk"} {
			t.Run(fmt.Sprintf("%d x %d %s", c.clients, c.points, where), func(t *testing.T) {
				var args []string
				if where == "disk" {
					args = append(args, "--queue-dir="+t.TempDir())
				}
				up := newSink(t)
				var arrived atomic.Int64
				count := fault(func(_ context.Context, d delivery) ([]byte, error) {
					arrived.Add(int64(floodPoints(d.data)))
					return nil, nil
				})
				up.fault.Store(&count)
				up.blind = true
				s := newRelay(t, up.listen("127.0.0.1:0"), args...).start()
				acked := flood(t, s.target, c.clients, floodRequest(c.points), pick(3*time.Second, 20*time.Second))
				peak := peakRSS(t, s.cmd.Process.Pid)
				deadline := time.Now().Add(patience)
				for arrived.Load() < acked && time.Now().Before(deadline) {
					time.Sleep(10 * time.Millisecond) // polls until the sink has counted
				}
				t.Logf("%d points acknowledged, %d arrived; peak RSS %.1f MiB", acked, arrived.Load(), peak)
				if acked == 0 || arrived.Load() < acked {
					t.Errorf("%d points acknowledged, but %d arrived", acked, arrived.Load())
				}
				if code, took := s.terminate(); code != 0 || took > grace {
					t.Errorf("the sidecar exited with code %d after %v, want 0 within %v", code, took, grace)
				}
			})
		}
	}
}

// Hundreds of thousands of small requests on disk use little memory, before and after a restart.
func TestRelayManySmallRequests(t *testing.T) {
	const maxPeak = 40 // MiB
	n := pick(100_000, 700_000)
	r := newShipped(t, freeAddress(t), "--queue-dir="+t.TempDir(), "--queue-size=256MiB")
	s := r.start()
	body, err := proto.Marshal(floodRequest(1))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 16 {
		conn := dial(t, s.target)
		all.Go(func() {
			for range n / 16 {
				if err := invoke(context.Background(), conn, metricsMethod, body); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	before := peakRSS(t, s.cmd.Process.Pid)
	s.kill()
	s = r.start()
	s.awaitLog(loggedDown)
	after := peakRSS(t, s.cmd.Process.Pid)
	t.Logf("%d requests of one point: peak RSS %.1f MiB, after a restart %.1f MiB", n, before, after)
	if max(before, after) > maxPeak {
		t.Errorf("peak RSS is %.1f and %.1f MiB, want at most %d", before, after, maxPeak)
	}
	s.terminate()
}

// floodPoints returns the number of points of the metric flood in an encoded request.
func floodPoints(data []byte) (n int) {
	r := &colmetricpb.ExportMetricsServiceRequest{}
	_ = proto.Unmarshal(data, r) // an invalid request has no points
	for _, group := range r.GetResourceMetrics() {
		for _, scope := range group.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				if m.GetName() == "flood" {
					n += len(m.GetGauge().GetDataPoints())
				}
			}
		}
	}
	return n
}

// flood sends r repeatedly for the duration d, from the given number of clients, each with its own
// connection. It returns how many points were acknowledged.
func flood(
	t *testing.T,
	target string,
	clients int,
	r *colmetricpb.ExportMetricsServiceRequest,
	d time.Duration,
	options ...grpc.CallOption,
) int64 {
	t.Helper()
	points := int64(len(r.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics()[0].GetGauge().GetDataPoints()))
	var acked atomic.Int64
	var all sync.WaitGroup
	end := time.Now().Add(d)
	for range clients {
		all.Go(func() {
			conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			client := colmetricpb.NewMetricsServiceClient(conn)
			for time.Now().Before(end) {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				if _, err := client.Export(ctx, r, options...); err == nil {
					acked.Add(points)
				} else {
					time.Sleep(50 * time.Millisecond) // as an app's client does
				}
				cancel()
			}
		})
	}
	all.Wait()
	return acked.Load()
}

// peakRSS returns the peak resident memory of a process so far, in MiB.
func peakRSS(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	var kib float64
	if _, after, ok := strings.Cut(string(text), "VmHWM:"); ok {
		_, _ = fmt.Sscan(after, &kib)
	}
	return kib / 1024
}

// Idle connections, exports whose message never arrives and bodies that stall after one byte do not
// delay other clients.
func TestRelayStalledClients(t *testing.T) {
	for name, stall := range map[string]func(*testing.T, *relayed){
		"1,000 idle gRPC connections": func(t *testing.T, s *relayed) { idleConnections(t, s.target, 1000) },
		"1,000 idle HTTP connections": func(t *testing.T, s *relayed) { idleConnections(t, s.httpAddress, 1000) },
		"100 stalled exports":         func(t *testing.T, s *relayed) { stalledExports(t, s, 100) },
		"200 stalled HTTP bodies":     func(t *testing.T, s *relayed) { stalledPosts(t, s.httpAddress, 200) },
	} {
		t.Run(name, func(t *testing.T) {
			up, a := newSink(t), &app{}
			s := newRelay(t, up.listen("127.0.0.1:0")).start()
			a.sendAll(t, 2, s.grpc, s.http)
			stall(t, s)
			var took []time.Duration
			for i := range pick(500, 5000) {
				begun := time.Now()
				a.sendAll(t, 1, []transport{s.grpc, s.http}[i%2])
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			p99 := took[len(took)*99/100]
			t.Logf("p50 %v, p99 %v, peak RSS %.1f MiB", took[len(took)/2], p99, peakRSS(t, s.cmd.Process.Pid))
			if p99 > 100*time.Millisecond {
				t.Errorf("p99 is %v, want at most 100ms", p99)
			}
			up.awaitAll(a.acknowledged())
			if code, spent := s.terminate(); code != 0 || spent > grace {
				t.Errorf("the sidecar exited with code %d after %v, want 0 within %v", code, spent, grace)
			}
		})
	}
}

func idleConnections(t *testing.T, address string, n int) {
	t.Helper()
	for range n {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
}

func stalledExports(t *testing.T, s *relayed, n int) {
	t.Helper()
	var conn *grpc.ClientConn
	for i := range n {
		if i%50 == 0 {
			conn = dial(t, s.target)
		}
		if _, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, metricsMethod); err != nil {
			t.Fatal(err)
		}
	}
}

func stalledPosts(t *testing.T, address string, n int) {
	t.Helper()
	for range n {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(
			conn,
			"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 4000000\r\n\r\nx",
		); err != nil {
			t.Fatal(err)
		}
	}
}

// If nothing reads the sidecar's standard error, points still arrive, and the sidecar still exits
// in time on SIGTERM.
func TestRelayBlockedStandardError(t *testing.T) {
	up, a := newSink(t), &app{}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	socket := newRelay(t, "").socket
	cmd := exec.Command(
		binary,
		append(append([]string(nil), quiet...), "--log-level=debug", "--interval=100ms", "--relay-socket="+socket)...)
	cmd.Env = []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + up.listen("127.0.0.1:0"), "GORACE=atexit_sleep_ms=0"}
	cmd.Stderr = write
	fd := int(write.Fd()) // Fd sets it to blocking mode
	filled := make([]byte, 1<<20)
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for { // until the pipe is full
		if n, err := syscall.Write(fd, filled); err != nil || n <= 0 {
			break
		}
	}
	if err := syscall.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	toSocket := overGRPC(t, "unix:"+socket)
	a.sendAll(t, 1, toSocket)
	conn := dial(t, "unix:"+socket)
	for range 300 { // rejected, and therefore logged
		checkStatus(
			t,
			invoke(t.Context(), conn, metricsMethod, []byte("no protobuf")),
			codes.InvalidArgument,
			"malformed",
			false,
		)
	}
	a.sendAll(t, 20, toSocket)
	up.awaitAll(a.acknowledged())
	begun := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-exited:
		if err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > grace {
			t.Errorf("the sidecar exited after %v, want at most %v", took, grace)
		}
	case <-time.After(patience):
		t.Fatal("the sidecar did not exit")
	}
}
