package live

import "time"

// Picture is a snapshot of what the sidecar has observed. The summary, the page, the JSON of /api
// and the terminal show it. The JSON is stable: keys may be added but never change their meaning,
// and absent values are omitted. Durations are in seconds, sizes in bytes, and shares from 0 to 1.
// Rates are per second, averaged over about ten seconds or the app's last export interval,
// whichever is longer.
type Picture struct {
	At      time.Time `json:"at"`
	Service string    `json:"service,omitempty"` // the sidecar's name and where it runs
	Pools   []Pool    `json:"pools"`             // worst first, unless selected
	List    List      `json:"list"`
	Host    Host      `json:"host"`
	Course  Course    `json:"course"`
	// seconds per column of Spark and Course: 15, or 3 in the first minutes
	Step       float64     `json:"step"`
	Containers []Container `json:"containers"`
	Probes     []Probe     `json:"probes"`
	Pipeline   Pipeline    `json:"pipeline"`
	Memory     Memory      `json:"memory"`

	unsorted []Pool // memory for the next Read
}

// Level says how well a pool serves its callers, regardless of the cause.
type Level string

// The levels, the worst first.
const (
	// Trouble means that requests were not served, or that one has been waiting for a second.
	Trouble Level = "trouble"
	// Warning means that requests wait and 90% of the slots are in use, that the 99th percentile or
	// mean of waits is 100 ms or longer, or that uses leak or fail.
	Warning Level = "warning"
	// Good means none of the above.
	Good Level = "ok"
	// Silent means that the app has sent nothing about the pool for more than three of the app's
	// export intervals, and for more than ten seconds.
	Silent Level = "silent"
)

