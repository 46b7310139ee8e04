package diagnose

import (
	"math"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Figures holds the measurements of a pool at one point in time. The fields after UseAge are
// cumulative since the pool was created. Times are in seconds. Unknown values are NaN.
type Figures struct {
	At        time.Time
	Limit     float64 // slots
	Pending   float64 // waiting requests
	UseAge    float64 // age of the oldest use in progress
	Served    float64 // requests that got a slot
	Refused   float64 // requests that were rejected or timed out
	WaitTime  float64 // total wait of requests that got a slot
	Ended     float64 // uses that ended
	Failed    float64 // uses that ended with an error or a panic
	NotMade   float64 // resources that could not be created
	UseTime   float64 // slot-seconds
	EndedTime float64 // slot-seconds of uses that have ended
	Longest   float64 // duration of the longest use that ended
	HeldBack  float64 // slot-seconds for which slots were free while requests waited
	OnCPU     float64 // OnCPU, RunQueue and Blocked are parts of UseTime
	RunQueue  float64
	Blocked   float64
}

// FiguresOf returns the Figures of a pool whose Stats were s at the given time.
func FiguresOf(s *instrument.Stats, at time.Time) Figures {
	f := Figures{
		At:       at,
		Limit:    known(s.Limit),
		Pending:  known(s.Pending),
		UseAge:   math.NaN(),
		Served:   known(s.Requests[instrument.Acquired]),
		Refused:  known(s.Requests[instrument.Rejected], s.Requests[instrument.TimedOut]),
		Failed:   known(s.Completed[instrument.Failed], s.Completed[instrument.Panicked]),
		Ended:    known(s.Completed[:]...),
		UseTime:  s.UseTime.Or(math.NaN()),
		Longest:  math.NaN(),
		HeldBack: s.HeldBack.Or(math.NaN()),
		OnCPU:    s.CPUTime[instrument.OnCPU].Or(math.NaN()),
		RunQueue: s.CPUTime[instrument.RunQueue].Or(math.NaN()),
		Blocked:  s.CPUTime[instrument.Blocked].Or(math.NaN()),
	}
	f.WaitTime = s.WaitTime.Or(total(s.Wait[instrument.Acquired], f.Served))
	f.EndedTime = total(s.Use, f.Ended)
	if age, ok := s.UseAge.Get(); ok {
		f.UseAge = age.Seconds()
	}
	if s.Use != nil {
		f.Longest = s.Use.Max().Seconds()
	}
	for _, r := range s.Resources {
		if r.Event == instrument.CreateFailed {
			f.NotMade += float64(r.Count)
		}
	}
	return f
}

// known returns the sum of the counts that are present, or NaN if none is present.
func known(counts ...instrument.Optional[int64]) float64 {
	sum := math.NaN()
	for _, c := range counts {
		if n, ok := c.Get(); ok && math.IsNaN(sum) {
			sum = float64(n)
		} else if ok {
			sum += float64(n)
		}
	}
	return sum
}

// total returns the sum of the n durations in h. If n is above 0 and h is nil, the pool does not
// time them, and total returns NaN.
func total(h *instrument.Histogram, n float64) float64 {
	switch {
	case h != nil:
		return h.Sum()
	case n == 0:
		return 0
	}
	return math.NaN()
}
