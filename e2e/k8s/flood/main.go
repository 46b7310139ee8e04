// Command flood sends OTLP metrics over many connections at the same time, in compressed requests
// with many points. It prints how many requests were accepted, rejected and failed. It stands in
// for apps that overload a sidecar.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"
)

func main() {
	connections := flag.Int("connections", 48, "`number` of concurrent connections")
	points := flag.Int("points", 2000, "`number` of points in a request")
	duration := flag.Duration("for", 10*time.Second, "how long to send")
	flag.Parse()
	if err := flood(flag.Arg(0), *connections, *points, *duration); err != nil {
		fmt.Fprintln(os.Stderr, "flood:", err)
		os.Exit(1)
	}
}

func flood(url string, connections, points int, duration time.Duration) error {
	body, err := request(points)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	var accepted, rejected, failed atomic.Int64
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				switch code := post(ctx, client, url, body); code {
				case http.StatusOK:
					accepted.Add(1)
				case 0:
					failed.Add(1)
				default:
					rejected.Add(1)
				}
			}
		})
	}
	all.Wait()
	_, err = fmt.Printf(
		"%d × %d points: %d requests accepted, %d rejected, %d failed\n",
		connections,
		points,
		accepted.Load(),
		rejected.Load(),
		failed.Load(),
	)
	return err
}

// post returns the status code of the response, or 0 if there is none.
func post(ctx context.Context, client *http.Client, url string, body []byte) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("Content-Encoding", "gzip")
	response, err := client.Do(r)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// request returns a compressed request with the given number of points. They are points of one
// counter, each in its own series.
func request(points int) ([]byte, error) {
	sum := &metrics.Sum{
		AggregationTemporality: metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
		IsMonotonic:            true,
	}
	for i := range points {
		sum.DataPoints = append(sum.DataPoints, &metrics.NumberDataPoint{
			TimeUnixNano: uint64(time.Now().UnixNano()),
			Value:        &metrics.NumberDataPoint_AsInt{AsInt: int64(i)},
			Attributes: []*common.KeyValue{
				{
					Key:   "series",
					Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: strconv.Itoa(i)}},
				},
			},
		})
	}
	data, err := proto.Marshal(&metrics.MetricsData{ResourceMetrics: []*metrics.ResourceMetrics{
		{
			ScopeMetrics: []*metrics.ScopeMetrics{
				{Metrics: []*metrics.Metric{{Name: "flood", Data: &metrics.Metric_Sum{Sum: sum}}}},
			},
		},
	}})
	if err != nil {
		return nil, err
	}
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err = w.Close()
	return compressed.Bytes(), err
}
