package instrument

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Stats describes a pool at one moment. It is the whole model, in which every pool consists of n
// slots, some used and some waited for. A field that is left out is absent and is not reported; a 0
// is reported as 0. Counts and histograms are cumulative since the pool was created.
//
// All fields describe the same moment. So for a pool whose uses take one slot each
//
//   - Usage[Used] is at most Limit, unless the pool shrinks and waits for slots to come back,
//   - Requests add up to the calls that have ended,
//   - Requests[Acquired] minus the sum of Completed is Usage[Used],
//   - each Wait that is present counts as many durations as the Requests of its outcome.
//
// Arrays are indexed by the constants of their attribute, as in s.Usage[instrument.Used].
// Histograms belong to the caller that asked for the Stats, so a pool returns clones.
type Stats struct {
	Limit        Optional[int64]    // maximum number of slots; absent if unlimited
	LimitChanges Optional[int64]    // how often Limit was changed; absent if it cannot change
	Usage        [3]Optional[int64] // slots, by [State]
	Pending      Optional[int64]    // callers or tasks that are waiting
	PendingLimit Optional[int64]    // how many may wait; absent if unbounded
	// how long the oldest of them has waited; absent if none is waiting
	PendingAge Optional[time.Duration]
	Requests   [5]Optional[int64] // calls that have ended, by [Outcome]
	Wait       [5]*Histogram      // by [Outcome], from the request until it was granted or gave up; 0 without a wait
	Waits      Optional[int64]    // requests that had to wait, for a pool that cannot provide Wait
	WaitTime   Optional[float64]  // total seconds that those waited
	Use        *Histogram         // run time of a task, or time that a lease or a permit was held
	// how long the oldest use in progress has lasted; absent if there is none
	UseAge  Optional[time.Duration]
	UseTime Optional[float64] // slot-seconds used
	// slot-seconds left unused while requests waited, because the first request needed more slots
	// than were free
	HeldBack  Optional[float64]
	Completed [4]Optional[int64] // uses that ended, by [Ending]
	// seconds of use by [CPUState], estimated; absent until a task has been sampled
	CPUTime   [3]Optional[float64]
	Resources []Resources // created and ended; absent for pools without resources
	Create    []Creation  // how long creating one took; absent for pools without resources

	// Holders are the oldest uses in progress, a few of them, oldest first. They are present only
	// if [Stats.WantsHolders] returns true.
	Holders []Holder

	// Exemplars are the longest waits, one for each outcome, that ended in about the last minute and
	// were part of a sampled trace.
	Exemplars []Exemplar

	// Parts replaces all fields above if one name stands for several pools with slots of their own,
	// such as the connections to several hosts. The sum of their limits would hide that one of them
	// is full.
	Parts []Part
}

// Part is one of several pools with the same name. Its Stats have no Parts.
type Part struct {
	Attributes []attribute.KeyValue // that identify the part; they must not change
	Stats      Stats
}

// Optional is a value that may be absent. The zero Optional is absent.
type Optional[T int64 | float64 | time.Duration] struct {
	value   T
	present bool
}

// Some returns a value that is present.
func Some[T int64 | float64 | time.Duration](v T) Optional[T] {
	return Optional[T]{value: v, present: true}
}

// Get returns the value, and whether it is present.
func (o Optional[T]) Get() (value T, present bool) { return o.value, o.present }

// Or returns the value, or other if it is absent.
func (o Optional[T]) Or(other T) T {
	if o.present {
		return o.value
	}
	return other
}

// State is the state of a slot.
type State uint8

// The states of a slot.
const (
	Used         State = iota
	Idle               // a resource or worker that is ready for use
	Constructing       // a resource that is being created
)

// Outcome is how a request for a slot ended.
type Outcome uint8

// The outcomes of a request.
const (
	Acquired  Outcome = iota
	Rejected          // at once, because the pool was full
	Canceled          // the caller's context was canceled while it waited
	TimedOut          // the deadline of the caller's context passed while it waited
	WasClosed         // the pool was closed before or while the caller waited
)

// GaveUp returns the outcome of a wait that ended with err, the error of a context.
func GaveUp(err error) Outcome {
	if errors.Is(err, context.DeadlineExceeded) {
		return TimedOut
	}
	return Canceled
}

// Ending is how a use ended.
type Ending uint8

// The endings of a use.
const (
	OK       Ending = iota
	Failed          // the task returned an error
	Panicked        // the task panicked
	Exited          // the task called runtime.Goexit
)

// CPUState is the state of the thread of a task.
type CPUState uint8

// The states of a thread.
const (
	OnCPU    CPUState = iota
	RunQueue          // ready, and waiting for a CPU
	Blocked
)

// Event is a lifecycle event of a resource.
type Event uint8

// The events of a resource.
const (
	Created Event = iota
	Ended
	CreateFailed
)

// Resources counts one kind of event, for one reason.
type Resources struct {
	Event Event
	// one of a small fixed set, such as idle, lifetime, health; empty if there is no reason
	Reason string
	Count  int64
}

// Creation has the durations of creating resources, for one result.
type Creation struct {
	// one of a small set, such as timeout, canceled, error; empty if a resource was created
	ErrorType string
	Duration  *Histogram
}

// String returns the value of the attribute, as listed in docs/metrics.md.
func (s State) String() string { return valueOf(catalog.PoolUsage, int(s)) }

// String returns the value of the attribute, as listed in docs/metrics.md.
func (o Outcome) String() string { return valueOf(catalog.PoolRequests, int(o)) }

// String returns the value of the attribute, as listed in docs/metrics.md.
func (e Ending) String() string { return valueOf(catalog.PoolCompleted, int(e)) }

// String returns the value of the attribute, as listed in docs/metrics.md.
func (s CPUState) String() string { return valueOf(catalog.PoolUseCPUTime, int(s)) }

// String returns the value of the attribute, as listed in docs/metrics.md.
func (e Event) String() string { return valueOf(catalog.PoolResources, int(e)) }

func valueOf(m *catalog.Metric, i int) string {
	return m.Attributes[0].Values[i]
}

func keyOf(m *catalog.Metric) attribute.Key {
	return m.Attributes[0].Key
}
