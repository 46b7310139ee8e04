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

// leaky is a pool of ten slots that serves 100 requests per second with uses of 50 ms, and may leak
// slots.
type leaky struct {
	begin  time.Time
	limit  int64
	leaked []time.Time
}

func (l *leaky) stats() (s instrument.Stats) {
	passed := time.Since(l.begin)
	uses := int64(passed.Seconds() * 100)
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

// holds returns the verdict that holds for a pool, or "" if there is none.
func holds(t *testing.T, p *producer.Producer, pool string) (verdict string) {
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
		t.Errorf("%d of %d series are 1, want 1", ones, n)
	}
	return verdict
}

func TestVerdictOfAPool(t *testing.T) {
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
			if got := holds(t, p, "leaky"); got != want {
				t.Errorf("the verdict is %q, want %q", got, want)
			}
		}
		expect("undetermined")
		for range 6 {
			time.Sleep(10 * time.Second)
			holds(t, p, "leaky")
		}
		expect("ok")
		l.leaked = append(l.leaked, time.Now(), time.Now(), time.Now())
		for range 4 {
			time.Sleep(time.Second) // too short for a window
			holds(t, p, "leaky")
		}
		expect("ok")
		for range 4 {
			time.Sleep(10 * time.Second)
			holds(t, p, "leaky")
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
		t.Fatalf("%+v, want one point with the attributes of the pool", points)
	}
	return points[0].Value
}

// A limit is recommended while the verdict concerns the size, but not while slots leak.
func TestRecommendedLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := producer.New()
		defer p.Close()
		l := &leaky{begin: time.Now(), limit: 10}
		observe(t, "leaky", l.stats)
		expect := func(when string, want int64) {
			t.Helper()
			if got := recommended(t, p); got != want {
				t.Errorf("%s a limit of %d is recommended, want %d", when, got, want)
			}
		}
		expect("at first", 0)
		for range 5 {
			time.Sleep(10 * time.Second)
			produce(t, p)
		}
		expect("while the pool is well", 10)
		for range 40 {
			l.limit = 80
			time.Sleep(10 * time.Second)
			produce(t, p)
		}
		expect("when most slots were idle for long", 60)
		l.limit = 10
		l.leaked = append(l.leaked, time.Now(), time.Now(), time.Now())
		for range 6 {
			time.Sleep(10 * time.Second)
			produce(t, p)
		}
		expect("while slots leak", 0)
	})
}

// A pool without figures gets no verdict, for example the pool of a transport that has not
// contacted a host yet. Later, all figures are those of its parts, which have their own attributes.
func TestNoVerdictWithoutFigures(t *testing.T) {
	p := producer.New()
	defer p.Close()
	var s instrument.Stats
	observe(t, "hosts", func() instrument.Stats { return s })
	if got := holds(t, p, "hosts"); got != "" {
		t.Errorf("the verdict on a pool without figures is %q, want none", got)
	}
	figures := instrument.Stats{Limit: instrument.Some(int64(2))}
	s.Parts = []instrument.Part{{Attributes: []attribute.KeyValue{attribute.String("host", "db")}, Stats: figures}}
	if got := holds(t, p, "hosts"); got != "undetermined" {
		t.Errorf("the verdict on its only part is %q, want undetermined", got)
	}
}

func TestWithoutVerdicts(t *testing.T) {
	p := producer.New(producer.WithoutVerdicts())
	defer p.Close()
	l := &leaky{begin: time.Now(), limit: 10}
	observe(t, "leaky", l.stats)
	if got := holds(t, p, "leaky"); got != "" {
		t.Errorf("the verdict is %q, want none", got)
	}
}

// BenchmarkVerdicts judges 100 pools, which happens once in ten seconds: 10 ms per operation would
// be 0.1 % of a CPU.
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
