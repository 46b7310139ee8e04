package live

import (
	"math"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func noMetrics() *metricdata.ResourceMetrics { return &metricdata.ResourceMetrics{} }

// A track keeps the newest slots and the maximum of each, even after coarsen has merged them.
func TestTrack(t *testing.T) {
	track := newTrack(1)
	for s := range int64(300) {
		if s%7 != 0 {
			track.put(s, []float32{float32(s)})
			track.put(s, []float32{1})
		}
	}
	for s := int64(-1); s < 310; s++ {
		got, want := track.at(0, s), float64(s)
		if s < 120 || s >= 300 || s%7 == 0 {
			want = math.NaN()
		}
		if math.Abs(got-want) > want/250 || math.IsNaN(got) != math.IsNaN(want) {
			t.Fatalf("slot %d: got %v, want %v", s, got, want)
		}
	}
	track.coarsen()
	for s := int64(24); s < 60; s++ {
		want := float64(s*5 + 4)
		if int64(want)%7 == 0 {
			want--
		}
		if got := track.at(0, s); math.Abs(got-want) > want/100 {
			t.Fatalf("coarse slot %d: got %v, want %v", s, got, want)
		}
	}
}

// Counts of the heatmap are accurate to within 4%, however small the increments. coarsen adds up
// the columns that it merges.
func TestHeat(t *testing.T) {
	var h heat
	for column := range int64(heatWidth + 10) {
		for range 1000 {
			h.put(column, 3, 1)
		}
	}
	for column := int64(10); column < heatWidth+10; column++ {
		if n := h.at(column, 3); n < 960 || n > 1040 {
			t.Fatalf("column %d: got %v, want 1000", column, n)
		}
	}
	if n := h.at(9, 3); n != 0 {
		t.Errorf("expired column: got %v, want 0", n)
	}
	h.coarsen()
	if n := h.at(5, 3); n < 4600 || n > 5400 {
		t.Errorf("coarse column: got %v, want 5000", n)
	}
}

func TestHeatRows(t *testing.T) {
	for row := range heatHeight - 1 {
		if got := heatRow(heatBound(row)); got != row {
			t.Errorf("%v s is in row %d, want %d", heatBound(row), got, row)
		}
	}
	if got := heatRow(1e6); got != heatHeight-1 {
		t.Errorf("a long wait is in row %d, want %d", got, heatHeight-1)
	}
}
