package live

import "time"

// Picture is what the sidecar knows at one moment: what the summary, the page, the JSON of /api and
// a terminal show. Its JSON is stable: keys are added and never change their meaning, and what is
// absent is left out. Times are in seconds, sizes in bytes, shares from 0 to 1, rates per second,
// of about the last ten seconds or the last interval of the app, whichever is longer.
type Picture struct {
	At      time.Time `json:"at"`
	Service string    `json:"service,omitempty"` // of the sidecar itself: its name and where it runs
	Pools   []Pool    `json:"pools"`             // worst first
	Host    Host      `json:"host"`
	Course  Course    `json:"course"`
	// seconds of a column of a Spark and of the Course: 15, or 3 in the first minutes
	Step       float64     `json:"step"`
	Containers []Container `json:"containers"`
	Probes     []Probe     `json:"probes"`
	Pipeline   Pipeline    `json:"pipeline"`
	Memory     Memory      `json:"memory"`

	unsorted []Pool // memory for the next Read
}

// Level says how well a pool serves its callers. It is not a verdict on the cause.
type Level string

// The levels, the worst first. A pool is silent when it has sent nothing for three of its
// intervals, and at least ten seconds.
const (
	Trouble Level = "trouble" // callers were not served, or one has waited for a second
	Warning Level = "warning" // it is full and callers wait, or one in a hundred waits for 100 ms
	Good    Level = "ok"
	Silent  Level = "silent"
)

