package sizing

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrUnbounded says that nothing in a demand bounds the useful number of slots: the tasks use no
// CPU and no lock.
var ErrUnbounded = errors.New("sizing: the tasks use no CPU and no lock, so nothing here bounds the size")

// Demand is what one task takes of each thing that tasks share, on average and free of queueing: as
// if it ran alone.
type Demand struct {
	// CPU is its time on a CPU.
	CPU time.Duration

	// Blocked is its time off the CPU that no queue in this process causes: sleeping, disk,
	// network. Not the wait for a CPU, nor for the lock below.
	Blocked time.Duration

	// Lock is how long it holds the most contended lock, within CPU or Blocked. 0 where there is
	// none.
	Lock time.Duration

	// CPUs is how many CPUs the tasks can really get at once: the number of CPUs or the quota, less
	// what neighbours take. It need not be whole.
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
			"sizing: a task of %v holds the lock for %v, expected no more than the task takes",
			d.CPU+d.Blocked,
			d.Lock,
		)
	}
	return nil
}

// bottleneck is the time between two tasks that leave the busiest of the shared things.
func (d Demand) bottleneck() float64 {
	return max(d.CPU.Seconds()/d.CPUs, d.Lock.Seconds())
}

// MaxRate returns the tasks per second that no number of slots exceeds: one over the demand on the
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

// headroom is how far beyond the point where the two asymptotes meet the throughput of a pool comes
// near its limit: tasks vary, so that the bottleneck idles at times although on average enough of
// them are under way.
const headroom = 1.25

// goodEnough is the part of the highest throughput at which a size is called the knee.
const goodEnough = 0.95

// Slots returns the size beyond which more slots bring almost nothing: 1.25 × (CPU + Blocked) /
// max(CPU/CPUs, Lock), where the two asymptotes of throughput meet and a quarter more for
// variation. With less than one CPU, CPU is stretched to CPU/CPUs. It is 1 where one slot reaches
// 95 % of the limit by itself.
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
	if 1/meet >= goodEnough { // the throughput of one slot, exactly: it never waits
		return 1, nil
	}
	return int(min(math.Ceil(headroom*meet-1e-9), maxSlots)), nil
}

// Recommend returns the size for a pool whose tasks demand d and arrive by l: what keeps waits
// within [AcceptableWait], but never more than the bottleneck can use. A load beyond the
// bottleneck's limit gets the latter: waits are then for CPUs, or for the lock, and no size
// shortens them.
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

// Observation is what instruments see of a pool at work, at whatever size it has now. All times are
// means over tasks.
type Observation struct {
	// Used is the mean number of slots in use, and Rate the tasks completed per second.
	Used, Rate float64

	// Wall is how long a task ran, CPU its time on a CPU, RunDelay its wait for one.
	Wall, CPU, RunDelay time.Duration

	// LockWait is its wait for locks, and a part of Wall: for Go's mutexes the growth of the
	// runtime metric /sync/mutex/wait/total:seconds over the tasks completed meanwhile.
	LockWait time.Duration

	// CPUs is as in [Demand]. What a pool obtained is a lower bound of it, and its value only when
	// the pool was saturated.
	CPUs float64
}

// residual is the part of a hold that a request for a busy lock still has to wait for, on average:
// 0.5 where holds are constant, 1 where they are exponential. Holds of a lock vary less than that,
// and their variation is not measured.
const residual = 0.6

// Demand returns what a task demands, with the queueing taken out that today's size causes. Waits
// for a CPU and for the lock are no part of it. The lock's demand follows from the waits for it,
// which grow with the others that are under way: of the rate λ = Rate × (Used-1)/Used at which they
// ask, a part λ × Lock finds the lock held, and λ × LockWait are queued before, so
//
//	LockWait = λ × Lock × residual × Lock + λ × LockWait × Lock
//
// solved for Lock. A pool that is so small or so regular that its tasks never meet at the lock
// shows no lock. Queueing elsewhere, such as in a saturated database, is not seen and inflates
// Blocked; where that is to be feared, use the lower quartile over tasks for Wall.
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
