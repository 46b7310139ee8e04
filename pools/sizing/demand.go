package sizing

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrUnbounded is returned if a demand does not bound the number of slots because the tasks use
// neither CPU time nor a lock.
var ErrUnbounded = errors.New("sizing: the size is unbounded, because the tasks use neither CPU time nor a lock")

// Demand is a task's mean demand for each shared resource, without any queueing, as if the task ran
// alone.
type Demand struct {
	// CPU is the time that a task spends on a CPU.
	CPU time.Duration

	// Blocked is the time that a task sleeps or waits for a disk or the network. It excludes waits
	// for a CPU and for Lock.
	Blocked time.Duration

	// Lock is the time for which a task holds the most contended lock, which is part of CPU or
	// Blocked. It is 0 if there is no such lock.
	Lock time.Duration

	// CPUs is the effective parallelism: the number of CPUs or the quota, minus what neighbors use.
	// It need not be an integer.
	CPUs float64
}

func (d Demand) check() error {
	for _, part := range []struct {
		name string
		time time.Duration
	}{{"CPU time", d.CPU}, {"blocked time", d.Blocked}, {"lock time", d.Lock}} {
		if part.time < 0 {
			return fmt.Errorf("sizing: %s of a task is %v, expected a non-negative duration", part.name, part.time)
		}
	}
	if !(d.CPUs > 0) || math.IsInf(d.CPUs, 1) {
		return fmt.Errorf("sizing: CPUs is %v, expected a positive finite number", d.CPUs)
	}
	if d.Lock > d.CPU+d.Blocked {
		return fmt.Errorf(
			"sizing: a task of %v holds the lock for %v, expected at most the task's time",
			d.CPU+d.Blocked,
			d.Lock,
		)
	}
	return nil
}

// bottleneck returns the minimum time per task at the busiest shared resource, in seconds.
func (d Demand) bottleneck() float64 {
	return max(d.CPU.Seconds()/d.CPUs, d.Lock.Seconds())
}

// MaxRate returns the rate, in tasks per second, that the pool cannot exceed with any number of
// slots. It is the inverse of the demand at the bottleneck.
//
// Source: P. J. Denning and J. P. Buzen, "The Operational Analysis of Queueing Network Models",
// 1978.
func (d Demand) MaxRate() (float64, error) {
	if err := d.check(); err != nil {
		return 0, err
	}
	if d.bottleneck() == 0 {
		return 0, ErrUnbounded
	}
	return 1 / d.bottleneck(), nil
}

// headroom is the recommended size divided by the size at which the two asymptotes of throughput
// meet. Tasks vary, so at the latter size the bottleneck would sometimes be idle.
const headroom = 1.25

// goodEnough is the fraction of the highest throughput that defines the knee.
const goodEnough = 0.95

// Slots returns the size above which more slots gain almost nothing: 1.25 × (CPU + Blocked) /
// max(CPU/CPUs, Lock). The two asymptotes of throughput meet at four fifths of that size; the rest
// is headroom for variation. If there is less than one CPU, Slots uses CPU/CPUs in place of CPU.
// The size is 1 if one slot reaches 95% of the maximum rate.
//
// Source: the asymptotic bounds of Denning and Buzen, 1978, with the CPUs as one fast server.
func (d Demand) Slots() (int, error) {
	if err := d.check(); err != nil {
		return 0, err
	}
	if d.bottleneck() == 0 {
		return 0, ErrUnbounded
	}
	alone := d.CPU.Seconds()/min(1, d.CPUs) + d.Blocked.Seconds()
	meet := alone / d.bottleneck()
	if 1/meet >= goodEnough { // with one slot nothing queues, so the fraction is exact
		return 1, nil
	}
	return int(min(math.Ceil(headroom*meet-1e-9), maxSlots)), nil
}

// Recommend returns the size of a pool for tasks with demand d that arrive with load l. The size is
// large enough to keep waits within [AcceptableWait], but no larger than the bottleneck can use. If
// the load exceeds the bottleneck's capacity, no size keeps waits short, and Recommend returns the
// size that the bottleneck can use.
func Recommend(d Demand, l Load) (int, error) {
	bound, err := d.Slots()
	if errors.Is(err, ErrUnbounded) {
		return l.Slots(AcceptableWait)
	}
	if err != nil {
		return 0, err
	}
	need, err := l.Slots(AcceptableWait)
	if errors.Is(err, ErrOverload) {
		return bound, nil
	}
	return min(need, bound), err
}

// Observation holds what metrics show about a running pool at its current size. All times are means
// over tasks.
type Observation struct {
	// Used is the mean number of slots in use. Rate is the number of tasks completed per second.
	Used, Rate float64

	// Wall is the run time of a task, CPU is its time on a CPU, and RunDelay is its wait for a CPU.
	Wall, CPU, RunDelay time.Duration

	// LockWait is the time that a task waits for locks, which is part of Wall. For Go's mutexes it
	// is the increase of the runtime metric /sync/mutex/wait/total:seconds, divided by the number
	// of tasks completed in the same time.
	LockWait time.Duration

	// CPUs is as in [Demand]. The number of CPUs that a pool has used is only a lower bound, unless
	// the CPUs were saturated.
	CPUs float64
}

// residual is the mean fraction of a lock's hold time that remains when another request finds the
// lock held: 0.5 for constant hold times, 1 for exponential ones. Real hold times vary less than
// exponential ones; how much they vary is not measured.
const residual = 0.6

// Demand returns a task's demand without the queueing that the current size causes, that is,
// without waits for a CPU and for the lock. The demand for the lock follows from the waits for it,
// which grow with the number of other tasks. The other tasks request the lock at the rate λ = Rate
// × (Used-1)/Used. A fraction λ × Lock of requests finds the lock held, with λ × LockWait requests
// queued on average, so
//
//	LockWait = λ × Lock × residual × Lock + λ × LockWait × Lock
//
// which Demand solves for Lock. In a pool so small or so regular that its tasks never compete for
// the lock, the demand for it is not visible. Queueing elsewhere, such as in a saturated database,
// is not visible either and inflates Blocked; if that is likely, set Wall to the lower quartile
// over tasks.
//
// Source: mean value analysis with Schweitzer's approximation, 1979, and the residual hold of
// Pollaczek and Khinchine.
func (o Observation) Demand() (Demand, error) {
	if err := o.check(); err != nil {
		return Demand{}, err
	}
	blocked := max(0, o.Wall-o.CPU-o.RunDelay-o.LockWait)
	d := Demand{CPU: o.CPU, Blocked: blocked, CPUs: o.CPUs}
	others := o.Rate * max(0, o.Used-1) / o.Used
	if wait := o.LockWait.Seconds(); wait > 0 && others > 0 {
		half := wait * others / 2
		lock := (math.Sqrt(half*half+residual*others*wait) - half) / (residual * others)
		d.Lock = min(time.Duration(lock*float64(time.Second)), d.CPU+d.Blocked)
	}
	return d, d.check()
}

func (o Observation) check() error {
	if err := checkRate(o.Rate); err != nil {
		return err
	}
	if !(o.Used > 0) || math.IsInf(o.Used, 1) {
		return fmt.Errorf("sizing: Used is %v, expected a positive finite number", o.Used)
	}
	for _, part := range []struct {
		name string
		time time.Duration
	}{{"run time", o.Wall}, {"CPU time", o.CPU}, {"run delay", o.RunDelay}, {"lock wait", o.LockWait}} {
		if part.time < 0 {
			return fmt.Errorf("sizing: %s of a task is %v, expected a non-negative duration", part.name, part.time)
		}
	}
	return nil
}
