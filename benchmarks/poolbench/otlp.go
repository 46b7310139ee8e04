package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// message is the OTLP request with all points of an app and its sidecar at one time.
type message = collectorpb.ExportMetricsServiceRequest

// report builds a message. Its points have the names and attributes in docs/metrics.md.
type report struct {
	start, at uint64
	metrics   []*metricspb.Metric
}

// export returns a's current points. Simulated time starts at the beginning of 2026.
func (a *app) export() *message {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := &report{start: uint64(begin.UnixNano()), at: uint64(begin.Add(duration(a.now)).UnixNano())}
	r.pool(a.report(), a.kind.String())
	h := &a.host
	r.number(catalog.SystemCPULogicalCount, math.Ceil(a.cpus))
	r.number(catalog.CgroupCPULimit, a.cpus)
	r.number(catalog.Goroutines, a.ready, catalog.GoroutineStateKey, "runnable")
	r.number(catalog.LockWaitTime, h.lockWait)
	r.number(catalog.ProcessCPUTime, h.busy, "cpu.mode", "user")
	r.number(catalog.ProcessRunQueueTime, h.queued)
	r.number(catalog.CgroupCPUPeriods, h.periods)
	r.number(catalog.CgroupCPUThrottledPeriods, h.throttled)
	r.number(catalog.SystemCPUTime, 0, "cpu.mode", "steal")
	r.number(catalog.SystemCPUTime, a.now*math.Ceil(a.cpus)-h.busy, "cpu.mode", "idle")
	r.number(catalog.SystemCPUTime, h.busy, "cpu.mode", "user")
	r.number(catalog.PressureStallTime, 0, catalog.PressureResourceKey, "memory", catalog.PressureKindKey, "some")
	r.add(catalog.ProbeDuration, &metricspb.Metric{Data: exponential(&metricspb.ExponentialHistogramDataPoint{
		Count: uint64(
			h.writes,
		),
		Sum:               proto.Float64(h.writeTime),
		Attributes:        r.attributes(catalog.ProbeNameKey, "disk", catalog.ProbePhaseKey, "sync"),
		StartTimeUnixNano: r.start,
		TimeUnixNano:      r.at,
		Scale:             -10,
		Positive: &metricspb.ExponentialHistogramDataPoint_Buckets{
			Offset:       -1,
			BucketCounts: []uint64{uint64(h.writes)},
		},
	})})
	return &message{ResourceMetrics: []*metricspb.ResourceMetrics{{
		Resource:     &resourcepb.Resource{Attributes: r.attributes("service.name", "poolbench")},
		ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: r.metrics}},
	}}}
}

func (r *report) pool(s instrument.Stats, kind string) {
	attrs := []any{catalog.PoolNameKey, "pool", catalog.PoolKindKey, kind}
	count := func(row *catalog.Metric, o instrument.Optional[int64], with ...any) {
		if n, ok := o.Get(); ok {
			r.number(row, float64(n), append(attrs[:4:4], with...)...)
		}
	}
	seconds := func(row *catalog.Metric, o instrument.Optional[float64], with ...any) {
		if v, ok := o.Get(); ok {
			r.number(row, v, append(attrs[:4:4], with...)...)
		}
	}
	count(catalog.PoolLimit, s.Limit)
	count(catalog.PoolUsage, s.Usage[instrument.Used], catalog.PoolStateKey, instrument.Used.String())
	count(catalog.PoolPending, s.Pending)
	if age, ok := s.PendingAge.Get(); ok {
		seconds(catalog.PoolPendingAge, instrument.Some(age.Seconds()))
	}
	for i, n := range s.Requests {
		count(catalog.PoolRequests, n, catalog.PoolOutcomeKey, instrument.Outcome(i).String())
		r.durations(
			catalog.PoolWaitDuration,
			s.Wait[i],
			append(attrs[:4:4], catalog.PoolOutcomeKey, instrument.Outcome(i).String())...)
	}
	r.durations(catalog.PoolUseDuration, s.Use, attrs...)
	if age, ok := s.UseAge.Get(); ok {
		seconds(catalog.PoolUseAge, instrument.Some(age.Seconds()))
	}
	seconds(catalog.PoolUseTime, s.UseTime)
	seconds(catalog.PoolHeldBackTime, s.HeldBack)
	for i, n := range s.Completed {
		count(catalog.PoolCompleted, n, catalog.PoolOutcomeKey, instrument.Ending(i).String())
	}
	for i, v := range s.CPUTime {
		seconds(catalog.PoolUseCPUTime, v, catalog.PoolStateKey, instrument.CPUState(i).String())
	}
}

