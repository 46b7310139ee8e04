package instrument

import (
	"context"
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// The upper bound of slot s is the longest d with d ns <= 2^((s+lowestIndex+1)/8) s, that is, d^8
// <= 2^(s+lowestIndex+1) × 10^72. Above 2^49 ns, which is 6 days, it may be off by the rounding
// error of a float64.
func TestBucketBoundsAreExact(t *testing.T) {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(72), nil)
	within := func(d int64, slot int) bool {
		left := new(big.Int).Exp(big.NewInt(d), big.NewInt(perOctave), nil)
		right, power := new(big.Int).Set(scale), lowestIndex+slot+1
		if power >= 0 {
			right.Lsh(right, uint(power))
		} else {
			left.Lsh(left, uint(-power))
		}
		return left.Cmp(right) <= 0
	}
	for slot, d := range table.upper {
		slack := int64(d >> 49)
		if !within(int64(d)-slack, slot) {
			t.Errorf("slot %d: upper bound %d ns is too large", slot, d)
		}
		if d < math.MaxInt64 && within(int64(d)+1+slack, slot) {
			t.Errorf("slot %d: upper bound %d ns is too small", slot, d)
		}
	}
}

func TestSlotOf(t *testing.T) {
	search := func(d time.Duration) int {
		slot, _ := slices.BinarySearch(table.upper[:], d)
		return slot
	}
	check := func(d time.Duration) {
		if d > 0 && slotOf(d) != search(d) {
			t.Errorf("slotOf(%d ns) = %d, want %d", d, slotOf(d), search(d))
		}
	}
	for _, d := range table.upper {
		for i := range time.Duration(7) {
			check(d - 3 + i) // overflows for the longest duration; check ignores negative durations
		}
	}
	for d := range time.Duration(1 << 16) {
		check(d)
	}
}

func TestHistogramZeroValue(t *testing.T) {
	var h Histogram
	if h.Count() != 0 || h.Sum() != 0 || h.Quantile(0.5) != 0 || h.Clone().Count() != 0 {
		t.Errorf("empty histogram: count %d, sum %v, median %v; want 0", h.Count(), h.Sum(), h.Quantile(0.5))
	}
	h.RecordN(time.Second, 0)
	h.Record(-time.Second)
	if h.Count() != 1 || h.Zeros() != 1 || h.Min() != 0 || h.Max() != 0 {
		t.Errorf(
			"after a negative duration: count %d, zeros %d, min %v, max %v; want 1, 1, 0s, 0s",
			h.Count(),
			h.Zeros(),
			h.Min(),
			h.Max(),
		)
	}
	h.Record(3 * time.Second)
	if h.Min() != 0 || h.Max() != 3*time.Second || h.Sum() != 3 {
		t.Errorf("min %v, max %v, sum %v; want 0, 3s, 3", h.Min(), h.Max(), h.Sum())
	}
}

// reference returns the SDK's exponential histogram of samples, at the same scale as Histogram.
// Each duration is recorded as many times as its weight.
func reference(t *testing.T, samples []sample) metricdata.ExponentialHistogramDataPoint[float64] {
	reader := sdkmetric.NewManualReader(
		sdkmetric.WithAggregationSelector(func(sdkmetric.InstrumentKind) sdkmetric.Aggregation {
			return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: slots, MaxScale: Scale}
		}),
	)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	h, err := provider.Meter("reference").Float64Histogram("h")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		for range s.weight {
			h.Record(context.Background(), s.d.Seconds())
		}
	}
	var out metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	return out.ScopeMetrics[0].Metrics[0].Data.(metricdata.ExponentialHistogram[float64]).DataPoints[0]
}

type sample struct {
	d      time.Duration
	weight uint64
}

// samplesFrom decodes every nine bytes of data into a weight, of one byte, and a duration, of eight
// bytes. The last duration may have fewer bytes.
func samplesFrom(data []byte) (samples []sample) {
	for part := range slices.Chunk(data, 9) {
		var d [8]byte
		copy(d[:], part[1:])
		duration := time.Duration(binary.LittleEndian.Uint64(d[:]) & math.MaxInt64)
		samples = append(samples, sample{duration, uint64(part[0])%40 + 1})
	}
	return samples
}

