package live

import (
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// heldBy sets the exemplars of the last metric, which must be a gauge.
func (r *request) heldBy(all ...*metricspb.Exemplar) *request {
	r.metrics[len(r.metrics)-1].GetGauge().DataPoints[0].Exemplars = all
	return r
}

func holder(age float64, trace []byte, pairs ...string) *metricspb.Exemplar {
	return &metricspb.Exemplar{
		Value:              &metricspb.Exemplar_AsDouble{AsDouble: age},
		TraceId:            trace,
		FilteredAttributes: attributes(pairs...),
	}
}

// While a use is in progress, the exemplars of the oldest-use metric are the pool's holders, and
// their memory is accounted for.
func TestHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		start := time.Now()
		offer := func(age float64, all ...*metricspb.Exemplar) Pool {
			time.Sleep(time.Second)
			r := requestAt(start, time.Now()).number(catalog.PoolLimit, 2, ofPool("db")...)
			if age > 0 {
				r.number(catalog.PoolUseAge, age, ofPool("db")...).heldBy(all...)
			}
			l.Offer(r.wire(t))
			return onlyPool(t, l)
		}
		id := []byte("0123456789abcdef")
		stack := "example.com/shop/db.query(...)\n\t/src/shop/query.go:12\nmain.(*server).handle(...)\n\tC:\\src\\main.go:40\nmain.bound(...)\n\t:0\n"
		without := offer(1)
		before := l.Memory().Used
		p := offer(3, holder(3, id, "code.function.name", "db.query", "code.stacktrace", stack), holder(2, nil))
		expect(t, "oldest use", p.OldestUse, 3)
		if len(without.Holders) != 0 || len(p.Holders) != 2 {
			t.Fatalf("got %d holders and then %d, want 0 and then 2", len(without.Holders), len(p.Holders))
		}
		want := []string{"db.query (query.go:12)", "main.(*server).handle (main.go:40)", "main.bound"}
		if h := p.Holders[0]; h.Age != 3 || h.Trace != "30313233343536373839616263646566" ||
			!slices.Equal(h.Calls, want) {
			t.Errorf("first holder: got %+v, want age 3, a trace and the calls %q", h, want)
		}
		if got, want := p.Holders[0].String(), "3 s by db.query (query.go:12) < main.(*server).handle (main.go:40) < main.bound, trace 3031"; !strings.HasPrefix(
			got,
			want,
		) {
			t.Errorf("first holder as text: got %q, want the prefix %q", got, want)
		}
		if h := p.Holders[1]; h.Age != 2 || h.Trace != "" || h.Calls != nil {
			t.Errorf("second holder: got %+v, want only age 2", h)
		}
		if l.Memory().Used <= before {
			t.Error("the memory of the holders is not accounted for")
		}
		many := make([]*metricspb.Exemplar, 100)
		for i := range many {
			many[i] = holder(1, id, "code.stacktrace", strings.Repeat(stack, 100))
		}
		if p = offer(4, many...); len(p.Holders) != maxHolders || len(p.Holders[0].Calls) != maxCalls {
			t.Errorf(
				"%d holders with %d calls, want %d and %d",
				len(p.Holders),
				len(p.Holders[0].Calls),
				maxHolders,
				maxCalls,
			)
		}
		if p = offer(
			4,
			holder(math.NaN(), nil),
			holder(math.Inf(1), nil),
			holder(-1, nil),
			holder(5, nil),
		); len(p.Holders) != 1 ||
			p.Holders[0].Age != 5 {
			t.Errorf("got holders %v, want only the one of age 5 s, because the other ages are invalid", p.Holders)
		}
		if p = offer(0); len(p.Holders) != 0 || !p.OldestUse.IsZero() {
			t.Errorf("idle pool: got holders %v and oldest use %v, want none", p.Holders, p.OldestUse)
		}
		if p = offer(1); len(p.Holders) != 0 || l.Memory().Used != before {
			t.Errorf("got %d holders and %d bytes, want 0 and %d", len(p.Holders), l.Memory().Used, before)
		}
	})
}
