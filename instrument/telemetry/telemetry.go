package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	runtimemetrics "go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/poolgauge/poolgauge/instrument/producer"
	"github.com/poolgauge/poolgauge/internal/goroutines"
)

// defaultInterval is the default export interval, the same as the sidecar's. The specification's
// default of a minute would hide anything that a pool does for less than a minute.
const defaultInterval = 10 * time.Second

// scopeName is the instrumentation scope of this package's own metrics.
const scopeName = "github.com/poolgauge/poolgauge/instrument/telemetry"

// ErrStarted is returned by Start if an earlier Start has not been shut down yet, since both would
// report every pool.
var ErrStarted = errors.New("telemetry: already started; shut it down first")

var started atomic.Bool

// Option configures [Start].
type Option func(*options)

type options struct {
	attributes []attribute.KeyValue
}

// WithAttributes adds attributes to the resource, such as service.name and service.version.
// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override these attributes.
func WithAttributes(kv ...attribute.KeyValue) Option {
	return func(o *options) { o.attributes = append(o.attributes, kv...) }
}

// Start starts exporting all metrics of the process, as described in the package documentation, and
// sets the global MeterProvider. ctx applies only to Start itself. Start does not wait for the
// receiver; points are lost while the receiver is unreachable. The beginning and the end of such an
// outage, and all other export errors, are reported to [go.opentelemetry.io/otel.Handle].
//
// The error for an invalid variable is a single line with the variable's name, what was expected,
// and the value, unless it may be a secret.
//
// Call shutdown last, after closing the pools. It exports once more, stops exporting and waits for
// the exporting goroutine. If shutdown's ctx is done first, shutdown returns an error; if that ctx
// has no deadline, OTEL_METRIC_EXPORT_TIMEOUT applies. Further calls do nothing and return nil.
// shutdown is never nil: if Start fails or has nothing to start, shutdown does nothing.
func Start(ctx context.Context, opts ...Option) (shutdown func(context.Context) error, err error) {
	noop := func(context.Context) error { return nil }
	env, err := readSettings(os.Getenv)
	if err != nil {
		return noop, fmt.Errorf("telemetry: %w", err)
	}
	if env.off {
		if env.advice != "" {
			otel.Handle(errors.New("telemetry: " + env.advice))
		}
		return noop, nil
	}
	var o options
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	exporter, err := env.newExporter(ctx)
	if err != nil {
		return noop, fmt.Errorf("telemetry: creating the OTLP exporter: %w", err)
	}
	if !started.CompareAndSwap(false, true) {
		return noop, errors.Join(ErrStarted, exporter.Shutdown(ctx))
	}
	s := newSession(
		env,
		&outageExporter{Exporter: exporter, endpoint: env.displayEndpoint(os.Getenv)},
		sdkmetric.WithResource(detect(ctx, o.attributes)),
	)
	if err := errors.Join(
		// no minimum interval, since reading runtime metrics is cheap
		runtimemetrics.Start(
			runtimemetrics.WithMeterProvider(s.provider),
			runtimemetrics.WithMinimumReadMemStatsInterval(0),
		),
		goroutines.Start(s.provider.Meter(scopeName)),
	); err != nil {
		return noop, fmt.Errorf("telemetry: starting runtime metrics: %w", errors.Join(err, s.shutdown(ctx)))
	}
	otel.SetMeterProvider(s.provider)
	warnOfGOMAXPROCS()
	return s.shutdown, nil
}

// session holds what Start has started and shutdown must stop.
type session struct {
	provider *sdkmetric.MeterProvider
	exporter *outageExporter
	pools    *producer.Producer // nil if pools are reported through the MeterProvider
	once     sync.Once
}

func newSession(env settings, exporter *outageExporter, opts ...sdkmetric.Option) *session {
	s := &session{exporter: exporter}
	readerOptions := []sdkmetric.PeriodicReaderOption{sdkmetric.WithInterval(env.interval)}
	if env.useProducer {
		s.pools = producer.New()
		readerOptions = append(readerOptions, sdkmetric.WithProducer(s.pools))
	}
	s.provider = sdkmetric.NewMeterProvider(
		append(opts, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter, readerOptions...)))...)
	return s
}

func (s *session) shutdown(ctx context.Context) (err error) {
	s.once.Do(func() {
		s.exporter.closing.Store(true)
		err = s.provider.Shutdown(ctx)
		if s.pools != nil {
			s.pools.Close()
		}
		started.Store(false)
	})
	if err != nil {
		return fmt.Errorf("telemetry: shutdown: %w", err)
	}
	return nil
}
