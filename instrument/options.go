package instrument

import (
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Option configures a pool's telemetry. All kinds of pools accept the same options. A nil Option
// has no effect.
type Option func(*settings)

type settings struct {
	provider   metric.MeterProvider // nil means the global MeterProvider
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

// cpuSamples is the default number of tasks per second whose time is broken down by CPU state.
const cpuSamples = 100

// Timing holds the options that determine what a pool times.
type Timing struct {
	Off        bool // the pool is created [WithoutTelemetry]
	Exact      bool // the pool is created [WithExactTiming]
	CPUSamples int  // the value of [WithCPUSamples]
}

// TimingOf returns the Timing that opts configure. It is for use by the packages of this
// repository.
func TimingOf(opts ...Option) Timing {
	return settingsOf(opts).timing
}

// WithMeterProvider sets the MeterProvider through which the pool is reported while no [Reader] is
// open. The default is the global MeterProvider.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(s *settings) { s.provider = p }
}

// WithAttributes adds attributes to every point of the pool. Each key should have only a few values
// across all pools. If the pool itself sets an attribute with the same key, the pool's attribute
// takes precedence.
func WithAttributes(kv ...attribute.KeyValue) Option {
	return func(s *settings) { s.attributes = append(slices.Clip(s.attributes), kv...) }
}

// WithReplace lets the new pool take over the name of a live pool. The live pool is no longer
// reported, but keeps working. It is for programs that create a new pool before they close the old
// one, for example on a reload.
func WithReplace() Option {
	return func(s *settings) { s.replace = true }
}

// WithExactTiming times every use and every wait, however many there are. Each costs two clock
// readings, about 60 ns.
func WithExactTiming() Option {
	return func(s *settings) { s.timing.Exact, s.timing.Off = true, false }
}

// WithCPUSamples sets the approximate number of tasks per second that the pool samples to measure
// how much time tasks spend on a CPU, waiting for a CPU, and blocked. It applies to pools that run
// tasks, and only while these tasks take less than 10 ms. The default is 100; 0 disables sampling.
func WithCPUSamples(perSecond int) Option {
	return func(s *settings) { s.timing.CPUSamples = perSecond }
}

// WithoutTelemetry disables reporting and timing. The pool's Stats still contain counts.
func WithoutTelemetry() Option {
	return func(s *settings) { s.timing.Off, s.timing.Exact = true, false }
}
