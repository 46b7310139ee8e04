package instrument

import (
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Option changes the telemetry of one pool. All pools take the same ones. The nil Option changes
// nothing.
type Option func(*settings)

type settings struct {
	provider   metric.MeterProvider // nil is the global one
	attributes []attribute.KeyValue
	timing     Timing
	replace    bool

	holderLog   *slog.Logger // nil is slog.Default
	noHolderLog bool

	conventions bool
	convention  Convention
}

func settingsOf(opts []Option) settings {
	s := settings{timing: Timing{CPUSamples: cpuSamples}}
	for _, o := range opts {
		if o != nil {
			o(&s)
		}
	}
	return s
}

// cpuSamples is how many tasks of a pool are split in a second, unless an option says otherwise.
const cpuSamples = 100

// Timing is what the options of a pool say about reading the clock.
type Timing struct {
	Off        bool // the pool was made [WithoutTelemetry]
	Exact      bool // the pool was made [WithExactTiming]
	CPUSamples int  // of [WithCPUSamples]
}

// TimingOf returns what opts say about reading the clock, for packages of this repository.
func TimingOf(opts ...Option) Timing {
	return settingsOf(opts).timing
}

// WithMeterProvider reports the pool through p, and not the global MeterProvider, while no [Reader]
// is open.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(s *settings) { s.provider = p }
}

// WithAttributes adds attributes to every point of the pool. They must not change during its life,
// and each should take few values. The keys that the pool itself uses win over them.
func WithAttributes(kv ...attribute.KeyValue) Option {
	return func(s *settings) { s.attributes = append(slices.Clip(s.attributes), kv...) }
}

// WithReplace takes the name over from a live pool that has it: the report of that pool ends, and
// the pool itself goes on. It is for a program that makes the new pool before it closes the old
// one, such as on a reload.
func WithReplace() Option {
	return func(s *settings) { s.replace = true }
}

// WithExactTiming times every use and every wait, however many there are; each costs two readings
// of the clock, about 60 ns.
func WithExactTiming() Option {
	return func(s *settings) { s.timing.Exact, s.timing.Off = true, false }
}

// WithCPUSamples splits the time of about so many tasks a second into what they spend on a CPU,
// waiting for one, and blocked, in a pool that runs tasks. Only tasks of pools whose tasks take
// less than 10 ms are sampled. The default is 100; 0 is none.
func WithCPUSamples(perSecond int) Option {
	return func(s *settings) { s.timing.CPUSamples = perSecond }
}

// WithoutTelemetry makes a pool that is neither registered nor timed. Its Stats still count.
func WithoutTelemetry() Option {
	return func(s *settings) { s.timing.Off, s.timing.Exact = true, false }
}
