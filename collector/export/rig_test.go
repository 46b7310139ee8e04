package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/collector/queue"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// fake is a client with faults: answer decides the outcome of each request. Tests read the other
// fields only while the exporter is waiting or after it has stopped.
type fake struct {
	answer func(ctx context.Context, b otlp.Batch) (Result, error)

	mu       sync.Mutex
	requests []otlp.Batch // every request
	at       []time.Time  // when it was sent
	accepted []string     // data of accepted requests
	closed   int
}

func (f *fake) Send(ctx context.Context, r Request) (Result, error) {
	b := otlp.Batch{Signal: r.Signal, Points: r.Points, Data: joined(r.Data)}
	f.mu.Lock()
	f.requests, f.at = append(f.requests, b), append(f.at, time.Now())
	f.mu.Unlock()
	result, err := f.answer(ctx, b)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.accepted = append(f.accepted, string(b.Data))
	}
	return result, err
}

func (f *fake) Close() error {
	f.closed++
	return nil
}

func accept(context.Context, otlp.Batch) (Result, error) { return Result{}, nil }

func passing(reason string) error {
	return &Failure{Reason: reason, Kind: Passing, Err: errors.New("not now")}
}

func permanent(reason string) error {
	return &Failure{Reason: reason, Kind: Invalid, Err: errors.New("never")}
}

// rig is an exporter with a queue in memory, a metric reader and a log.
type rig struct {
	*Exporter

	t      *testing.T
	queue  *queue.Queue
	reader *sdkmetric.ManualReader
	log    *bytes.Buffer
	logger *slog.Logger
}

func start(t *testing.T, client Client, policy rules) *rig {
	t.Helper()
	return startLimited(t, client, policy, 64<<20)
}

func startLimited(t *testing.T, client Client, policy rules, limit int64) *rig {
	t.Helper()
	r := &rig{t: t, reader: sdkmetric.NewManualReader(), log: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	r.logger = log
	var err error
	if r.queue, err = queue.Open(
		queue.Config{Limit: limit, Lanes: []queue.Lane{queue.Metrics}, Log: slog.New(slog.DiscardHandler)},
	); err != nil {
		t.Fatal(err)
	}
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader)).Meter("test")
	lanes := []Lane{{ID: queue.Metrics, Client: client, Timeout: policy.timeout, InFlight: 1, Gather: policy.gather}}
	if r.Exporter, err = New(r.queue, lanes, policy.Policy, meter, log); err != nil {
		t.Fatal(err)
	}
	return r
}

// patient is the policy of most tests.
var patient = rules{timeout: 10 * time.Second}

// rules are a policy and further settings of a lane.
type rules struct {
	Policy

	timeout, gather time.Duration
}

// put queues batches of metrics with 10 points each.
func (r *rig) put(data ...string) {
	r.t.Helper()
	for _, d := range data {
		r.putBatch(otlp.Batch{Signal: otlp.Metrics, Points: 10, Data: []byte(d)})
	}
}

func (r *rig) putBatch(b otlp.Batch) {
	r.t.Helper()
	if err := r.queue.Put(context.Background(), queue.LaneOf(b.Signal), b); err != nil {
		r.t.Fatal(err)
	}
}

// drain drains the exporter within the given time.
func (r *rig) drain(grace time.Duration) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := r.Drain(ctx); err != nil {
		r.t.Error(err)
	}
}

// metricsLane returns the state of the metrics lane.
func (r *rig) metricsLane() LaneAccount { return r.Account().Lanes[queue.Metrics] }

func (r *rig) logLines() int { return strings.Count(r.log.String(), "\n") }

// outcomes returns the number of requests recorded by error.type, which is empty for success.
func (r *rig) outcomes() map[string]uint64 {
	r.t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.reader.Collect(context.Background(), &rm); err != nil {
		r.t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != catalog.ExportDuration.Name {
				r.t.Errorf("unexpected metric %s", m.Name)
				continue
			}
			for _, p := range m.Data.(metricdata.Histogram[float64]).DataPoints {
				reason, _ := p.Attributes.Value("error.type")
				counts[reason.AsString()] = p.Count
			}
		}
	}
	return counts
}

func equalSlices(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %s, want %s", what, brief(got), brief(want))
	}
}

// brief shortens long strings.
func brief(texts []string) (short []string) {
	for _, text := range texts {
		if len(text) > 20 {
			text = fmt.Sprintf("%.10s… of %d", text, len(text))
		}
		short = append(short, strconv.Quote(text))
	}
	return short
}