func (r *report) add(row *catalog.Metric, m *metricspb.Metric) {
	m.Name, m.Unit = row.Name, row.Unit
	r.metrics = append(r.metrics, m)
}

// number adds a point of a sum or a gauge. pairs holds its attributes as alternating keys and
// values.
func (r *report) number(row *catalog.Metric, v float64, pairs ...any) {
	p := []*metricspb.NumberDataPoint{
		{
			StartTimeUnixNano: r.start,
			TimeUnixNano:      r.at,
			Attributes:        r.attributes(pairs...),
			Value:             &metricspb.NumberDataPoint_AsDouble{AsDouble: v},
		},
	}
	if row.Number == catalog.Int {
		p[0].Value = &metricspb.NumberDataPoint_AsInt{AsInt: int64(math.Round(v))}
	}
	if row.Kind == catalog.Gauge {
		r.add(row, &metricspb.Metric{Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: p}}})
		return
	}
	r.add(row, &metricspb.Metric{Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{
		DataPoints: p, IsMonotonic: row.Kind == catalog.Counter, AggregationTemporality: cumulative,
	}}})
}

const cumulative = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE

// durations adds a point of a histogram unless h is empty.
func (r *report) durations(row *catalog.Metric, h *instrument.Histogram, pairs ...any) {
	if h.Count() == 0 {
		return
	}
	p := &metricspb.ExponentialHistogramDataPoint{
		StartTimeUnixNano: r.start,
		TimeUnixNano:      r.at,
		Attributes:        r.attributes(pairs...),
		Count:             h.Count(),
		ZeroCount:         h.Zeros(),
		Sum: proto.Float64(
			h.Sum(),
		),
		Min:      proto.Float64(h.Min().Seconds()),
		Max:      proto.Float64(h.Max().Seconds()),
		Scale:    instrument.Scale,
		Positive: &metricspb.ExponentialHistogramDataPoint_Buckets{},
	}
	for index, n := range h.Buckets() {
		b := p.Positive
		if len(b.BucketCounts) == 0 {
			b.Offset = int32(index)
		}
		for len(b.BucketCounts) < index-int(b.Offset) {
			b.BucketCounts = append(b.BucketCounts, 0)
		}
		b.BucketCounts = append(b.BucketCounts, n)
	}
	r.add(row, &metricspb.Metric{Data: exponential(p)})
}

func exponential(p *metricspb.ExponentialHistogramDataPoint) *metricspb.Metric_ExponentialHistogram {
	return &metricspb.Metric_ExponentialHistogram{ExponentialHistogram: &metricspb.ExponentialHistogram{
		DataPoints: []*metricspb.ExponentialHistogramDataPoint{p}, AggregationTemporality: cumulative,
	}}
}

func (r *report) attributes(pairs ...any) (all []*commonpb.KeyValue) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(
			all,
			&commonpb.KeyValue{
				Key:   fmt.Sprint(pairs[i]),
				Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: fmt.Sprint(pairs[i+1])}},
			},
		)
	}
	return all
}

// writeLines writes each request as a line of JSON, as the Collector's file exporter does.
func writeLines(w io.Writer, requests []*message) error {
	for _, r := range requests {
		line, err := protojson.Marshal(r)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// eachLine calls f for each request in r, which is in the format written by writeLines.
func eachLine(r io.Reader, f func(*message) error) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			request := new(message)
			if err := protojson.Unmarshal(line, request); err != nil {
				return err
			}
			if err := f(request); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
