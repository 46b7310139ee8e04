package e2e

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// full is true if the relay's tests run for their full duration, because E2E_FULL is set.
var full = os.Getenv("E2E_FULL") != ""

// pick returns the first value or, if full is set, the second.
func pick[T any](short, long T) T {
	if full {
		return long
	}
	return short
}

// relayed is a sidecar that accepts points, and the transports to it.
type relayed struct {
	*sidecar
	socket, http, json, grpc transport
	httpAddress, target      string
}

// relay has the settings of the sidecars that a test starts one after another.
type relay struct {
	t        *testing.T
	binary   string
	upstream string
	socket   string
	args     []string
}

func newRelay(t *testing.T, upstream string, args ...string) *relay {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &relay{t: t, binary: binary, upstream: upstream, socket: filepath.Join(dir, "s"), args: args}
}

// newShipped is like [newRelay], but its sidecars have no race detector, so that their memory is
// that of a release.
func newShipped(t *testing.T, upstream string, args ...string) *relay {
	t.Helper()
	r := newRelay(t, upstream, args...)
	var err error
	if r.binary, err = shipped(); err != nil {
		t.Fatal(err)
	}
	return r
}

var listening = regexp.MustCompile(`msg="receiving OTLP" grpc=(\S+) http=(\S+)`)

// start starts a sidecar and returns when it accepts points. It collects its own metrics once an
// hour, unless the arguments set another interval.
func (r *relay) start() *relayed {
	r.t.Helper()
	s := startBinary(
		r.t,
		r.binary,
		[]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + r.upstream,
			"OTEL_RESOURCE_ATTRIBUTES=k8s.pod.name=web-7,host.name=node-1",
		},
		append([]string{
			"--log-level=debug",
			"--interval=1h",
			"--relay-grpc-address=127.0.0.1:0",
			"--relay-http-address=127.0.0.1:0",
			"--relay-socket=" + r.socket,
		}, r.args...)...)
	s.awaitLog("receiving OTLP")
	found := listening.FindStringSubmatch(s.log())
	if found == nil {
		r.t.Fatal("the log does not contain the addresses of the receivers")
	}
	return &relayed{
		sidecar:     s,
		httpAddress: found[2],
		target:      found[1],
		socket: overGRPC(
			r.t,
			"unix:"+r.socket,
		),
		grpc: overGRPC(r.t, found[1]),
		http: overHTTP(found[2]),
		json: overJSON(found[2]),
	}
}

func (s *relayed) all() []transport { return []transport{s.socket, s.grpc, s.http, s.json} }

// kill sends SIGKILL to a sidecar, as the kernel does when memory runs out.
func (s *relayed) kill() {
	s.t.Helper()
	s.signal(syscall.SIGKILL)
	<-s.done
}

// sendFor sends requests for the duration d, one after the other.
func (a *app) sendFor(t *testing.T, d time.Duration, to ...transport) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(d); ; {
		a.sendAll(t, len(to), to...)
		select {
		case <-tick.C:
		case <-end:
			return
		}
	}
}

// Requests that were acknowledged in an outage arrive after it, once and in order, even if the
// sidecar was killed during it.
func TestRelayOutage(t *testing.T) {
	outage := pick(3*time.Second, time.Minute)
	for name, c := range map[string]struct {
		args []string
		kill bool
	}{
		"in memory":            {nil, false},
		"on disk":              {[]string{"--queue-sync=1s"}, false},
		"killed, synced":       {[]string{"--queue-sync=0"}, true},
		"killed, synced later": {[]string{"--queue-sync=1s"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.args != nil {
				c.args = append(c.args, "--queue-dir="+t.TempDir())
			}
			up, a := newSink(t), &app{}
			r := newRelay(t, freeAddress(t), c.args...)
			s := r.start()
			s.awaitLog(loggedDown)
			a.sendFor(t, outage/2, s.all()...)
			if c.kill {
				s.kill()
				s = r.start()
			}
			a.sendFor(t, outage/2, s.all()...)
			up.listen(r.upstream)
			acked := a.acknowledged()
			up.awaitAll(acked)
			up.checkOnceInOrder()
			s.terminate()
			up.checkAccounts()
			t.Logf("outage of %v: %d requests acknowledged, %d arrived", outage, len(acked), len(up.order))
		})
	}
}

// The requests also arrive exactly once at a real Collector that starts after the sidecar.
func TestRelayCollector(t *testing.T) {
	addr, a := freeAddress(t), &app{}
	s := newRelay(t, addr).start()
	s.awaitLog(loggedDown)
	// Starting a Collector sets gRPC's logger, which races with existing connections.
	a.sendAll(t, 40, s.http, s.json)
	c := startCollectorAt(t, addr, "")
	c.awaitOnce(t, 40)
	a.sendAll(t, 40, s.all()...)
	c.awaitOnce(t, 80)
}

// awaitOnce waits for the points of the first n requests, and checks that each arrived once.
func (c *collector) awaitOnce(t *testing.T, n int) {
	t.Helper()
	arrived := map[int64]int{}
	c.await(t, "the acknowledged requests", func(batches [][]otlptest.Point) bool {
		clear(arrived)
		for _, batch := range batches {
			for _, p := range find(batch, sequenceMetric) {
				at := p.Time.UnixNano() - epoch
				if arrived[at]++; at/pointsPerRequest != int64(p.Value) {
					t.Fatalf("a point of request %v has the time of request %d", p.Value, at/pointsPerRequest)
				}
			}
		}
		return len(arrived) == n*pointsPerRequest
	})
	for at, times := range arrived {
		if times != 1 {
			t.Errorf("point %d arrived %d times, want once", at, times)
		}
	}
}