// Pool is the newest of one pool.
type Pool struct {
	// the same after a restart of the app, if its resource has the same service.instance.id and
	// process.pid, or none
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`
	Service  string    `json:"service,omitempty"`
	Instance string    `json:"instance,omitempty"`
	Seen     time.Time `json:"seen"` // when its newest points came
	Level    Level     `json:"level"`
	Reason   string    `json:"reason,omitempty"` // why that level, in words

	Limit        Figure `json:"limit,omitzero"` // absent: unlimited
	Used         Figure `json:"used,omitzero"`
	Idle         Figure `json:"idle,omitzero"`
	Constructing Figure `json:"constructing,omitzero"`
	Pending      Figure `json:"pending,omitzero"`
	PendingLimit Figure `json:"pendingLimit,omitzero"` // absent: unbounded
	OldestWait   Figure `json:"oldestWait,omitzero"`   // absent: no request waits
	// how long it has lasted; absent: nothing is used, or the pool does not know
	OldestUse Figure `json:"oldestUse,omitzero"`

	Wait     Quantiles `json:"wait,omitzero"` // of all outcomes
	Use      Quantiles `json:"use,omitzero"`
	MeanWait Figure    `json:"meanWait,omitzero"` // of those that waited, where Wait is unknown
	// slot-seconds of a request that was served, on average
	MeanUse   Figure `json:"meanUse,omitzero"`
	Rate      Figure `json:"rate,omitzero"`      // acquired
	NotServed Figure `json:"notServed,omitzero"` // rejected, canceled, timed out
	Failed    Figure `json:"failed,omitzero"`    // uses that ended in an error, a panic or an exit
	OnCPU     Figure `json:"onCPU,omitzero"`     // shares of the time in use
	RunQueue  Figure `json:"runQueue,omitzero"`
	Blocked   Figure `json:"blocked,omitzero"`

	Verdict     string   `json:"verdict,omitempty"` // why it is full; absent while nothing says so
	Evidence    []string `json:"evidence,omitempty"`
	Recommended Figure   `json:"recommended,omitzero"` // limit

	// the oldest uses, while the pool is full or one lasts far longer than usual
	Holders []Holder `json:"holders,omitempty"`

	Spark Spark `json:"spark"`
}

// Fill returns used ÷ limit.
func (p Pool) Fill() Figure { return p.Used.Over(p.Limit) }

// Spark is [SparkColumns] columns of [Picture.Step] each, the oldest first; each is the most that
// was seen in it.
type Spark struct {
	Fill Column `json:"fill"` // shares of the limit, or slots used where there is none
	Wait Column `json:"wait"` // the oldest wait, or the 99th percentile if that is longer
}

// Quantiles are of a distribution of seconds, within 5 % where its buckets are that narrow.
type Quantiles struct {
	P50 Figure `json:"p50,omitzero"`
	P95 Figure `json:"p95,omitzero"`
	P99 Figure `json:"p99,omitzero"`
}

// Host is the machine, in a pod the whole node.
type Host struct {
	CPUs        Figure   `json:"cpus,omitzero"`
	CPU         Figure   `json:"cpu,omitzero"` // share of all CPUs that is busy, as IOWait and Steal
	IOWait      Figure   `json:"ioWait,omitzero"`
	Steal       Figure   `json:"steal,omitzero"`
	Load        Figure   `json:"load,omitzero"`
	MemoryUsed  Figure   `json:"memoryUsed,omitzero"`
	MemoryLimit Figure   `json:"memoryLimit,omitzero"`
	SwapUsed    Figure   `json:"swapUsed,omitzero"`
	Pressure    Pressure `json:"pressure,omitzero"`

	// what the machine or the container is short of; absent while nothing says so
	Verdict  string `json:"verdict,omitempty"`
	Evidence string `json:"evidence,omitempty"`
}

// Course is the machine's, in the columns of a [Spark]. All are shares.
type Course struct {
	CPU       Column `json:"cpu"`
	Memory    Column `json:"memory"`
	Throttled Column `json:"throttled"` // of the container that is throttled most
	Pressure  Column `json:"pressure"`  // of the resource that most is waited for
}

// Pressure is the share of time in which some task waited for a resource.
type Pressure struct {
	CPU    Figure `json:"cpu,omitzero"`
	Memory Figure `json:"memory,omitzero"`
	IO     Figure `json:"io,omitzero"`
}

// Container is a control group: a container, if it has an ID.
type Container struct {
	Path     string `json:"path"`
	ID       string `json:"id,omitempty"`
	Name     string `json:"name,omitempty"`    // in its pod; the sidecar's own has it, where it was told
	CPU      Figure `json:"cpu,omitzero"`      // CPUs used
	CPULimit Figure `json:"cpuLimit,omitzero"` // quota in CPUs; absent: none
	// share of the periods of the quota in which it was stopped
	Throttled   Figure   `json:"throttled,omitzero"`
	Memory      Figure   `json:"memory,omitzero"` // working set
	MemoryLimit Figure   `json:"memoryLimit,omitzero"`
	OOMKills    Figure   `json:"oomKills,omitzero"`
	Pressure    Pressure `json:"pressure,omitzero"`
}

// Probe is what a probe's last runs found.
type Probe struct {
	Name        string  `json:"name"` // cpu, disk, tcp, dns or http
	Target      string  `json:"target,omitempty"`
	Failed      string  `json:"failed,omitempty"` // how the last run failed
	Phases      []Phase `json:"phases,omitempty"`
	Stretch     Figure  `json:"stretch,omitzero"`
	RunDelay    Figure  `json:"runDelay,omitzero"`
	Parallelism Figure  `json:"parallelism,omitzero"` // effective parallelism, in CPUs
	Requested   Figure  `json:"requested,omitzero"`
}

// Phase is how long a part of a probe's run took.
type Phase struct {
	Name    string `json:"name"`
	Seconds Figure `json:"seconds"`
}

// Pipeline is what happens to the items that the sidecar accepts.
type Pipeline struct {
	Upstream   string `json:"upstream,omitempty"` // the endpoint; absent: none
	Lanes      []Lane `json:"lanes"`              // of the signals that had items
	QueueUsed  Figure `json:"queueUsed,omitzero"`
	QueueLimit Figure `json:"queueLimit,omitzero"`
	// 1 while the queue is on disk, 0 while its storage fails; absent: in memory
	Durable     Figure `json:"durable,omitzero"`
	Connections Figure `json:"connections,omitzero"`
}

// Lane is one signal, or the sidecar's own points.
type Lane struct {
	Name      string `json:"name"`
	Available Figure `json:"available,omitzero"` // 1 if the upstream takes it, else 0
	Queued    Figure `json:"queued,omitzero"`
	Oldest    Figure `json:"oldest,omitzero"`
	Accepted  Figure `json:"accepted,omitzero"`
	Sent      Figure `json:"sent,omitzero"`
	Rejected  Figure `json:"rejected,omitzero"`
	Dropped   Figure `json:"dropped,omitzero"`
	Refused   Figure `json:"refused,omitzero"`
}

// Memory says how much the picture itself holds. What does not fit is not shown, and counted.
type Memory struct {
	Used    int64 `json:"used"`
	Limit   int64 `json:"limit"`
	Series  int64 `json:"series"`
	Refused int64 `json:"refused"` // points of series that there was no room for
}

// History is a quarter of an hour of one pool. Column i is of the time from From + i × Step; a
// value is the most that was seen in it, null if nothing was.
type History struct {
	From       time.Time `json:"from"`
	Step       float64   `json:"step"` // seconds
	Used       Column    `json:"used"`
	Limit      Column    `json:"limit"`
	Pending    Column    `json:"pending"`
	OldestWait Column    `json:"oldestWait"`
	WaitP99    Column    `json:"waitP99"`
	UseP50     Column    `json:"useP50"` // the mean, of a pool that does not say how long each use lasts
	Rate       Column    `json:"rate"`
	NotServed  Column    `json:"notServed"`
	Waits      Heatmap   `json:"waits"`
}

// Heatmap is how many requests waited how long. Counts are approximate: within 8 %.
type Heatmap struct {
	From time.Time `json:"from"`
	Step float64   `json:"step"` // seconds
	// upper bounds of the rows in seconds, but for the last, which has none
	Bounds []float64 `json:"bounds"`
	Counts [][]int64 `json:"counts"` // by column, then by row
}
