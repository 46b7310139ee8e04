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

// heldBy adds exemplars to the last metric.
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

// While a use lasts, the exemplars of the oldest-use metric are the pool's holders, and their
// memory is accounted for.
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
			t.Fatalf("%d holders and then %d, want 0 and 2", len(without.Holders), len(p.Holders))
		}
		want := []string{"db.query (query.go:12)", "main.(*server).handle (main.go:40)", "main.bound"}
		if h := p.Holders[0]; h.Age != 3 || h.Trace != "30313233343536373839616263646566" ||
			!slices.Equal(h.Calls, want) {
			t.Errorf("held by %+v", h)
		}
		if got, want := p.Holders[0].String(), "3 s by db.query (query.go:12) < main.(*server).handle (main.go:40) < main.bound, trace 3031"; !strings.HasPrefix(
			got,
			want,
		) {
			t.Errorf("in words: %s", got)
		}
		if h := p.Holders[1]; h.Age != 2 || h.Trace != "" || h.Calls != nil {
			t.Errorf("and by %+v, want an age only", h)
		}
		if l.Memory().Used <= before {
			t.Error("holders take no memory")
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
			t.Errorf("%v hold it, want one for 5 s: the others are not valid ages", p.Holders)
		}
		if p = offer(0); len(p.Holders) != 0 || !p.OldestUse.IsZero() {
			t.Errorf("an idle pool is held by %v", p.Holders)
		}
		if p = offer(1); len(p.Holders) != 0 || l.Memory().Used != before {
			t.Errorf("%d holders, %d bytes, want none and %d", len(p.Holders), l.Memory().Used, before)
		}
	})
}
