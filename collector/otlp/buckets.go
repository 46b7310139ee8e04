package otlp

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Buckets holds the bucket counts of a histogram point. They are cumulative or deltas, depending on
// the metric's temporality.
type Buckets struct {
	Count, Zero uint64
	Sum         float64
	Scale       int32 // exponential: the upper bound of the bucket with index i is 2^((i+1)/2^Scale)
	Offset      int32 // exponential: index of the first bucket
	// explicit: the upper bounds of all buckets but the last; nil for exponential buckets
	Bounds []float64
	Counts []uint64
}

// maxBuckets is the maximum number of buckets per point. It bounds the memory that a single point
// can make the sidecar allocate.
const maxBuckets = 1024

// Buckets reads p's buckets into b, reusing b's slices. It returns false if p is not a histogram
// point, has negative values or too many buckets, or is inconsistent: bounds that are not finite or
// not in ascending order, a scale or indices out of range, or more values in the buckets than in
// total.
func (p *Point) Buckets(kind MetricKind, b *Buckets) bool {
	return ReadBuckets(p.Wire, kind, b)
}

// ReadBuckets is like [Point.Buckets], for a point in wire format.
func ReadBuckets(point []byte, kind MetricKind, b *Buckets) bool {
	if b.Bounds == nil {
		b.Bounds = []float64{} // not nil, even if an explicit histogram has no bounds
	}
	*b = Buckets{Bounds: b.Bounds[:0], Counts: b.Counts[:0]}
	f := fields{rest: point}
	ok := kind == HistogramPoints || kind == ExponentialPoints
	for ok && f.next() {
		switch {
		case f.num == 4:
			b.Count = f.fixed64()
		case f.num == 5:
			b.Sum = math.Float64frombits(f.fixed64())
		case kind == HistogramPoints:
			ok = b.explicit(&f)
		default:
			ok = b.exponential(&f)
		}
	}
	if kind == ExponentialPoints {
		b.Bounds = nil
	}
	return ok && f.err == nil && b.isConsistent(kind)
}

// The scales of exponential buckets. A bucket of the lowest scale contains all values of a float64
// above 1; the highest is the one that SDKs start with.
const minScale, maxScale = -11, 20

func (b *Buckets) isConsistent(kind MetricKind) bool {
	if !b.fitsCount() {
		return false
	}
	if kind == ExponentialPoints {
		if b.Scale < minScale || b.Scale > maxScale {
			return false
		}
		perDoubling := math.Exp2(float64(b.Scale))
		first, end := float64(b.Offset), float64(b.Offset)+float64(len(b.Counts))
		return first >= -1075*perDoubling-1 && end <= 1024*perDoubling+1 // the exponents of a float64
	}
	if len(b.Counts) != len(b.Bounds)+1 {
		return false
	}
	for i, bound := range b.Bounds {
		if math.IsNaN(bound) || math.IsInf(bound, 0) || i > 0 && bound <= b.Bounds[i-1] {
			return false
		}
	}
	return true
}

// fitsCount reports whether the buckets hold at most b.Count values.
func (b *Buckets) fitsCount() bool {
	rest := b.Count
	if b.Zero > rest {
		return false
	}
	rest -= b.Zero
	for _, n := range b.Counts {
		if n > rest {
			return false
		}
		rest -= n
	}
	return true
}

func (b *Buckets) explicit(f *fields) bool {
	if !f.is(6) && !f.is(7) {
		return true
	}
	for rest := f.value; len(rest) >= 8; rest = rest[8:] {
		if len(b.Counts) > maxBuckets || len(b.Bounds) >= maxBuckets {
			return false
		}
		v, _ := protowire.ConsumeFixed64(rest)
		if f.num == 6 {
			b.Counts = append(b.Counts, v)
		} else {
			b.Bounds = append(b.Bounds, math.Float64frombits(v))
		}
	}
	return true
}

func (b *Buckets) exponential(f *fields) bool {
	switch {
	case f.num == 6:
		b.Scale = int32(protowire.DecodeZigZag(f.varint()))
	case f.num == 7:
		b.Zero = f.fixed64()
	case f.is(9):
		return len(f.value) == 0 || allZero(f.value)
	case f.is(8):
		in := fields{rest: f.value}
		for in.next() {
			switch {
			case in.num == 1:
				b.Offset = int32(protowire.DecodeZigZag(in.varint()))
			case in.is(2) && !b.appendPacked(in.value):
				return false
			}
		}
		return in.err == nil
	}
	return true
}

// allZero reports whether all counts in buckets, a serialized Buckets message, are 0.
func allZero(buckets []byte) bool {
	var b Buckets
	f := fields{rest: buckets}
	for f.next() {
		if f.is(2) && !b.appendPacked(f.value) {
			return false
		}
	}
	for _, n := range b.Counts {
		if n > 0 {
			return false
		}
	}
	return f.err == nil
}

func (b *Buckets) appendPacked(packed []byte) bool {
	for rest := packed; len(rest) > 0; {
		v, n := protowire.ConsumeVarint(rest)
		if n < 0 || len(b.Counts) >= maxBuckets {
			return false
		}
		b.Counts = append(b.Counts, v)
		rest = rest[n:]
	}
	return true
}

// AppendBuckets appends to dst, in wire format, the fields of the histogram point p that
// [ReadBuckets] reads. It leaves out attributes and exemplars.
func (p *Point) AppendBuckets(dst []byte, kind MetricKind) []byte {
	f := fields{rest: p.Wire}
	for f.next() {
		counts := f.num >= 4 && f.num <= 7
		if kind == ExponentialPoints {
			counts = f.num >= 4 && f.num <= 9
		}
		if counts {
			dst = append(dst, f.whole...)
		}
	}
	return dst
}

// AtMost returns the exponential buckets b at the given scale, or at their own scale if that is
// lower. It merges buckets if necessary.
func (b *Buckets) AtMost(scale int32) Buckets {
	shift := b.Scale - scale
	if shift <= 0 {
		return *b
	}
	wide := *b
	wide.Scale, wide.Offset, wide.Counts = scale, b.Offset>>shift, nil
	for i, n := range b.Counts {
		at := int((b.Offset+int32(i))>>shift - wide.Offset)
		for len(wide.Counts) <= at {
			wide.Counts = append(wide.Counts, 0)
		}
		wide.Counts[at] += n
	}
	return wide
}
