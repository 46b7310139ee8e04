package instrument

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Stats is what a pool says of itself at one moment: the whole model, in which every pool is n
// slots, some used, some waited for. What is left out is absent, and is not reported; a 0 is
// reported as 0. Counts and histograms are cumulative since the pool was made.
//
// All of it belongs to one moment, so that for a pool whose uses take one slot each
//
//   - Usage[Used] is at most Limit, unless the pool shrinks and waits for slots to come back,
//   - Requests add up to the calls that have ended,
//   - Requests[Acquired] less the sum of Completed is Usage[Used],
//   - each Wait that is there counts as many durations as the Requests of its outcome.
//
// Arrays are indexed by the constants of their attribute: s.Usage[instrument.Used]. Histograms
// belong to the caller that asked for the Stats: a pool returns a clone.
type Stats struct {
	Limit        Optional[int64]    // slots that there may be; absent when unlimited
	LimitChanges Optional[int64]    // how often Limit was changed; absent where it cannot be
	Usage        [3]Optional[int64] // slots, by [State]
	Pending      Optional[int64]    // callers or tasks that wait now
	PendingLimit Optional[int64]    // how many may wait; absent when unbounded
	// how long the oldest of them has waited; absent when nobody waits
	PendingAge Optional[time.Duration]
	Requests   [5]Optional[int64] // calls that have ended, by [Outcome]
	Wait       [5]*Histogram      // from asking to getting or giving up, by [Outcome]; 0 if there was no wait
	Waits      Optional[int64]    // requests that had to wait, for a pool that cannot fill Wait
	WaitTime   Optional[float64]  // seconds that those waited
	Use        *Histogram         // run time of a task, time that a lease or a permit was held
	// how long the oldest use has lasted that goes on; absent when there is none
	UseAge  Optional[time.Duration]
	UseTime Optional[float64] // slot-seconds used
	// slot-seconds free while requests waited: the first wanted more slots
	HeldBack  Optional[float64]
	Completed [4]Optional[int64] // uses that ended, by [Ending]
	// seconds of use, by [CPUState], estimated; absent until a task was sampled
	CPUTime   [3]Optional[float64]
	Resources []Resources // made and ended; absent for pools without resources
	Create    []Creation  // how long making one took; absent for pools without resources

	// Holders are the few uses that go on and began first, the oldest first, of a pool that
	// [Stats.WantsHolders].
	Holders []Holder

	// Exemplars are the longest wait of each outcome in about the last minute, of the requests that
	// were part of a sampled trace.
	Exemplars []Exemplar

	// Parts are there instead of all above where one name stands for several pools with slots of
	// their own, such as the connections to each of several hosts: the sum of their limits would
	// hide the one that is full.
	Parts []Part
}

// Part is one of several pools of one name. Its Stats have no Parts.
type Part struct {
	Attributes []attribute.KeyValue // which tell it from the others; they must not change
	Stats      Stats
}

// Optional is a value that a pool may not have. The zero Optional is absent.
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

// State is what a slot is doing.
type State uint8

// The states of a slot.
const (
	Used         State = iota
	Idle               // a resource or worker that is ready for use
	Constructing       // a resource that is being made
)

// Outcome is how a request for a slot ended.
type Outcome uint8

// The outcomes of a request.
const (
	Acquired  Outcome = iota
	Rejected          // at once, since the pool was full
	Canceled          // the caller's context was canceled while it waited
	TimedOut          // the deadline of the caller's context passed while it waited
	WasClosed         // the pool was closed, before or while the caller waited
)

// GaveUp returns the outcome of a wait that ended with the error of a context.
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

// CPUState is what the thread of a task did.
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

// Resources counts one event, for one reason.
type Resources struct {
	Event Event
	// a word of a small fixed set, such as idle, lifetime, health; empty if there is none to give
	Reason string
	Count  int64
}

// Creation is the time that constructing took, where it ended in one way.
type Creation struct {
	// of a small set, such as timeout, canceled, error; empty where a resource was made
	ErrorType string
	Duration  *Histogram
}

// String returns the value of the attribute, as the table of metrics has it.
func (s State) String() string { return valueOf(catalog.PoolUsage, int(s)) }

// String returns the value of the attribute, as the table of metrics has it.
func (o Outcome) String() string { return valueOf(catalog.PoolRequests, int(o)) }

// String returns the value of the attribute, as the table of metrics has it.
func (e Ending) String() string { return valueOf(catalog.PoolCompleted, int(e)) }

// String returns the value of the attribute, as the table of metrics has it.
func (s CPUState) String() string { return valueOf(catalog.PoolUseCPUTime, int(s)) }

// String returns the value of the attribute, as the table of metrics has it.
func (e Event) String() string { return valueOf(catalog.PoolResources, int(e)) }

func valueOf(m *catalog.Metric, i int) string {
	return m.Attributes[0].Values[i]
}

func keyOf(m *catalog.Metric) attribute.Key {
	return m.Attributes[0].Key
}
