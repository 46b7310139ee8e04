package pooltest

import (
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Full returns Stats in which no field is absent, so that every metric and every attribute of a
// pool is reported.
func Full() instrument.Stats {
	histogram := func() *instrument.Histogram {
		h := new(instrument.Histogram)
		h.RecordN(0, 3)
		h.RecordN(time.Millisecond, 2)
		h.Record(40 * time.Millisecond)
		return h
	}
	one, second := instrument.Some(int64(1)), instrument.Some(1.0)
	s := instrument.Stats{
		Limit:        one,
		Pending:      one,
		PendingLimit: one, LimitChanges: one,
		PendingAge: instrument.Some(time.Second),
		UseTime:    second,
		HeldBack:   second,
		Use:        histogram(),
		UseAge:     instrument.Some(time.Second),
		Waits:      one,
		WaitTime:   second,
		Resources: []instrument.Resources{
			{Event: instrument.Created, Count: 1},
			{Event: instrument.Ended, Reason: "idle", Count: 1},
			{Event: instrument.CreateFailed, Reason: "timeout", Count: 1},
		},
		Create: []instrument.Creation{{Duration: histogram()}, {ErrorType: "timeout", Duration: histogram()}},
	}
	for i := range s.Usage {
		s.Usage[i] = one
	}
	for i := range s.Requests {
		s.Requests[i], s.Wait[i] = one, histogram()
	}
	for i := range s.Completed {
		s.Completed[i] = one
	}
	for i := range s.CPUTime {
		s.CPUTime[i] = second
	}
	return s
}
