package instrument

import (
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Option configures the telemetry of one pool. The options are the same for all pools. A nil Option
// has no effect.
type Option func(*settings)

type settings struct {
	provider   metric.MeterProvider // nil means the global one
	attributes []attribute.KeyValue
	timing     Timing
	replace    bool

	holderLog   *slog.Logger // nil means slog.Default
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

// cpuSamples is the default number of tasks per second whose time is divided by CPU state.
const cpuSamples = 100

// Timing is the configuration of a pool for reading the clock.
type Timing struct {
	Off        bool // the pool is created [WithoutTelemetry]
	Exact      bool // the pool is created [WithExactTiming]
	CPUSamples int  // the value of [WithCPUSamples]
}

// TimingOf returns the timing that opts configure. It is for packages of this repository.
func TimingOf(opts ...Option) Timing {
	return settingsOf(opts).timing
}

// WithMeterProvider sets the MeterProvider through which the pool is reported while no [Reader] is
// open. The default is the global one.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(s *settings) { s.provider = p }
}

// WithAttributes adds attributes to every point of the pool. They must not change during the
// lifetime of the pool, and each should have few values. Keys that the pool itself uses take
// precedence.
func WithAttributes(kv ...attribute.KeyValue) Option {
	return func(s *settings) { s.attributes = append(slices.Clip(s.attributes), kv...) }
}

// WithReplace takes over the name of a live pool, if there is one: the report of that pool ends,
// but the pool itself keeps working. It is for a program that creates the new pool before it closes
// the old one, for example on a reload.
func WithReplace() Option {
	return func(s *settings) { s.replace = true }
}

// WithExactTiming times every use and every wait, however many there are. Each costs two readings
// of the clock, about 60 ns.
func WithExactTiming() Option {
	return func(s *settings) { s.timing.Exact, s.timing.Off = true, false }
}

// WithCPUSamples sets how many tasks per second, approximately, have their time divided into time
// on a CPU, waiting for one, and blocked. It applies to pools that run tasks; only pools whose
// tasks take less than 10 ms are sampled. The default is 100; 0 disables sampling.
func WithCPUSamples(perSecond int) Option {
	return func(s *settings) { s.timing.CPUSamples = perSecond }
}

// WithoutTelemetry disables the report and the timing of a pool. Its Stats still count.
func WithoutTelemetry() Option {
	return func(s *settings) { s.timing.Off, s.timing.Exact = true, false }
}
