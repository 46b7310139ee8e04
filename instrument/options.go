package instrument

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Option changes the telemetry of one pool. All pools take the same ones. The nil Option changes nothing.
type Option func(*settings)

type settings struct {
	provider   metric.MeterProvider // nil is the global one
	attributes []attribute.KeyValue
	mode       sampling
	cpuSamples int // a second

	conventions bool
	convention  Convention
}

func settingsOf(opts []Option) settings {
	s := settings{cpuSamples: cpuSamples}
	for _, o := range opts {
		if o != nil {
			o(&s)
		}
	}
	return s
}

// WithMeterProvider reports the pool through p, and not the global MeterProvider, while no [Reader] is open.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(s *settings) { s.provider = p }
}

// WithAttributes adds attributes to every point of the pool. They must not change during its life, and each should take few
// values. The keys that the pool itself uses win over them.
func WithAttributes(kv ...attribute.KeyValue) Option {
	return func(s *settings) { s.attributes = append(slices.Clip(s.attributes), kv...) }
}

// WithExactTiming times every use and every wait, however many there are; each costs two readings of the clock, about 60 ns.
func WithExactTiming() Option {
	return func(s *settings) { s.mode = exact }
}

// WithCPUSamples splits the time of about so many tasks a second into what they spend on a CPU, waiting for one, and blocked, in a
// pool that runs tasks; see [CPUSampler]. The default is 100, which takes less than 0.1 % of one CPU; 0 is none.
func WithCPUSamples(perSecond int) Option {
	return func(s *settings) { s.cpuSamples = perSecond }
}

// WithoutTelemetry makes a pool that is neither registered nor timed. Its Stats still count.
func WithoutTelemetry() Option {
	return func(s *settings) { s.mode = never }
}

// NewSampler returns the Sampler of a pool that was given opts. It may be copied before its first use, for one per shard; see [Sampler.Shard].
func NewSampler(opts ...Option) Sampler {
	return Sampler{mode: settingsOf(opts).mode}
}

// Off reports whether the pool was made [WithoutTelemetry], so that it need not time waits either.
func (s *Sampler) Off() bool {
	return s.mode == never
}

// Exact reports whether the pool was made [WithExactTiming], for one that chooses what it times by itself.
func (s *Sampler) Exact() bool {
	return s.mode == exact
}
