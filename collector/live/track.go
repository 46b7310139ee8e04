package live

import "math"

// The last 15 minutes are kept in slots. At first a slot lasts one second; once all slots are used
// up, they are merged into slots of five seconds. The history thus shows the start of a program in
// detail, and has a fixed size.
const (
	slots      = 180
	coarse     = 5 // seconds per slot once the slots of one second are used up
	heatSlots  = 3 // slots per column of the heatmap
	heatWidth  = slots / heatSlots
	heatHeight = 18
)

// half is the upper half of a float32. It is accurate to within 0.4%, which is enough for a chart.
type half uint16

const absent half = 0x7fc0 // NaN

func toHalf(v float32) half {
	if v != v {
		return absent
	}
	bits := math.Float32bits(v)
	return half((uint64(bits) + 0x8000) >> 16)
}

func (h half) float() float64 { return float64(math.Float32frombits(uint32(h) << 16)) }

// track is the history of several values, one per row. A slot holds the maximum of the values put
// into it. All tracks number their slots from the same point in time. A track keeps the newest
// slots.
type track struct {
	rows [][slots]half
	last int64 // the last slot that values were put into
}

func newTrack(rows int) track {
	t := track{rows: make([][slots]half, rows)}
	for i := range t.rows {
		for j := range t.rows[i] {
			t.rows[i][j] = absent
		}
	}
	return t
}

// put adds values, one value per row and NaN for absent values, to slot. slot must not be before
// the last slot.
func (t *track) put(slot int64, values []float32) {
	for s := max(t.last+1, slot-slots+1); s <= slot; s++ {
		for i := range t.rows {
			t.rows[i][s%slots] = absent
		}
	}
	t.last = max(t.last, slot)
	for i := range t.rows {
		at := &t.rows[i][slot%slots]
		if v := toHalf(values[i]); v != absent && (*at == absent || v.float() > at.float()) {
			*at = v
		}
	}
}

// at returns the value of row in slot, or NaN if it is absent.
func (t *track) at(row int, slot int64) float64 {
	if slot > t.last || slot < 0 || slot <= t.last-slots {
		return math.NaN()
	}
	return t.rows[row][slot%slots].float()
}

// coarsen merges each group of five slots into one.
func (t *track) coarsen() {
	wide := newTrack(len(t.rows))
	values := make([]float32, len(t.rows))
	for s := max(0, t.last-slots+1); s <= t.last; s++ {
		for row := range values {
			values[row] = float32(t.at(row, s))
		}
		wide.put(s/coarse, values)
	}
	*t = wide
}

// heat is the history of a distribution, as counts by column and row. Each count is stored as a
// logarithm, which is accurate to within 4%, or 8% once columns have been merged.
type heat struct {
	columns [heatWidth][heatHeight]uint8
	now     [heatHeight]float32 // the last column at full precision
	last    int64
}

// heatBound returns the upper bound of row in seconds. Each row spans half a decade, starting at
// one microsecond. The last row has no upper bound.
func heatBound(row int) float64 { return math.Pow(10, float64(row)/2-6) }

func heatRow(seconds float64) int {
	if seconds <= 1e-6 {
		return 0
	}
	return int(min(heatHeight-1, math.Ceil(2*(math.Log10(seconds)+6)-1e-9)))
}

const stepsPerDoubling = 10 // number of logarithmic steps per factor of two

func toHeat(n float32) uint8 {
	if n < 0.5 {
		return 0
	}
	return uint8(min(255, 1+math.Round(stepsPerDoubling*math.Log2(max(1, float64(n))))))
}

func fromHeat(v uint8) float64 {
	if v == 0 {
		return 0
	}
	return math.Exp2(float64(v-1) / stepsPerDoubling)
}

func (h *heat) put(column int64, row int, n float64) {
	h.advance(column)
	h.now[row] += float32(n)
	h.columns[column%heatWidth][row] = toHeat(h.now[row])
}

func (h *heat) advance(column int64) {
	if column <= h.last {
		return
	}
	for c := max(h.last+1, column-heatWidth+1); c <= column; c++ {
		h.columns[c%heatWidth] = [heatHeight]uint8{}
	}
	h.last, h.now = column, [heatHeight]float32{}
}

func (h *heat) at(column int64, row int) float64 {
	if column > h.last || column < 0 || column <= h.last-heatWidth {
		return 0
	}
	return fromHeat(h.columns[column%heatWidth][row])
}

func (h *heat) coarsen() {
	var wide heat
	for c := max(0, h.last-heatWidth+1); c <= h.last; c++ {
		for row := range heatHeight {
			if n := h.at(c, row); n > 0 {
				wide.put(c/coarse, row, n)
			}
		}
	}
	*h = wide
}
