package instrument

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Stats is a snapshot of a pool. It models every pool as n slots, which are used or free, and
// requests that wait for slots. A field that is not set is absent and not reported, whereas a value
// of 0 is reported as 0. Counts and histograms are cumulative since the pool was created.
//
// All fields are consistent with each other. If each use of the pool takes one slot,
//
//   - Usage[Used] is at most Limit, unless the limit was lowered and the pool is waiting for slots
//     to be returned,
//   - the sum of Requests is the number of calls that have ended,
//   - Requests[Acquired] minus the sum of Completed is Usage[Used],
//   - each Wait that is present holds as many durations as there are Requests with the same
//     outcome.
//
// The arrays are indexed by the constants of this package, as in s.Usage[instrument.Used]. The
// caller that requested the Stats owns the histograms, so a pool returns clones.
type Stats struct {
	Limit        Optional[int64]    // maximum number of slots; absent if unlimited
	LimitChanges Optional[int64]    // how often Limit was changed; absent if it cannot change
	Usage        [3]Optional[int64] // number of slots, by [State]
	Pending      Optional[int64]    // number of callers or tasks that are waiting
	PendingLimit Optional[int64]    // maximum number of callers or tasks that may wait; absent if unlimited
	// how long the oldest waiting caller or task has waited; absent if none is waiting
	PendingAge Optional[time.Duration]
	Requests   [5]Optional[int64] // number of calls that have ended, by [Outcome]
	// how long each request waited until it was granted or gave up, by [Outcome]; 0 if it did not wait
	Wait     [5]*Histogram
	Waits    Optional[int64]   // number of requests that had to wait, for a pool that cannot provide Wait
	WaitTime Optional[float64] // total time that these requests waited, in seconds
	Use      *Histogram        // how long each task ran, or each lease or permit was held
	// how long the oldest use in progress has lasted; absent if there is none
	UseAge  Optional[time.Duration]
	UseTime Optional[float64] // total use, in slot-seconds
	// slot-seconds for which slots were free while requests waited, because the first request in
	// the queue needed more slots than were free
	HeldBack  Optional[float64]
	Completed [4]Optional[int64] // number of uses that ended, by [Ending]
	// estimated use in seconds, by [CPUState]; absent until a task has been sampled
	CPUTime   [3]Optional[float64]
	Resources []Resources // counts of lifecycle events; absent for pools without resources
	Create    []Creation  // how long creating resources took; absent for pools without resources

	// Holders describes the few oldest uses in progress, oldest first. It is set only if
	// [Stats.WantsHolders] reports true.
	Holders []Holder

	// Exemplars holds, for each outcome, the longest wait that ended in roughly the last minute and
	// was part of a sampled trace.
	Exemplars []Exemplar

	// Parts replaces all fields above if the pool consists of several parts, each with its own
	// slots, such as the connections to each host. A total over the parts would hide that one of
	// them is full.
	Parts []Part
}

// Part is one of several parts of a pool. Its Stats have no Parts.
type Part struct {
	Attributes []attribute.KeyValue // attributes that identify the part; must not change
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

// Get returns the value and whether it is present.
func (o Optional[T]) Get() (value T, present bool) { return o.value, o.present }

// Or returns the value, or other if o is absent.
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
	Rejected          // refused without waiting, because the pool was full
	Canceled          // the caller's context was canceled while it waited
	TimedOut          // the deadline of the caller's context passed while it waited
	WasClosed         // the pool was closed before or while the caller waited
)

// GaveUp returns the outcome of a wait that ended with err, the Err of the caller's context.
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

// CPUState is the state of a task's thread.
type CPUState uint8

// The states of a task's thread.
const (
	OnCPU    CPUState = iota
	RunQueue          // ready, and waiting for a CPU
	Blocked
)

// Event is a lifecycle event of a resource.
type Event uint8

// The lifecycle events of a resource.
const (
	Created Event = iota
	Ended
	CreateFailed
)

// Resources counts the lifecycle events of one kind that had the same reason.
type Resources struct {
	Event Event
	// one of a small fixed set, such as idle, lifetime, health; empty if the event has no reason
	Reason string
	Count  int64
}

// Creation holds how long it took to create resources, for attempts with the same result.
type Creation struct {
	// one of a small fixed set, such as timeout, canceled, error; empty for success
	ErrorType string
	Duration  *Histogram
}

// String returns the attribute value that docs/metrics.md lists for s.
func (s State) String() string { return valueOf(catalog.PoolUsage, int(s)) }

// String returns the attribute value that docs/metrics.md lists for o.
func (o Outcome) String() string { return valueOf(catalog.PoolRequests, int(o)) }

// String returns the attribute value that docs/metrics.md lists for e.
func (e Ending) String() string { return valueOf(catalog.PoolCompleted, int(e)) }

// String returns the attribute value that docs/metrics.md lists for s.
func (s CPUState) String() string { return valueOf(catalog.PoolUseCPUTime, int(s)) }

// String returns the attribute value that docs/metrics.md lists for e.
func (e Event) String() string { return valueOf(catalog.PoolResources, int(e)) }

func valueOf(m *catalog.Metric, i int) string {
	return m.Attributes[0].Values[i]
}

func keyOf(m *catalog.Metric) attribute.Key {
	return m.Attributes[0].Key
}
