package e2e

import (
	"context"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// grace is the time that a pod may give a sidecar between SIGTERM and SIGKILL, less a margin. It
// does not depend on the machine's speed, since the sidecar's own deadlines enforce it, whatever
// the upstream does.
const grace = 1500 * time.Millisecond

// On SIGTERM and SIGINT, the sidecar flushes: the last sample, taken at shutdown, arrives too.
func TestSignalFlushes(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUpstream()
			r := u.listen(t, "127.0.0.1:0", nil)
			s := start(
				t,
				[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + r.Addr, "OTEL_METRIC_EXPORT_INTERVAL=3600000"},
			)
			u.awaitBatches(t, 1)
			s.signal(sig)
			if code := s.wait(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			batches := u.awaitBatches(t, 2)
			checkNothingLost(t, batches)
		})
	}
}

// An upstream that does not respond, rejects requests or is unreachable does not keep the sidecar
// from exiting in time, with code 0.
func TestSignalInAnOutage(t *testing.T) {
	for name, answer := range map[string]otlptest.Handler{
		"hangs": func(ctx context.Context, _ *otlptest.Request) (*otlptest.Response, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"unavailable": func(context.Context, *otlptest.Request) (*otlptest.Response, error) {
			return nil, status.Error(codes.Unavailable, "no")
		},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan struct{}, 1000)
			r := newUpstream().listen(t, "127.0.0.1:0", func(ctx context.Context, r *otlptest.Request) (*otlptest.Response, error) {
				asked <- struct{}{}
				return answer(ctx, r)
			})
			s := startFaulty(t, r.Addr)
			<-asked
			checkExits(t, s)
		})
	}
	t.Run("absent", func(t *testing.T) {
		s := startFaulty(t, freeAddress(t))
		s.awaitLog(loggedDown)
		checkExits(t, s)
	})
}

func checkExits(t *testing.T, s *sidecar) {
	t.Helper()
	if code, took := s.terminate(); code != 0 || took > grace {
		t.Errorf("the sidecar exited with code %d after %v, want 0 within %v", code, took, grace)
	}
	checkLoggedOnce(t, s, "stopped before all queued items were sent")
}

// On a second signal, the sidecar exits without waiting for the upstream.
func TestSecondSignal(t *testing.T) {
	asked := make(chan struct{}, 1000)
	r := newUpstream().listen(t, "127.0.0.1:0", func(ctx context.Context, _ *otlptest.Request) (*otlptest.Response, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	s := startFaulty(t, r.Addr)
	<-asked
	// The first signal is handled and later ones kill. Otherwise the sidecar would exit with code 0
	// after its grace period.
	for again := time.NewTicker(10 * time.Millisecond); ; {
		s.signal(syscall.SIGTERM)
		select {
		case <-again.C:
			continue
		case <-s.done:
			again.Stop()
		}
		break
	}
	if code := s.wait(); code == 0 {
		t.Error("exit code 0, though the flush was cut short")
	}
}

// Without an endpoint, the sidecar shows a summary and says how to send its telemetry.
func TestSummaryWithoutEndpoint(t *testing.T) {
	cmd := exec.Command(binary, append(quiet, "--interval=100ms")...)
	cmd.Env = []string{"TMPDIR=" + t.TempDir()}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	buffer := make([]byte, 4096)
	for !strings.Contains(seen.String(), "OTEL_EXPORTER_OTLP_ENDPOINT") || !strings.Contains(strings.ToLower(seen.String()), "memory") {
		n, err := out.Read(buffer)
		seen.Write(buffer[:n])
		if err != nil {
			t.Fatalf("reading the summary: %v, after:\n%s", err, seen.String())
		}
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("exit after SIGTERM: %v, want code 0", err)
	}
}