// Requests that the upstream did not accept before SIGTERM are sent after the next start.
func TestRelayGracefulStop(t *testing.T) {
	up, a := newSink(t), &app{}
	r := newRelay(t, freeAddress(t), "--queue-dir="+t.TempDir())
	s := r.start()
	s.awaitLog(loggedDown)
	a.sendAll(t, 40, s.all()...)
	if code, took := s.terminate(); code != 0 || took > grace {
		t.Errorf("the sidecar exited with code %d after %v, want 0 within %v", code, took, grace)
	}
	checkLoggedOnce(t, s.sidecar, "kept=true")

	up.listen(r.upstream)
	s = r.start()
	up.awaitAll(a.acknowledged())
	up.checkOnceInOrder()
	if code, _ := s.terminate(); code != 0 {
		t.Errorf("the sidecar exited with code %d, want 0", code)
	}
	up.checkAccounts()
	first := up.awaitAccount("of the second run", func(a account) bool { return a.recovered > 0 })
	if minRecovered := 40 * pointsPerRequest; first.recovered < minRecovered || first.dropped != 0 {
		t.Errorf(
			"recovered %d points and dropped %d, want at least %d and none",
			first.recovered,
			first.dropped,
			minRecovered,
		)
	}
}

// Kills under load lose no acknowledged request. Requests that arrive twice were in flight at a
// kill, and are counted.
func TestRelayKills(t *testing.T) {
	kills := pick(5, 100)
	up, a := newSink(t), &app{}
	r := newRelay(t, up.listen("127.0.0.1:0"), "--queue-dir="+t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	slow := fault(func(context.Context, delivery) ([]byte, error) {
		<-time.After(2 * time.Millisecond) // so that a request is in flight at many kills
		return nil, nil
	})
	up.fault.Store(&slow)
	toSocket := overGRPC(t, "unix:"+r.socket)
	wait := a.load(ctx, time.Millisecond, slices.Repeat([]transport{toSocket}, 4)...)
	s := r.start()
	runs := 1
	up.awaitRuns(runs)
	for i := range kills {
		// under load, after up to 100 ms
		<-time.After(time.Duration(i*37%100) * time.Millisecond)
		s.kill()
		s = r.start()
		runs++
		up.awaitRuns(runs) // only requests that arrive can be checked
	}
	stop()
	wait()
	acked := a.acknowledged()
	up.awaitAll(acked)
	s.terminate()
	up.checkAccounts()
	twice, resent := up.duplicates()
	t.Logf("%d kills: %d of %d requests acknowledged, %d arrived, %d points arrived again, %d counted as resent",
		kills, len(acked), a.next, len(up.order), twice, resent)
	if twice > resent {
		t.Errorf("%d points arrived again, but %d were counted as resent", twice, resent)
	}
}

// awaitRuns waits until an account of each of n sidecars has arrived.
func (s *sink) awaitRuns(n int) {
	s.t.Helper()
	s.await("the first account of each sidecar", func() bool { return len(s.lastAccounts()) >= n })
}

// lastAccounts returns the last account of each sidecar, by start time. Caller must hold mu.
func (s *sink) lastAccounts() map[time.Time]account {
	last := map[time.Time]account{}
	for _, a := range s.accounts {
		if a.at.After(last[a.start].at) {
			last[a.start] = a
		}
	}
	return last
}

// duplicates returns how many points arrived again, and how many the sidecars counted as resent. It
// checks that every request that arrived again was first in the last delivery of another
// connection.
func (s *sink) duplicates() (twice, resent int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	last, seen := map[string]int{}, map[int64]int{}
	for i, d := range s.taken {
		last[d.conn] = i
	}
	for i, d := range s.taken {
		for _, seq := range d.seqs {
			if before, again := seen[seq]; again {
				twice += pointsPerRequest
				if first := s.taken[before].conn; first == d.conn || last[first] != before {
					s.t.Errorf(
						"request %d arrived in delivery %d of connection %s, whose last delivery is %d, and again in delivery %d of connection %s: it was not in flight at a kill",
						seq,
						before,
						first,
						last[first],
						i,
						d.conn,
					)
				}
			}
			seen[seq] = i
		}
	}
	for _, a := range s.lastAccounts() {
		resent += a.resent
	}
	return twice, resent
}

// The sink reports numbers that arrived twice.
func TestSinkReportsDuplicates(t *testing.T) {
	s := newSink(t)
	s.take(delivery{conn: "a", method: metricsMethod, seqs: []int64{1, 2}}, nil)
	s.take(
		delivery{conn: "b", method: metricsMethod, seqs: []int64{2, 3}},
		[]account{{at: time.Unix(1, 0), resent: 10}},
	)
	if twice, resent := s.duplicates(); twice != 10 || resent != 10 {
		t.Errorf("%d points arrived again and %d were counted as resent, want 10 each", twice, resent)
	}
	if !slices.Equal(s.order, []int64{1, 2, 3}) {
		t.Errorf("order %v, want [1 2 3]", s.order)
	}
}