// Pool is the current state of a pool.
type Pool struct {
	// unchanged by a restart of the app if the resource attributes service.instance.id and
	// process.pid are unchanged or absent
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`
	Service  string    `json:"service,omitempty"`
	Instance string    `json:"instance,omitempty"`
	Seen     time.Time `json:"seen"` // when the newest points arrived
	Level    Level     `json:"level"`
	Reason   string    `json:"reason,omitempty"` // reason for the level, in words

	Limit        Figure `json:"limit,omitzero"` // absent: unlimited
	Used         Figure `json:"used,omitzero"`
	Idle         Figure `json:"idle,omitzero"`
	Constructing Figure `json:"constructing,omitzero"`
	Pending      Figure `json:"pending,omitzero"`
	PendingLimit Figure `json:"pendingLimit,omitzero"` // absent: unlimited
	OldestWait   Figure `json:"oldestWait,omitzero"`   // absent: no request is waiting
	// how long the oldest use has lasted so far; absent: nothing is in use, or unknown
	OldestUse Figure `json:"oldestUse,omitzero"`

	Wait     Quantiles `json:"wait,omitzero"` // of requests with any outcome
	Use      Quantiles `json:"use,omitzero"`
	MeanWait Figure    `json:"meanWait,omitzero"` // of requests that waited, if Wait is unknown
	// mean time of a use: slot-seconds per served request
	MeanUse   Figure `json:"meanUse,omitzero"`
	Rate      Figure `json:"rate,omitzero"`      // requests that acquired a slot
	NotServed Figure `json:"notServed,omitzero"` // rejected, canceled or timed-out requests
	Failed    Figure `json:"failed,omitzero"`    // uses that ended with an error, a panic or an exit
	OnCPU     Figure `json:"onCPU,omitzero"`     // share of the time in use, as are RunQueue and Blocked
	RunQueue  Figure `json:"runQueue,omitzero"`
	Blocked   Figure `json:"blocked,omitzero"`

	Verdict     string   `json:"verdict,omitempty"` // why the pool is full; absent if undetermined
	Evidence    []string `json:"evidence,omitempty"`
	Recommended Figure   `json:"recommended,omitzero"` // recommended limit

	// the oldest uses, if the pool is full or a use is unusually long
	Holders []Holder `json:"holders,omitempty"`

	// the longest recent wait of a request that was part of a trace, whatever its outcome
	LongestWait Waited `json:"longestWait,omitzero"`

	Spark Spark `json:"spark"`
}

// Fill returns used ÷ limit.
func (p Pool) Fill() Figure { return p.Used.Over(p.Limit) }

// Spark is a history of 60 columns, the oldest first, each of which covers [Picture.Step] seconds.
// Each column holds the maximum within its period.
type Spark struct {
	Fill Column `json:"fill"` // shares of the limit, or slots used if there is no limit
	Wait Column `json:"wait"` // the oldest wait or the 99th percentile, whichever is longer
}

// Quantiles holds quantiles of a distribution, in seconds. They are accurate to within 5% if the
// distribution's buckets are narrow enough.
type Quantiles struct {
	P50 Figure `json:"p50,omitzero"`
	P95 Figure `json:"p95,omitzero"`
	P99 Figure `json:"p99,omitzero"`
}

// Host describes the machine or, in a pod, the whole node.
type Host struct {
	CPUs        Figure   `json:"cpus,omitzero"`
	CPU         Figure   `json:"cpu,omitzero"`    // busy share of all CPU time
	IOWait      Figure   `json:"ioWait,omitzero"` // share of all CPU time, as is Steal
	Steal       Figure   `json:"steal,omitzero"`
	Load        Figure   `json:"load,omitzero"`
	MemoryUsed  Figure   `json:"memoryUsed,omitzero"`
	MemoryLimit Figure   `json:"memoryLimit,omitzero"`
	SwapUsed    Figure   `json:"swapUsed,omitzero"`
	Pressure    Pressure `json:"pressure,omitzero"`

	// which resource the machine or the container lacks; absent if undetermined
	Verdict  string `json:"verdict,omitempty"`
	Evidence string `json:"evidence,omitempty"`
}

// Course is the history of the machine, with the same columns as a [Spark]. All values are shares.
type Course struct {
	CPU       Column `json:"cpu"`
	Memory    Column `json:"memory"`
	Throttled Column `json:"throttled"` // of the most throttled container
	Pressure  Column `json:"pressure"`  // of the resource with the highest pressure
}

// Pressure is the share of time in which at least one task waited for a resource.
type Pressure struct {
	CPU    Figure `json:"cpu,omitzero"`
	Memory Figure `json:"memory,omitzero"`
	IO     Figure `json:"io,omitzero"`
}

// Container describes a cgroup. ID is set if the cgroup belongs to a container.
type Container struct {
	Path     string `json:"path"`
	ID       string `json:"id,omitempty"`
	Name     string `json:"name,omitempty"`    // only of the sidecar's own container, if configured
	CPU      Figure `json:"cpu,omitzero"`      // in CPUs
	CPULimit Figure `json:"cpuLimit,omitzero"` // quota in CPUs; absent: none
	// share of the quota's periods in which the cgroup was throttled
	Throttled   Figure   `json:"throttled,omitzero"`
	Memory      Figure   `json:"memory,omitzero"` // working set
	MemoryLimit Figure   `json:"memoryLimit,omitzero"`
	OOMKills    Figure   `json:"oomKills,omitzero"`
	Pressure    Pressure `json:"pressure,omitzero"`
}

// Probe holds the results of a probe's last runs.
type Probe struct {
	Name        string  `json:"name"` // cpu, disk, tcp, dns, http or grpc
	Target      string  `json:"target,omitempty"`
	Failed      string  `json:"failed,omitempty"` // how the last run failed
	Phases      []Phase `json:"phases,omitempty"`
	Stretch     Figure  `json:"stretch,omitzero"`
	RunDelay    Figure  `json:"runDelay,omitzero"`
	Parallelism Figure  `json:"parallelism,omitzero"` // effective parallelism, in CPUs
	Requested   Figure  `json:"requested,omitzero"`
}

// Phase is the duration of one phase of a probe's run.
type Phase struct {
	Name    string `json:"name"`
	Seconds Figure `json:"seconds"`
}

// Pipeline describes what happens to the items that the sidecar accepts.
type Pipeline struct {
	Upstream   string `json:"upstream,omitempty"` // endpoint; absent: none
	Lanes      []Lane `json:"lanes"`              // lanes that have had items
	QueueUsed  Figure `json:"queueUsed,omitzero"`
	QueueLimit Figure `json:"queueLimit,omitzero"`
	// 1 if the queue is on disk, 0 if its storage is failing; absent: in memory
	Durable     Figure `json:"durable,omitzero"`
	Connections Figure `json:"connections,omitzero"`
}

// Lane is the relay's lane for a signal or for the sidecar's own metrics.
type Lane struct {
	Name      string `json:"name"`
	Available Figure `json:"available,omitzero"` // 1 if the upstream accepts the lane's items, else 0
	Queued    Figure `json:"queued,omitzero"`
	Oldest    Figure `json:"oldest,omitzero"`
	Accepted  Figure `json:"accepted,omitzero"`
	Sent      Figure `json:"sent,omitzero"`
	Rejected  Figure `json:"rejected,omitzero"`
	Dropped   Figure `json:"dropped,omitzero"`
	Refused   Figure `json:"refused,omitzero"`
}

// Memory describes how much memory the picture uses. Points for which there is no room are counted
// but not shown.
type Memory struct {
	Used    int64 `json:"used"`    // in bytes
	Limit   int64 `json:"limit"`   // in bytes
	Series  int64 `json:"series"`  // number of series
	Refused int64 `json:"refused"` // number of points, or metrics of a new app, that are missing
}

// History is the last 15 minutes of one pool. Value i of each Column is the maximum within the Step
// seconds that begin at From + i × Step, or absent if there is none.
type History struct {
	From       time.Time `json:"from"`
	Step       float64   `json:"step"` // in seconds
	Used       Column    `json:"used"`
	Limit      Column    `json:"limit"`
	Pending    Column    `json:"pending"`
	OldestWait Column    `json:"oldestWait"`
	WaitP99    Column    `json:"waitP99"`
	UseP50     Column    `json:"useP50"` // the mean, if the pool does not report how long each use lasts
	Rate       Column    `json:"rate"`
	NotServed  Column    `json:"notServed"`
	Waits      Heatmap   `json:"waits"`
}

// Heatmap shows how many requests waited for how long. Counts are accurate to within 8%.
type Heatmap struct {
	From time.Time `json:"from"`
	Step float64   `json:"step"` // in seconds
	// upper bounds of the rows in seconds; the last row has none
	Bounds []float64 `json:"bounds"`
	Counts [][]int64 `json:"counts"` // by column, then by row
}
