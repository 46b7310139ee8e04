package sizing

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrOverload is wrapped by errors about work that arrives faster than the slots can serve it, so
// that waits would grow without limit.
var ErrOverload = errors.New("sizing: work arrives faster than the slots can serve it")

// maxSlots bounds the number of slots in every argument and result, and thereby every loop of this
// package.
const maxSlots = 1_000_000

// Little returns the mean number of requests in a system: the product of rate, in requests per
// second, and latency, the mean time that a request spends in the system. This holds for every
// stable system, whatever the order of service and the distributions.
//
// Source: J. D. C. Little, "A Proof for the Queuing Formula: L = λW", Operations Research 9(3),
// 1961.
func Little(rate float64, latency time.Duration) (float64, error) {
	if err := checkRate(rate); err != nil {
		return 0, err
	}
	if latency < 0 {
		return 0, fmt.Errorf("sizing: time in system is %v, expected a non-negative duration", latency)
	}
	return rate * latency.Seconds(), nil
}

// ErlangC returns the probability, 0 to 1, that a request finds all slots used and has to wait.
// load is the offered load in erlangs: arrivals per second times seconds of service. ErlangC
// assumes Poisson arrivals, exponential service times and a single first-in, first-out queue that
// no request leaves early. If the load exceeds what the slots can serve, the error wraps
// [ErrOverload].
//
// Source: A. K. Erlang, 1917; computed by the stable recursion of Erlang B, so that large pools do
// not overflow.
func ErlangC(slots int, load float64) (float64, error) {
	if err := checkSlots(slots); err != nil {
		return 0, err
	}
	if err := checkLoad(load); err != nil {
		return 0, err
	}
	if load >= float64(slots) {
		return 0, fmt.Errorf("%w: %d slots for a load of %.4g", ErrOverload, slots, load)
	}
	blocked := 1.0
	for n := firstSlots(load); n <= slots && blocked > 0; n++ {
		blocked = nextErlangB(blocked, n, load)
	}
	return erlangC(blocked, slots, load), nil
}

// firstSlots returns the number of slots at which the recursion of Erlang B may start with a
// blocking probability of 1. With n slots, a step multiplies an error by at most n/load, so from
// nine standard deviations of the load below it, the error vanishes in the precision of a float64
// before n reaches the load.
func firstSlots(load float64) int { return max(1, int(load-9*math.Sqrt(load))) }

// nextErlangB returns the blocking probability with n slots, given blocked, the probability with
// n-1 slots.
func nextErlangB(blocked float64, n int, load float64) float64 {
	return load * blocked / (float64(n) + load*blocked)
}

func erlangC(erlangB float64, slots int, load float64) float64 {
	return erlangB / (1 - load/float64(slots)*(1-erlangB))
}

// Load describes work that arrives independently of the number of free slots.
type Load struct {
	// Rate is the number of arrivals per second. Erlang's formulas assume independent arrivals; for
	// bursts use the peak rate, or the 95th percentile of the rates over windows of about the
	// service time.
	Rate float64

	// Service is the mean time for which a request uses a slot, not including its wait.
	Service time.Duration

	// CV is the service time's coefficient of variation, which is its standard deviation divided by
	// its mean: 0 if the service time is constant, 1 if it is exponentially distributed.
	CV float64
}

func (l Load) check() error {
	if err := checkRate(l.Rate); err != nil {
		return err
	}
	if l.Service < 0 {
		return fmt.Errorf("sizing: service time is %v, expected a non-negative duration", l.Service)
	}
	if math.IsNaN(l.CV) || l.CV < 0 || math.IsInf(l.CV, 1) {
		return fmt.Errorf("sizing: coefficient of variation is %v, expected a non-negative number", l.CV)
	}
	return checkLoad(l.erlangs())
}

func (l Load) erlangs() float64 { return l.Rate * l.Service.Seconds() }

// Wait returns the mean wait for a slot over all requests, including requests that do not wait. It
// is the wait in an M/M/c queue times (1+CV²)/2, which is exact for one slot and for a CV of 1, and
// otherwise an approximation.
//
// Source: A. O. Allen, "Probability, Statistics, and Queueing Theory", 1990 (Allen–Cunneen with
// Poisson arrivals).
func (l Load) Wait(slots int) (time.Duration, error) {
	if err := l.check(); err != nil {
		return 0, err
	}
	waiting, err := ErlangC(slots, l.erlangs())
	if err != nil {
		return 0, err
	}
	return time.Duration(l.relativeWait(waiting, slots) * float64(l.Service)), nil
}

// relativeWait returns the mean wait as a multiple of the service time, given the probability that
// a request has to wait.
func (l Load) relativeWait(waiting float64, slots int) float64 {
	return waiting / (float64(slots) - l.erlangs()) * (1 + l.CV*l.CV) / 2
}

// AcceptableWait is the mean wait that [Recommend] allows, as a fraction of the service time.
const AcceptableWait = 0.1

// Slots returns the smallest number of slots, at least 1, for which the mean wait does not exceed
// the given multiple of the service time.
func (l Load) Slots(wait float64) (int, error) {
	if err := l.check(); err != nil {
		return 0, err
	}
	if !(wait > 0) || math.IsInf(wait, 1) {
		return 0, fmt.Errorf("sizing: acceptable wait is %v times the service time, expected a positive factor", wait)
	}
	load, blocked := l.erlangs(), 1.0
	for n := firstSlots(load); n <= maxSlots; n++ {
		blocked = nextErlangB(blocked, n, load)
		if float64(n) > load && l.relativeWait(erlangC(blocked, n, load), n) <= wait {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: a load of %.4g needs more than %d slots", ErrOverload, load, maxSlots)
}

func checkRate(rate float64) error {
	if math.IsNaN(rate) || rate < 0 || math.IsInf(rate, 1) {
		return fmt.Errorf("sizing: rate is %v per second, expected a non-negative number", rate)
	}
	return nil
}

func checkLoad(load float64) error {
	if math.IsNaN(load) || load < 0 || load > maxSlots {
		return fmt.Errorf("sizing: load is %v, expected 0 to %d", load, maxSlots)
	}
	return nil
}

func checkSlots(slots int) error {
	if slots < 1 || slots > maxSlots {
		return fmt.Errorf("sizing: %d slots, expected 1 to %d", slots, maxSlots)
	}
	return nil
}
