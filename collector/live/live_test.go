package live

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// A pool is shown as soon as its first points arrive. If the app has just started, rates cover the
// time since its start.
func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		start := time.Now()
		time.Sleep(10 * time.Second)
		counts := make([]uint64, 80) // at scale 3, bucket -80 is 2^-10 s, about a millisecond
		counts[0], counts[79] = 98, 2
		l.Offer(requestAt(start, time.Now()).
			number(catalog.PoolLimit, 8, ofPool("orders")...).
			number(catalog.PoolUsage, 8, ofPool("orders", "poolgauge.pool.state", "used")...).
			number(catalog.PoolUsage, 0, ofPool("orders", "poolgauge.pool.state", "idle")...).
			number(catalog.PoolPending, 12, ofPool("orders")...).
			number(catalog.PoolPendingAge, 1.25, ofPool("orders")...).
			number(catalog.PoolRequests, 6400, ofPool("orders", "poolgauge.pool.outcome", "acquired")...).
			number(catalog.PoolRequests, 30, ofPool("orders", "poolgauge.pool.outcome", "timeout")...).
			number(catalog.PoolRequests, 2, ofPool("orders", "poolgauge.pool.outcome", "rejected")...).
			number(catalog.PoolUseCPUTime, 1, ofPool("orders", "poolgauge.pool.state", "on_cpu")...).
			number(catalog.PoolUseCPUTime, 3, ofPool("orders", "poolgauge.pool.state", "blocked")...).
			distribution(catalog.PoolWaitDuration, 3, -80, counts, ofPool("orders", "poolgauge.pool.outcome", "acquired")...).
			wire(t))
		p := onlyPool(t, l)
		if p.Name != "orders" || p.Kind != "worker" || p.Service != "shop" || p.Level != Trouble ||
			p.Reason != "12 waiting, the oldest for 1.25 s; 3.2 requests a second not served" {
			t.Errorf("got %+v", p)
		}
		expect(t, "limit", p.Limit, 8)
		expect(t, "used", p.Used, 8)
		expect(t, "fill", p.Fill(), 1)
		expect(t, "pending", p.Pending, 12)
		expect(t, "oldest wait", p.OldestWait, 1.25)
		expect(t, "rate", p.Rate, 640)
		expect(t, "not served", p.NotServed, 3.2)
		expect(t, "wait p50", p.Wait.P50, 1.0/1024)
		expect(t, "wait p99", p.Wait.P99, 1)
		expect(t, "on CPU", p.OnCPU, 0.25)
		if v, ok := p.Idle.Get(); !ok || v != 0 {
			t.Errorf("idle: got %v (known: %t), want 0", v, ok)
		}
		expectAbsent(t, "use p50", p.Use.P50)
		expectAbsent(t, "failed", p.Failed)
		h, ok := l.History(p.ID)
		if !ok || len(h.Used) != 11 {
			t.Fatalf("history of %d columns, want 11", len(h.Used))
		}
		expect(t, "used in the last column", h.Used[10], 8)
		total := int64(0)
		early, step := h.From.Sub(h.Waits.From).Seconds(), h.Waits.Step
		if step != 3*h.Step || early < 0 || early >= step {
			t.Errorf("heatmap columns are %v s long and begin %v s before the history", step, early)
		}
		for _, column := range h.Waits.Counts {
			for _, n := range column {
				total += n
			}
		}
		if total < 95 || total > 105 {
			t.Errorf("%d waits in the heatmap, want 100", total)
		}
	})
}

// A value that is no longer sent is absent, a rate covers the last interval, and a pool without new
// points is silent.
func TestPoolOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		start := time.Now().Add(-time.Hour) // not young, so the first values are only a baseline
		send := func(acquired float64, ages ...float64) {
			r := requestAt(
				start,
				time.Now(),
			).number(catalog.PoolRequests, acquired, ofPool("db", "poolgauge.pool.outcome", "acquired")...)
			for _, age := range ages {
				r.number(catalog.PoolPendingAge, age, ofPool("db")...)
			}
			l.Offer(r.wire(t))
		}
		send(1e6, 2)
		expectAbsent(t, "rate of the first point", onlyPool(t, l).Rate)
		time.Sleep(10 * time.Second)
		send(1e6 + 500)
		p := onlyPool(t, l)
		expect(t, "rate", p.Rate, 50)
		expectAbsent(t, "oldest wait", p.OldestWait)
		if p.Level != Good {
			t.Errorf("level %s (%s)", p.Level, p.Reason)
		}
		start = time.Now() // the app was restarted
		time.Sleep(10 * time.Second)
		send(200)
		expect(t, "rate after a restart", onlyPool(t, l).Rate, 20)
		time.Sleep(32 * time.Second)
		if p := onlyPool(t, l); p.Level != Silent {
			t.Errorf("level %s, want silent", p.Level)
		}
		time.Sleep(forgetAfter)
		l.Collect(noMetrics())
		if m := l.Memory(); len(l.Picture().Pools) != 0 || m.Series != 0 || m.Used != 0 {
			t.Errorf("after long silence: got %d pools and %+v, want nothing", len(l.Picture().Pools), m)
		}
	})
}

