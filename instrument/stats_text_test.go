package instrument_test

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func TestStatsAreReadable(t *testing.T) {
	waits := new(instrument.Histogram)
	waits.RecordN(0, 3)
	waits.Record(1234567 * time.Microsecond)
	var some instrument.Stats
	some.Limit, some.Pending, some.PendingAge = instrument.Some(int64(8)), instrument.Some(int64(1)), instrument.Some(1234*time.Millisecond)
	some.Usage[instrument.Used], some.Usage[instrument.Idle] = instrument.Some(int64(3)), instrument.Some(int64(2))
	some.Requests[instrument.Acquired], some.Requests[instrument.TimedOut] = instrument.Some(int64(120)), instrument.Some(int64(0))
	some.Wait[instrument.Acquired] = waits
	some.Resources = []instrument.Resources{{Event: instrument.CreateFailed, Reason: "timeout", Count: 2}, {Event: instrument.Created}}
	part := instrument.Stats{Limit: instrument.Some(int64(2)), Waits: instrument.Some(int64(4)), WaitTime: instrument.Some(0.5)}
	for _, c := range []struct {
		stats instrument.Stats
		want  string
	}{
		{instrument.Stats{}, "nothing known"},
		{some, "3 of 8 used, 2 idle; 1 pending for 1.23s; 120 acquired; waits 0s at the median, 1.23s at most; 2 create failed (timeout)"},
		{instrument.Stats{Parts: []instrument.Part{
			{Attributes: []attribute.KeyValue{attribute.String("host", "a"), attribute.Int("port", 80)}, Stats: part}, {Stats: some},
		}}, "a 80: limit 2; 4 waits, 500ms waited\n: " + some.String()},
	} {
		if got := c.stats.String(); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}

// Each part is reported as a pool is, with what tells it from the others.
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
	for range 2 { // the sets are kept
		for p := range reader.Points() {
			at, _ := p.Attributes.Value(host)
			got[p.Metric.Name+" "+at.AsString()] += p.Int
		}
	}
	if len(got) != 2 || got["poolgauge.pool.limit a"] != 2 || got["poolgauge.pool.limit b"] != 4 {
		t.Errorf("got %v", got)
	}
}

func TestRegistrationStats(t *testing.T) {
	r, err := instrument.Observe("full", "worker", pooltest.Full)
	if err != nil {
		t.Fatal(err)
	}
	live := r.Stats().String()
	r.Close()
	if last := r.Stats().String(); live == "nothing known" || last != live {
		t.Errorf("live %s\nclosed %s", live, last)
	}
	off, err := instrument.Observe("off", "worker", pooltest.Full, instrument.WithoutTelemetry())
	if err != nil {
		t.Fatal(err)
	}
	if s := off.Stats().String(); s != "nothing known" {
		t.Errorf("without telemetry: %s", s)
	}
}
