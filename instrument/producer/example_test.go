package producer_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/instrument/producer"
	"github.com/poolgauge/poolgauge/pools"
)

// A program with its own MeterProvider passes the Producer to the reader. If the program has
// several readers, pass it to each of them.
func Example() {
	pool := producer.New()
	defer pool.Close() // after the provider's Shutdown, which flushes
	// or sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithProducer(pool))
	reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(pool))
	// add your resource and views here
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	otel.SetMeterProvider(provider)
	defer otel.SetMeterProvider(noop.NewMeterProvider())

	seats, err := pools.NewSemaphore("seats", 3, pools.SemaphoreConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer seats.Close()
	seats.TryAcquire(2)

	var collected metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &collected); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range collected.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				if p.Value > 0 {
					fmt.Println(m.Name, p.Value)
				}
			}
		case metricdata.ExponentialHistogram[float64]:
			fmt.Println(m.Name, "of", data.DataPoints[0].Count)
		}
	}
	// Output:
	// poolgauge.pool.limit 3
	// poolgauge.pool.usage 2
	// poolgauge.pool.requests 1
	// poolgauge.pool.wait.duration of 1
	// poolgauge.pool.verdict 1
}
