package live

import (
	"slices"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// A series that was missing from its pool's last request has no sample.
func TestSamplesOnlyOfSeriesInTheLastRequest(t *testing.T) {
	l, now := New(Config{}), time.Now()
	l.Offer(requestAt(now, now).
		number(catalog.PoolLimit, 8, ofPool("db")...).
		number(catalog.PoolPendingAge, 2, ofPool("db")...).wire(t))
	l.Offer(requestAt(now, now).
		number(catalog.PoolLimit, 9, ofPool("db")...).
		number(catalog.PoolUsage, 3, ofPool("db", string(catalog.PoolStateKey), "used")...).wire(t))

	got := map[*catalog.Metric]Sample{}
	l.EachSample(func(s *Sample) { got[s.Metric] = *s })
	if len(got) != 2 {
		t.Errorf("%d samples, want 2: %v", len(got), got)
	}
	pool := []Label{{string(catalog.PoolNameKey), "db"}, {string(catalog.PoolKindKey), "worker"}}
	for row, want := range map[*catalog.Metric]Sample{
		catalog.PoolLimit: {Value: 9, Attributes: pool},
		catalog.PoolUsage: {Value: 3, Attributes: append(slices.Clone(pool), Label{string(catalog.PoolStateKey), "used"})},
	} {
		s := got[row]
		if s.Value != want.Value || !slices.Equal(s.Attributes, want.Attributes) {
			t.Errorf("%s: %v with %v, want %v with %v", row.Name, s.Value, s.Attributes, want.Value, want.Attributes)
		}
		if app := []Label{{"service.name", "shop"}, {"service.instance.id", "1"}}; !slices.Equal(s.Resource, app) {
			t.Errorf("%s: got resource %v, want %v", row.Name, s.Resource, app)
		}
	}
}