func FuzzHistogram(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for size := range 12 {
		data := make([]byte, 9*(1<<size))
		for i := range data {
			if i%9 < 1+r.IntN(8) {
				data[i] = byte(r.Uint32())
			}
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		samples := samplesFrom(data)
		if len(samples) == 0 || len(samples) > 4096 {
			return
		}
		var shards [3]Histogram
		var sorted []time.Duration
		for i, s := range samples {
			shards[i%3].RecordN(s.d, s.weight)
			sorted = append(sorted, slices.Repeat([]time.Duration{s.d}, int(s.weight))...)
		}
		merged := shards[0].Clone()
		merged.Merge(&shards[1])
		merged.Merge(&shards[2])
		compare(t, merged, reference(t, samples))

		slices.Sort(sorted)
		for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
			want := sorted[int(math.Ceil(q*float64(len(sorted))))-1]
			got := merged.Quantile(q)
			if ratio := float64(got+1) / float64(want+1); ratio < 1/1.05 || ratio > 1.05 {
				t.Errorf("Quantile(%v) = %v, want %v within 5%%", q, got, want)
			}
		}
	})
}

// compare fails the test if h differs from the SDK's histogram.
func compare(t *testing.T, h *Histogram, want metricdata.ExponentialHistogramDataPoint[float64]) {
	t.Helper()
	if want.Scale != Scale {
		t.Fatalf("the reference has scale %d, want %d", want.Scale, Scale)
	}
	lo, _ := want.Min.Value()
	hi, _ := want.Max.Value()
	if h.Count() != want.Count || h.Zeros() != want.ZeroCount || h.Min().Seconds() != lo || h.Max().Seconds() != hi {
		t.Errorf("count %d, zeros %d, min %v, max %v; want %d, %d, %v s, %v s",
			h.Count(), h.Zeros(), h.Min(), h.Max(), want.Count, want.ZeroCount, lo, hi)
	}
	if math.Abs(h.Sum()-want.Sum) > 1e-9*want.Sum {
		t.Errorf("sum %v, want %v", h.Sum(), want.Sum)
	}
	got := map[int]uint64{}
	for index, n := range h.Buckets() {
		got[index] = n
	}
	for i, n := range want.PositiveBucket.Counts {
		if index := i + int(want.PositiveBucket.Offset); got[index] != n {
			t.Errorf("bucket %d has count %d, want %d", index, got[index], n)
		}
	}
}

func TestSince(t *testing.T) {
	var h, want Histogram
	r := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		h.Record(time.Duration(r.Int64N(1e6)))
	}
	earlier := h.Clone()
	for range 1000 {
		d := time.Duration(r.Int64N(1e9))
		h.Record(d)
		want.Record(d)
	}
	got := h.since(earlier)
	if got.Count() != 1000 || math.Abs(got.Sum()-want.Sum()) > 1e-6 || got.counts() != want.counts() {
		t.Errorf(
			"got %d durations with a sum of %v s; want %d, %v s, in the same buckets",
			got.Count(),
			got.Sum(),
			want.Count(),
			want.Sum(),
		)
	}
	if n := earlier.since(&h).Count(); n != 0 {
		t.Errorf("after the counts decreased: %d new durations, want 0", n)
	}
}

// counts returns the counts of all slots.
func (h *Histogram) counts() (all [slots]uint64) {
	for index, n := range h.Buckets() {
		all[index-lowestIndex] = n
	}
	return all
}

// Without sampling, values preserves the count and the sum of the recorded durations. With
// sampling, the sum is approximate.
func TestValuesPreserveCountAndSum(t *testing.T) {
	var h Histogram
	r := rand.New(rand.NewPCG(5, 6))
	for range 100_000 {
		h.Record(time.Duration(math.Exp(r.Float64()*20)) - 1)
	}
	for _, stride := range []uint64{1, 3, 1000} {
		var count uint64
		var sum float64
		for seconds, n := range h.values(stride) {
			count += n
			sum += seconds * float64(n)
		}
		if count != h.Count()/stride {
			t.Errorf("stride %d: got %d values, want %d", stride, count, h.Count()/stride)
		}
		tolerance := 1e-9 // for rounding
		if stride > 1 {
			tolerance = 0.15 // for omitted durations
		}
		if got := sum * float64(stride); math.Abs(got/h.Sum()-1) > tolerance {
			t.Errorf("stride %d: the scaled sum is %v, want %v", stride, got, h.Sum())
		}
	}
}

func BenchmarkHistogram(b *testing.B) {
	var h Histogram
	d := time.Duration(1)
	for b.Loop() {
		h.Record(d & (1<<24 - 1))
		d += 12345
	}
}
