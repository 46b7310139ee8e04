package live

import (
	"math"
	"slices"
	"time"
)

// sparkColumns is the number of columns of a [Spark].
const sparkColumns = 60

// spark returns the history up to slot for the pool's row on the page. It reuses the memory of dst.
func (p *pool) spark(dst Spark, slot int64) Spark {
	return Spark{
		Fill: p.track.spark(dst.Fill, slot, func(at int64) float64 {
			bound := p.track.at(limit, at)
			if bound > 0 {
				return p.track.at(used, at) / bound
			}
			return p.track.at(used, at)
		}),
		Wait: p.track.spark(dst.Wait, slot, func(at int64) float64 {
			return higher(higher(math.Inf(-1), p.track.at(oldest, at)), p.track.at(waitP99, at))
		}),
	}
}

// columns returns the history of row up to slot. It reuses the memory of dst.
func (t *track) columns(dst Column, row int, slot int64) Column {
	return t.spark(dst, slot, func(at int64) float64 { return t.at(row, at) })
}

// spark merges the newest slots, up to slot, into sparkColumns columns. Each column holds the
// maximum of value over its slots. spark reuses the memory of dst.
func (t *track) spark(dst Column, slot int64, value func(at int64) float64) Column {
	const width = slots / sparkColumns
	columns := slices.Grow(dst[:0], sparkColumns)
	for i := range sparkColumns {
		maximum := math.Inf(-1)
		end := (slot/width + 1 - int64(sparkColumns-1-i)) * width
		for at := max(0, end-width); at < min(end, t.last+1); at++ {
			maximum = higher(maximum, value(at))
		}
		columns = append(columns, Known(maximum))
	}
	return columns
}

// higher returns the greater of maximum and v, or maximum if v is NaN.
func higher(maximum, v float64) float64 {
	if v > maximum {
		return v
	}
	return maximum
}

// History returns the last 15 minutes of the pool with the given id. It returns false if there is
// no such pool.
func (l *Live) History(id string) (h *History, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pools[id]
	if p == nil {
		return nil, false
	}
	slot := l.currentSlot()
	first := max(0, slot-slots+1)
	column := func(row int) Column {
		values := make(Column, 0, slots)
		for at := first; at <= slot; at++ {
			values = append(values, Known(p.track.at(row, at)))
		}
		return values
	}
	return &History{
		From: l.begin.Add(time.Duration(first) * l.slot),
		Step: l.slot.Seconds(),
		Used: column(
			used,
		),
		Limit:      column(limit),
		Pending:    column(pending),
		OldestWait: column(oldest),
		WaitP99:    column(waitP99),
		UseP50:     column(useP50),
		Rate:       column(rate),
		NotServed:  column(notServed),
		Waits:      l.heatmap(p, first/heatSlots, slot/heatSlots),
	}, true
}

func (l *Live) heatmap(p *pool, first, last int64) Heatmap {
	m := Heatmap{From: l.begin.Add(time.Duration(first*heatSlots) * l.slot), Step: heatSlots * l.slot.Seconds()}
	for row := range heatHeight - 1 {
		m.Bounds = append(m.Bounds, heatBound(row))
	}
	for column := first; column <= last; column++ {
		counts := make([]int64, heatHeight)
		for row := range counts {
			counts[row] = int64(math.Round(p.waits.at(column, row)))
		}
		m.Counts = append(m.Counts, counts)
	}
	return m
}
