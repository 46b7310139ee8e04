package producer_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/producer"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// leaky is a pool that serves 100 requests per second with uses of 50 ms, and may leak slots.
type leaky struct {
	begin  time.Time
	limit  int64
	leaked []time.Time
}

func (l *leaky) stats() (s instrument.Stats) {
	elapsed := time.Since(l.begin)
	uses := int64(elapsed.Seconds() * 100)
	var use, wait instrument.Histogram
	use.RecordN(50*time.Millisecond, uint64(uses))
	wait.RecordN(0, uint64(uses))
	useTime := use.Sum()
	for _, at := range l.leaked {
		useTime += time.Since(at).Seconds()
	}
	s.Limit, s.Usage[instrument.Used] = instrument.Some(l.limit), instrument.Some(int64(5+len(l.leaked)))
	s.Requests[instrument.Acquired] = instrument.Some(uses)
	s.Completed[instrument.OK] = instrument.Some(uses)
	s.Use, s.Wait[instrument.Acquired] = &use, &wait
	s.UseTime = instrument.Some(useTime)
	return s
}

// verdictOf returns the verdict that holds for a pool, or "" if there is none.
func verdictOf(t *testing.T, p *producer.Producer, pool string) (verdict string) {
	t.Helper()
	m, ok := produce(t, p)[catalog.PoolVerdict.Name]
	if !ok {
		return ""
	}
	n, ones := 0, int64(0)
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		if name, _ := p.Attributes.Value(catalog.PoolNameKey); name.AsString() != pool {
			continue
		}
		n++
		ones += p.Value
		if p.Value == 1 {
			v, _ := p.Attributes.Value(catalog.VerdictKey)
			verdict = v.AsString()
		}
	}
	if n > 0 && ones != 1 {
		t.Errorf("%d of %d verdicts hold, want 1", ones, n)
	}
	return verdict
}

func TestVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := producer.New()
		defer p.Close()
		l := &leaky{begin: time.Now(), limit: 10}
		r, err := instrument.Observe("leaky", "worker", l.stats)
		if err != nil {
			t.Fatal(err)
		}
		expect := func(want string) {
			t.Helper()
			if got := verdictOf(t, p, "leaky"); got != want {
				t.Errorf("got verdict %q, want %q", got, want)
			}
		}
		expect("undetermined")
		for range 6 {
			time.Sleep(10 * time.Second)
			verdictOf(t, p, "leaky")
		}
		expect("ok")
		l.leaked = append(l.leaked, time.Now(), time.Now(), time.Now())
		for range 4 {
			time.Sleep(time.Second) // too short for a window
			verdictOf(t, p, "leaky")
		}
		expect("ok")
		for range 4 {
			time.Sleep(10 * time.Second)
			verdictOf(t, p, "leaky")
		}
		expect("leaking")
		r.Close()
		expect("")
	})
}

// recommended returns the recommended limit of the only pool, or 0 if there is none.
func recommended(t *testing.T, p *producer.Producer) int64 {
	t.Helper()
	m, ok := produce(t, p)[catalog.PoolLimitRecommended.Name]
	if !ok {
		return 0
	}
	points := m.Data.(metricdata.Gauge[int64]).DataPoints
	if len(points) != 1 || points[0].Attributes.Len() != 2 {
		t.Fatalf("got points %+v, want one with only the pool's name and kind", points)
	}
	return points[0].Value
}

// A limit is recommended while a pool is healthy or oversized, but not while it leaks slots.
func TestRecommendedLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := producer.New()
		defer p.Close()
		l := &leaky{begin: time.Now(), limit: 10}
		observe(t, "leaky", l.stats)
		expect := func(when string, want int64) {
			t.Helper()
			if got := recommended(t, p); got != want {
				t.Errorf("%s: got recommended limit %d, want %d", when, got, want)
			}
		}
		expect("before the first window", 0)
		for range 5 {
			time.Sleep(10 * time.Second)
			produce(t, p)
		}
		expect("while the pool is healthy", 10)
		for range 40 {
			l.limit = 80
			time.Sleep(10 * time.Second)
			produce(t, p)
		}
		expect("after most slots were idle for a long time", 60)
		l.limit = 10
		l.leaked = append(l.leaked, time.Now(), time.Now(), time.Now())
		for range 6 {
			time.Sleep(10 * time.Second)
			produce(t, p)
		}
		expect("while slots leak", 0)
	})
}

// A pool without values gets no verdict. An example is an HTTP client that has not contacted any
// host yet: all of its values will be in parts, each with its own attributes.
func TestNoVerdictWithoutValues(t *testing.T) {
	p := producer.New()
	defer p.Close()
	var s instrument.Stats
	observe(t, "hosts", func() instrument.Stats { return s })
	if got := verdictOf(t, p, "hosts"); got != "" {
		t.Errorf("pool without values: got verdict %q, want none", got)
	}
	part := instrument.Stats{Limit: instrument.Some(int64(2))}
	s.Parts = []instrument.Part{{Attributes: []attribute.KeyValue{attribute.String("host", "db")}, Stats: part}}
	if got := verdictOf(t, p, "hosts"); got != "undetermined" {
		t.Errorf("pool with one part: got verdict %q, want undetermined", got)
	}
}

func TestWithoutVerdicts(t *testing.T) {
	p := producer.New(producer.WithoutVerdicts())
	defer p.Close()
	l := &leaky{begin: time.Now(), limit: 10}
	observe(t, "leaky", l.stats)
	if got := verdictOf(t, p, "leaky"); got != "" {
		t.Errorf("got verdict %q, want none", got)
	}
}

// BenchmarkVerdicts collects 100 pools, with and without verdicts. With one collection every ten
// seconds, 10 ms per operation would be 0.1% of a CPU.
func BenchmarkVerdicts(b *testing.B) {
	for _, opts := range [][]producer.Option{nil, {producer.WithoutVerdicts()}} {
		b.Run(fmt.Sprintf("%d options", len(opts)), func(b *testing.B) {
			p := producer.New(opts...)
			defer p.Close()
			for i := range 100 {
				l := &leaky{begin: time.Now(), limit: 10}
				observe(b, fmt.Sprint(i), l.stats)
			}
			for b.Loop() {
				if _, err := p.Produce(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
