package instrument_test

import (
	"math"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func TestStatsString(t *testing.T) {
	waits := new(instrument.Histogram)
	waits.RecordN(0, 3)
	waits.Record(1234567 * time.Microsecond)
	var some instrument.Stats
	some.Limit, some.Pending, some.PendingAge = instrument.Some(
		int64(8),
	), instrument.Some(
		int64(1),
	), instrument.Some(
		1234*time.Millisecond,
	)
	some.Usage[instrument.Used], some.Usage[instrument.Idle] = instrument.Some(int64(3)), instrument.Some(int64(2))
	some.Requests[instrument.Acquired], some.Requests[instrument.TimedOut] = instrument.Some(
		int64(120),
	), instrument.Some(
		int64(0),
	)
	some.Wait[instrument.Acquired] = waits
	some.Resources = []instrument.Resources{
		{Event: instrument.CreateFailed, Reason: "timeout", Count: 2},
		{Event: instrument.Created},
	}
	traced := instrument.Stats{Exemplars: []instrument.Exemplar{
		{Wait: time.Second, Trace: trace.TraceID{1}},
		{Outcome: instrument.TimedOut, Wait: 2 * time.Second, Trace: trace.TraceID{2}},
		{Outcome: instrument.Canceled, Wait: time.Millisecond, Trace: trace.TraceID{3}},
	}}
	part := instrument.Stats{
		Limit:    instrument.Some(int64(2)),
		Waits:    instrument.Some(int64(4)),
		WaitTime: instrument.Some(0.5),
	}
	for _, c := range []struct {
		stats instrument.Stats
		want  string
	}{
		{instrument.Stats{}, "no data"},
		{some, "3 of 8 used, 2 idle; 1 pending for 1.23s; 120 acquired; median wait 0s, max 1.23s; 2 create failed (timeout)"},
		{traced, "2s in trace 02000000000000000000000000000000"},
		{instrument.Stats{Parts: []instrument.Part{
			{Attributes: []attribute.KeyValue{attribute.String("host", "a"), attribute.Int("port", 80)}, Stats: part}, {Stats: some},
		}}, "a 80: limit 2; 4 waits, 500ms in total\n: " + some.String()},
	} {
		if got := c.stats.String(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// Each part is reported like a pool, with the attributes that identify it.
func TestPartsAreReported(t *testing.T) {
	host := attribute.Key("server.address")
	r, err := instrument.Observe("api", "http", func() (s instrument.Stats) {
		for i, name := range []string{"a", "b"} {
			part := instrument.Stats{Limit: instrument.Some(int64(i + 1))}
			s.Parts = append(s.Parts, instrument.Part{Attributes: []attribute.KeyValue{host.String(name)}, Stats: part})
		}
		return s
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	reader := instrument.OpenReader()
	defer reader.Close()
	got := map[string]int64{}
	for range 2 { // the second time, the attribute sets are cached
		for p := range reader.Points() {
			at, _ := p.Attributes.Value(host)
			got[p.Metric.Name+" "+at.AsString()] += p.Int
		}
	}
	if len(got) != 2 || got["poolgauge.pool.limit a"] != 2 || got["poolgauge.pool.limit b"] != 4 {
		t.Errorf("got sums over two collections of %v, want 2 for the limit of a and 4 for that of b", got)
	}
}

func TestRegistrationStats(t *testing.T) {
	r, err := instrument.Observe("full", "worker", pooltest.Full)
	if err != nil {
		t.Fatal(err)
	}
	live := r.Stats().String()
	r.Close()
	if last := r.Stats().String(); live == "no data" || last != live {
		t.Errorf("before Close: %s\nafter Close:  %s\nwant the same", live, last)
	}
	off, err := instrument.Observe("off", "worker", pooltest.Full, instrument.WithoutTelemetry())
	if err != nil {
		t.Fatal(err)
	}
	if s := off.Stats().String(); s != "no data" {
		t.Errorf("without telemetry: got %q, want %q", s, "no data")
	}
}

func TestStatsStringWithHolders(t *testing.T) {
	var s instrument.Stats
	s.Limit, s.Usage[instrument.Used], s.UseAge = instrument.Some(
		int64(2),
	), instrument.Some(
		int64(1),
	), instrument.Some(
		182*time.Second,
	)
	if got, want := s.String(), "1 of 2 used; oldest use 3m2s"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s.Holders = []instrument.Holder{
		{Age: 182 * time.Second, Trace: trace.TraceID{0xab}, Calls: []instrument.Call{
			{Function: "example.com/shop/db.(*Store).query", File: "/src/shop/db/query.go", Line: 12},
			{Function: "main.handle", File: "/src/shop/main.go", Line: 40},
		}},
		{Age: time.Second, Calls: []instrument.Call{{Function: "main.(*server).work"}}},
		{Age: time.Millisecond},
	}
	want := "1 of 2 used; held for 3m2s by db.(*Store).query (query.go:12) < main.handle (main.go:40), trace ab000000000000000000000000000000, " +
		"held for 1s by main.(*server).work, held for 1ms"
	if got := s.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWantsHolders(t *testing.T) {
	usual := func(d time.Duration) *instrument.Histogram {
		h := new(instrument.Histogram)
		h.RecordN(d, 100)
		return h
	}
	for _, c := range []struct {
		name            string
		limit, used     int64
		pending         int64
		age             time.Duration
		use             *instrument.Histogram
		wanted, unusual bool
	}{
		{"free slot", 2, 1, 0, time.Second / 2, usual(time.Millisecond), false, false},
		{"full", 2, 2, 0, time.Millisecond, usual(time.Millisecond), true, false},
		{"request waiting", 2, 1, 1, time.Millisecond, usual(time.Millisecond), true, false},
		{"unusually long", 2, 1, 0, time.Second, usual(time.Millisecond), true, true},
		{"less than 10 times p99", 2, 1, 0, 8 * time.Second, usual(time.Second), false, false},
		{"more than 10 times p99", 2, 1, 0, 12 * time.Second, usual(time.Second), true, true},
		{"first use, under a minute", 2, 1, 0, 59 * time.Second, nil, false, false},
		{"first use, a minute", 2, 1, 0, time.Minute, nil, true, true},
		{"huge p99", 2, 1, 0, time.Hour, usual(math.MaxInt64), false, false},
	} {
		s := instrument.Stats{Limit: instrument.Some(c.limit), Pending: instrument.Some(c.pending), Use: c.use}
		s.Usage[instrument.Used] = instrument.Some(c.used)
		if s.WantsHolders() {
			t.Errorf("%s: WantsHolders() = true without UseAge", c.name)
		}
		s.UseAge = instrument.Some(c.age)
		if s.WantsHolders() != c.wanted || (c.age >= s.UnusualUse()) != c.unusual {
			t.Errorf("%s: WantsHolders() = %t, UnusualUse() = %v; want %t, and unusual: %t",
				c.name, s.WantsHolders(), s.UnusualUse(), c.wanted, c.unusual)
		}
	}
}
