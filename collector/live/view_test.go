package live

import (
	"math"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// ownAt starts building collection number n. Collections are ten seconds apart.
func ownAt(n int) *own {
	at := time.Unix(1000, 0).Add(time.Duration(10*n) * time.Second)
	o := &own{at: at, metrics: map[string]*metricdata.Sum[float64]{}}
	o.add(catalog.SourceDuration, 0)
	return o
}

func TestRateOfASum(t *testing.T) {
	absent := math.NaN()
	for name, c := range map[string]struct{ before, now, want float64 }{
		"increased":           {10, 30, 2},
		"unchanged":           {10, 10, 0},
		"decreased":           {30, 10, absent},
		"not observed before": {absent, 30, absent},
		"no longer observed":  {30, absent, absent},
	} {
		var v view
		for n, value := range []float64{c.before, c.now} {
			o := ownAt(n)
			if !math.IsNaN(value) {
				o.add(catalog.SystemCPUTime, value)
			}
			v.advance(o.collection())
		}
		if got, ok := v.rate(catalog.SystemCPUTime); ok == math.IsNaN(c.want) || ok && got != c.want {
			t.Errorf("%s: got %v (known: %t), want %v", name, got, ok, c.want)
		}
	}
}

// In the first collection, the mean covers all values so far, which is better than no mean.
func TestMeanOfTheValuesAddedToAHistogram(t *testing.T) {
	type values struct {
		count uint64
		sum   float64
	}
	none := values{}
	for name, c := range map[string]struct {
		collections []values
		want        float64 // NaN: absent
	}{
		"in the first collection":       {[]values{{4, 2}}, 0.5},
		"since the previous collection": {[]values{{4, 2}, {6, 10}}, 4},
		"none since then":               {[]values{{4, 2}, {4, 2}}, math.NaN()},
		"all are new":                   {[]values{none, {4, 2}}, 0.5},
		"there are no values":           {[]values{none}, math.NaN()},
	} {
		var v view
		for n, has := range c.collections {
			o := ownAt(n)
			rm := o.collection()
			if has != none {
				rm.ScopeMetrics[0].Metrics = append(rm.ScopeMetrics[0].Metrics, metricdata.Metrics{
					Name: catalog.ProbeDuration.Name,
					Data: metricdata.ExponentialHistogram[float64]{
						Temporality: metricdata.CumulativeTemporality,
						DataPoints: []metricdata.ExponentialHistogramDataPoint[float64]{
							{Time: o.at, Count: has.count, Sum: has.sum},
						},
					},
				})
			}
			v.advance(rm)
		}
		if got, ok := v.mean(catalog.ProbeDuration); ok == math.IsNaN(c.want) || ok && got != c.want {
			t.Errorf("%s: got %v (known: %t), want %v", name, got, ok, c.want)
		}
	}
}
