package sizing

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrUnbounded is returned if a demand bounds no number of slots, because the tasks use no CPU and no
// lock.
var ErrUnbounded = errors.New("sizing: the tasks use no CPU and no lock, which could bound the size")

// Demand is the mean time for which a task uses each shared resource. It is free of queueing: as if
// the task ran alone.
type Demand struct {
	// CPU is the time on a CPU.
	CPU time.Duration

	// Blocked is the time off the CPU without any queue of this process: sleep, disk, network. It
	// includes neither the wait for a CPU nor that for Lock.
	Blocked time.Duration

	// Lock is the time for which the most contended lock is held, as part of CPU or Blocked; 0 if
	// there is none.
	Lock time.Duration

	// CPUs is the effective parallelism: the number of CPUs or the quota, less what neighbors use.
	// It need not be whole.
	CPUs float64
}

func (d Demand) check() error {
	for _, part := range []struct {
		name string
		time time.Duration
	}{{"CPU time", d.CPU}, {"blocked time", d.Blocked}, {"lock time", d.Lock}} {
		if part.time < 0 {
			return fmt.Errorf("sizing: %s of a task is %v, expected 0 or more", part.name, part.time)
		}
	}
	if !(d.CPUs > 0) || math.IsInf(d.CPUs, 1) {
		return fmt.Errorf("sizing: %v effective CPUs, expected more than 0", d.CPUs)
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

// bottleneck returns the time between two tasks at the busiest shared resource.
func (d Demand) bottleneck() float64 {
	return max(d.CPU.Seconds()/d.CPUs, d.Lock.Seconds())
}

// MaxRate returns the tasks per second that no number of slots can exceed: one over the demand at the
// bottleneck.
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

// headroom is the factor from the point where the two asymptotes of throughput meet to the size that
// comes near the limit. Tasks vary, so that the bottleneck is idle at times although the mean number
// of tasks would keep it busy.
const headroom = 1.25

// goodEnough is the share of the highest throughput that makes a size the knee.
const goodEnough = 0.95

// Slots returns the size beyond which more slots gain almost nothing: 1.25 × (CPU + Blocked) /
// max(CPU/CPUs, Lock). That is where the two asymptotes of throughput meet, and a quarter more for
// variation. With less than one CPU, CPU is stretched to CPU/CPUs. The size is 1 if one slot reaches
// 95 % of the limit.
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
	if 1/meet >= goodEnough { // one slot never waits, so this is its exact share
		return 1, nil
	}
	return int(min(math.Ceil(headroom*meet-1e-9), maxSlots)), nil
}

// Recommend returns the size of a pool for tasks with demand d that arrive as load l: enough to keep
// waits within [AcceptableWait], but no more than the bottleneck can use. If the load exceeds the
// limit of the bottleneck, no size shortens the waits, and the latter is returned.
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

// Observation is what metrics show of a pool at work, at its present size. All times are means over
// tasks.
type Observation struct {
	// Used is the mean number of slots in use, and Rate the tasks completed per second.
	Used, Rate float64

	// Wall is the run time of a task, CPU its time on a CPU, and RunDelay its wait for one.
	Wall, CPU, RunDelay time.Duration

	// LockWait is the wait for locks, a part of Wall. For Go's mutexes it is the growth of the
	// runtime metric /sync/mutex/wait/total:seconds, divided by the tasks completed meanwhile.
	LockWait time.Duration

	// CPUs is as in [Demand]. The CPUs that a pool used are a lower bound, which is reached only by
	// a saturated pool.
	CPUs float64
}

// residual is the mean share of a hold that is left when another request finds the lock busy: 0.5
// for constant holds, 1 for exponential ones. Holds of a lock vary less than that; their variation
// is not measured.
const residual = 0.6

// Demand returns the demand of a task without the queueing that the present size causes: without
// waits for a CPU and for the lock. The demand on the lock follows from the waits for it, which grow
// with the number of other tasks. These ask for the lock at the rate λ = Rate × (Used-1)/Used; a
// share λ × Lock of requests finds it held, behind λ × LockWait others on average, so
//
//	LockWait = λ × Lock × residual × Lock + λ × LockWait × Lock
//
// solved for Lock. A pool that is so small or so regular that its tasks never compete for the lock
// shows no demand on it. Queueing elsewhere, such as in a saturated database, is not seen and
// inflates Blocked; if that is likely, use the lower quartile over tasks for Wall.
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
		return fmt.Errorf("sizing: %v slots in use, expected more than 0", o.Used)
	}
	for _, part := range []struct {
		name string
		time time.Duration
	}{{"run time", o.Wall}, {"CPU time", o.CPU}, {"run delay", o.RunDelay}, {"lock wait", o.LockWait}} {
		if part.time < 0 {
			return fmt.Errorf("sizing: %s of a task is %v, expected 0 or more", part.name, part.time)
		}
	}
	return nil
}
