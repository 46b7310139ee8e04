package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

const clients = 4

// load is a set of clients that send to a contender until stop is called. Each client has its own
// connection.
type load struct {
	accepted, refused atomic.Int64 // points
	cancel            context.CancelFunc
	running           sync.WaitGroup
	close             []func() error // close the connections

	mu        sync.Mutex
	latencies []time.Duration // of acknowledged requests, if paced
}

// send starts clients that send requests of form f to addr. rate is in points per second, for all
// clients together; 0 means as fast as requests are acknowledged.
func send(ctx context.Context, addr string, f form, rate int) (*load, error) {
	l := &load{}
	ctx, l.cancel = context.WithCancel(ctx)
	request := newRequest(f.size)
	for i := range clients {
		export, closeConn, err := dial(addr, f, request)
		if err != nil {
			return nil, err
		}
		l.close = append(l.close, closeConn)
		c := client{load: l, export: export, points: int64(f.size)}
		if rate > 0 {
			c.pace = time.Second * time.Duration(clients*f.size) / time.Duration(rate)
			c.first = c.pace * time.Duration(i) / clients
		}
		l.running.Go(func() { c.run(ctx) })
	}
	return l, nil
}

// stop stops the clients after their requests in flight have completed.
func (l *load) stop() error {
	l.cancel()
	l.running.Wait()
	var errs []error
	for _, closeConn := range l.close {
		errs = append(errs, closeConn())
	}
	return errors.Join(errs...)
}

// quantiles returns the median and the 99th percentile of the latencies. It ignores the first tenth
// of them, during which clients connect.
func (l *load) quantiles() (p50, p99 time.Duration) {
	sorted := slices.Sorted(slices.Values(l.latencies[len(l.latencies)/10:]))
	return sorted[len(sorted)/2], sorted[len(sorted)*99/100]
}

// client sends one request at a time.
type client struct {
	*load

	export func(context.Context) error
	points int64
	first  time.Duration // delay before the first request
	pace   time.Duration // interval between requests; 0 means no pause
}

func (c *client) run(ctx context.Context) {
	next := time.Now().Add(c.first)
	for ctx.Err() == nil {
		if c.pace > 0 {
			time.Sleep(time.Until(next))
			next = next.Add(c.pace)
		}
		c.once()
	}
}

func (c *client) once() {
	// not derived from the caller's context, so that the last request is acknowledged too
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	begun := time.Now()
	err := c.export(ctx)
	took := time.Since(begun)
	if err != nil {
		c.refused.Add(c.points)
		time.Sleep(10 * time.Millisecond) // clients wait before they retry a rejected request
		return
	}
	c.accepted.Add(c.points)
	if c.pace > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.latencies = append(c.latencies, took)
	}
}

// dial opens a connection. It returns a function that sends the request over the connection, and
// one that closes it.
func dial(addr string, f form, request []byte) (export func(context.Context) error, closeConn func() error, err error) {
	if f.json {
		return dialJSON(addr, request)
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context) error {
		var answer []byte
		return conn.Invoke(
			ctx,
			otlp.Metrics.Method(),
			request,
			&answer,
			grpc.ForceCodecV2(raw{}),
			grpc.WaitForReady(true),
		)
	}, conn.Close, nil
}

func dialJSON(addr string, request []byte) (export func(context.Context) error, closeConn func() error, err error) {
	message := &colmetricpb.ExportMetricsServiceRequest{}
	if err := proto.Unmarshal(request, message); err != nil {
		return nil, nil, err
	}
	body, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(message)
	if err != nil {
		return nil, nil, err
	}
	client := &http.Client{Transport: &http.Transport{}}
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/metrics", bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		_, err = io.Copy(io.Discard, answer.Body)
		if answer.StatusCode != http.StatusOK {
			return errors.New(answer.Status)
		}
		return err
	}, func() error { client.CloseIdleConnections(); return nil }, nil
}

// newRequest returns an export request with the given number of points: a resource with five
// attributes, and metrics of five points with three attributes each.
func newRequest(size int) []byte {
	perMetric := min(5, size)
	now := uint64(time.Now().UnixNano())
	scope := &metricpb.ScopeMetrics{
		Scope: &commonpb.InstrumentationScope{Name: "example.com/shop/orders", Version: "1.2.3"},
	}
	for len(scope.Metrics)*perMetric < size {
		sum := &metricpb.Sum{
			AggregationTemporality: metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
			IsMonotonic:            true,
		}
		for i := range perMetric {
			sum.DataPoints = append(sum.DataPoints, &metricpb.NumberDataPoint{
				StartTimeUnixNano: now - 1e9,
				TimeUnixNano:      now,
				Value:             &metricpb.NumberDataPoint_AsInt{AsInt: int64(i) << 20},
				Attributes: attributes(
					"http.request.method",
					"GET",
					"http.route",
					fmt.Sprintf("/orders/%d", i),
					"server.address",
					"shop.example.com",
				),
			})
		}
		scope.Metrics = append(scope.Metrics, &metricpb.Metric{
			Name: fmt.Sprintf(
				"shop.orders.%d",
				len(scope.Metrics),
			),
			Unit: "{order}",
			Data: &metricpb.Metric_Sum{Sum: sum},
		})
	}
	data, err := proto.Marshal(&colmetricpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricpb.ResourceMetrics{{
		Resource: &resourcepb.Resource{Attributes: attributes(
			"service.name",
			"orders",
			"service.version",
			"1.2.3",
			"telemetry.sdk.name",
			"opentelemetry",
			"telemetry.sdk.language",
			"go",
			"telemetry.sdk.version",
			"1.47.0",
		)},
		ScopeMetrics: []*metricpb.ScopeMetrics{scope},
	}}})
	if err != nil {
		panic(err) // impossible: all strings are valid UTF-8
	}
	return data
}

func attributes(pairs ...string) (list []*commonpb.KeyValue) {
	for i := 0; i < len(pairs); i += 2 {
		value := &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: pairs[i+1]}}
		list = append(list, &commonpb.KeyValue{Key: pairs[i], Value: value})
	}
	return list
}