// The picture of many pools stays within its limit, reports what it left out, and makes room for
// new pools once old ones are silent.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		begin := heap()
		for i := range 1000 {
			l.Offer(busy(time.Now(), poolName(i)).wire(t))
		}
		m := l.Memory()
		shown := len(l.Picture().Pools)
		grown := heap() - begin
		if m.Used > m.Limit || m.Refused == 0 || shown < 500 {
			t.Errorf("got %d pools and %+v, want at least 500 within the limit, and others refused", shown, m)
		}
		t.Logf("%d pools, %d series: %d bytes accounted for, heap grew by %d", shown, m.Series, m.Used, grown)
		if limit := int64(1.15 * float64(m.Limit)); grown > limit {
			t.Errorf("the heap grew by %d bytes, want at most %d", grown, limit)
		}
		time.Sleep(2 * time.Minute)
		l.Offer(busy(time.Now(), "new").wire(t))
		checkUsed(t, l)
		if pools := l.Picture().Pools; pools[0].Name != "new" {
			t.Errorf("the first pool is %s, want new, which replaces a silent pool", pools[0].Name)
		}
	})
}

// Apps and pools that come and go for a day, each with its own series, leave no memory behind.
func TestChangingSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		begin, points := heap(), 0
		for range 24 * 60 {
			for range 10 {
				r := busy(time.Now(), poolName(points))
				r.service = poolName(points)
				l.Offer(r.wire(t))
				points += len(r.metrics)
			}
			time.Sleep(time.Minute)
			l.Collect(&metricdata.ResourceMetrics{Resource: resource.Empty()})
		}
		m, grown := l.Memory(), heap()-begin
		t.Logf("%d points, each of a different series: %+v, heap grew by %d", points, m, grown)
		if limit := int64(1.15 * float64(m.Limit)); m.Used > m.Limit || grown > limit {
			t.Errorf("the heap grew by %d bytes, want at most %d", grown, limit)
		}
		time.Sleep(time.Hour)
		l.Collect(&metricdata.ResourceMetrics{Resource: resource.Empty()})
		if m := l.Memory(); m.Used != 0 || m.Series != 0 {
			t.Errorf("an hour after the last app: got %+v, want no series and no bytes", m)
		}
	})
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// busy returns a request with 13 series of one pool.
func busy(at time.Time, name string) *request {
	r := requestAt(at.Add(-10*time.Second), at)
	counts := make([]uint64, 60)
	for i := range counts {
		counts[i] = uint64(i * i)
	}
	for _, row := range []*catalog.Metric{catalog.PoolLimit, catalog.PoolPending, catalog.PoolPendingLimit, catalog.PoolUseTime} {
		r.number(row, 3, ofPool(name)...)
	}
	for _, state := range []string{"used", "idle"} {
		r.number(catalog.PoolUsage, 3, ofPool(name, "poolgauge.pool.state", state)...)
	}
	for _, outcome := range []string{"acquired", "canceled", "rejected"} {
		r.number(catalog.PoolRequests, 3, ofPool(name, "poolgauge.pool.outcome", outcome)...)
	}
	for _, outcome := range []string{"ok", "error"} {
		r.number(catalog.PoolCompleted, 3, ofPool(name, "poolgauge.pool.outcome", outcome)...)
	}
	return r.distribution(catalog.PoolWaitDuration, 3, -100, counts, ofPool(name, "poolgauge.pool.outcome", "acquired")...).
		distribution(catalog.PoolUseDuration, 3, -100, counts, ofPool(name)...)
}

// Metrics that are not in the catalog are skipped at almost no cost.
func TestMetricsOutsideTheCatalogAreSkipped(t *testing.T) {
	l := New(Config{})
	row := &catalog.Metric{Name: "shop.orders", Kind: catalog.Counter}
	data := requestAt(time.Now(), time.Now()).number(row, 1).wire(t)
	if n := testing.AllocsPerRun(100, func() { l.Offer(data) }); n > 1 {
		t.Errorf("%v allocations, want at most 1", n)
	}
	if m := l.Memory(); m.Series != 0 {
		t.Errorf("%d series are kept, want 0", m.Series)
	}
}

// A request about known pools needs few allocations.
func TestOfferAllocatesLittle(t *testing.T) {
	l := New(Config{})
	data := busy(time.Now(), "orders").wire(t)
	l.Offer(data)
	if n := testing.AllocsPerRun(100, func() { l.Offer(data) }); n > 10 {
		t.Errorf("%v allocations for a request with 13 series, want at most 10", n)
	}
}

func TestJSON(t *testing.T) {
	l := New(Config{})
	l.Offer(busy(time.Now(), "orders").wire(t))
	text, err := json.Marshal(l.Picture())
	if err != nil {
		t.Fatal(err)
	}
	var back Picture
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if p := back.Pools[0]; p.Limit != Known(3) || !p.OldestWait.IsZero() || p.Verdict != "" {
		t.Errorf("got %+v, decoded from %s", p, text)
	}
	if strings.Contains(string(text), "oldestWait") {
		t.Errorf("the absent oldestWait is present in %s", text)
	}
}

func FuzzOffer(f *testing.F) {
	good := busy(time.Now(), "orders").message()
	data, _ := proto.Marshal(good)
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		l := New(Config{Limit: 1 << 18})
		l.Offer(data)
		l.Offer(data)
		checkUsed(t, l)
		p := l.Picture()
		if p.Memory.Used > p.Memory.Limit+maxWire {
			t.Errorf("%d bytes are used, but the limit is %d", p.Memory.Used, p.Memory.Limit)
		}
		if _, err := json.Marshal(p); err != nil {
			t.Error(err)
		}
		for i := range p.Pools {
			if _, ok := l.History(p.Pools[i].ID); !ok {
				t.Errorf("pool %s has no history", p.Pools[i].ID)
			}
		}
	})
}
