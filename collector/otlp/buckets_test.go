package otlp

import (
	"math"
	"testing"

	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"
)

func wireOf(t *testing.T, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The fields that AppendBuckets keeps have the same buckets as the point.
func TestAppendBucketsKeepsBuckets(t *testing.T) {
	counts := func(all ...uint64) *metricpb.ExponentialHistogramDataPoint_Buckets {
		return &metricpb.ExponentialHistogramDataPoint_Buckets{Offset: 3, BucketCounts: all}
	}
	for name, c := range map[string]struct {
		point proto.Message
		kind  MetricKind
		want  bool
	}{
		"explicit": {
			&metricpb.HistogramDataPoint{Count: 3, ExplicitBounds: []float64{1}, BucketCounts: []uint64{1, 2}},
			HistogramPoints, true,
		},
		"exponential": {
			&metricpb.ExponentialHistogramDataPoint{Count: 3, Scale: 2, Positive: counts(1, 2)},
			ExponentialPoints, true,
		},
		"exponential with negative values": {
			&metricpb.ExponentialHistogramDataPoint{Count: 3, Scale: 2, Positive: counts(1), Negative: counts(2)},
			ExponentialPoints, false,
		},
	} {
		whole := Point{Wire: wireOf(t, c.point)}
		var all, kept Buckets
		if ok := whole.Buckets(c.kind, &all); ok != c.want {
			t.Errorf("%s: Buckets = %v, want %v", name, ok, c.want)
		}
		if ok := ReadBuckets(whole.AppendBuckets(nil, c.kind), c.kind, &kept); ok != c.want {
			t.Errorf("%s: ReadBuckets of the kept fields = %v, want %v", name, ok, c.want)
		}
		if c.want && (kept.Count != 3 || len(kept.Counts) != 2 || kept.Counts[1] != 2 || kept.Scale != all.Scale) {
			t.Errorf("%s: the kept fields have the buckets %+v, want %+v", name, kept, all)
		}
	}
}

func TestReusedBucketsDropEarlierBounds(t *testing.T) {
	var b Buckets
	explicit := &metricpb.HistogramDataPoint{Count: 3, ExplicitBounds: []float64{1}, BucketCounts: []uint64{1, 2}}
	if !ReadBuckets(wireOf(t, explicit), HistogramPoints, &b) || len(b.Bounds) != 1 {
		t.Fatalf("explicit buckets: got %+v, want one bound", b)
	}
	exponential := &metricpb.ExponentialHistogramDataPoint{
		Count:    1,
		Positive: &metricpb.ExponentialHistogramDataPoint_Buckets{BucketCounts: []uint64{1}},
	}
	if !ReadBuckets(wireOf(t, exponential), ExponentialPoints, &b) || b.Bounds != nil {
		t.Errorf("exponential buckets: got bounds %v, want nil", b.Bounds)
	}
}

func TestInconsistentBucketsAreRejected(t *testing.T) {
	explicit := func(count uint64, bounds []float64, counts ...uint64) *metricpb.HistogramDataPoint {
		return &metricpb.HistogramDataPoint{Count: count, ExplicitBounds: bounds, BucketCounts: counts}
	}
	exponential := func(scale, offset int32, counts ...uint64) *metricpb.ExponentialHistogramDataPoint {
		return &metricpb.ExponentialHistogramDataPoint{
			Count: 3, ZeroCount: 1, Scale: scale,
			Positive: &metricpb.ExponentialHistogramDataPoint_Buckets{Offset: offset, BucketCounts: counts},
		}
	}
	for name, c := range map[string]struct {
		point proto.Message
		kind  MetricKind
		want  bool
	}{
		"explicit":                         {explicit(6, []float64{1, 2}, 1, 2, 3), HistogramPoints, true},
		"more in total than in buckets":    {explicit(7, []float64{1, 2}, 1, 2, 3), HistogramPoints, true}, // NaN
		"more in buckets than in total":    {explicit(5, []float64{1, 2}, 1, 2, 3), HistogramPoints, false},
		"a sum that overflows":             {explicit(5, []float64{1, 2}, 6, math.MaxUint64, 0), HistogramPoints, false},
		"bounds in the wrong order":        {explicit(6, []float64{2, 1}, 1, 2, 3), HistogramPoints, false},
		"equal bounds":                     {explicit(6, []float64{1, 1}, 1, 2, 3), HistogramPoints, false},
		"an infinite bound":                {explicit(6, []float64{1, math.Inf(1)}, 1, 2, 3), HistogramPoints, false},
		"NaN as a bound":                   {explicit(6, []float64{math.NaN(), 1}, 1, 2, 3), HistogramPoints, false},
		"a bound too few":                  {explicit(6, []float64{1}, 1, 2, 3), HistogramPoints, false},
		"exponential":                      {exponential(0, 0, 1, 1), ExponentialPoints, true},
		"more than the total, with zeros":  {exponential(0, 0, 1, 2), ExponentialPoints, false},
		"the lowest scale":                 {exponential(minScale, -1, 1, 1), ExponentialPoints, true},
		"a scale too low":                  {exponential(minScale-1, -1, 1, 1), ExponentialPoints, false},
		"a scale too high":                 {exponential(maxScale+1, 0, 1), ExponentialPoints, false},
		"the bucket of the highest number": {exponential(3, 8*1024-1, 1), ExponentialPoints, true},
		"a bucket above it":                {exponential(3, 8*1024+1, 1), ExponentialPoints, false},
		"the bucket of the lowest number":  {exponential(3, -8*1075, 1), ExponentialPoints, true},
		"a bucket below it":                {exponential(3, -8*1075-2, 1), ExponentialPoints, false},
	} {
		var b Buckets
		if ok := ReadBuckets(wireOf(t, c.point), c.kind, &b); ok != c.want {
			t.Errorf("%s: ReadBuckets = %v, want %v", name, ok, c.want)
		}
	}
}
