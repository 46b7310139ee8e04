// Package demo simulates a small shop whose pools get into trouble one after the other: one is too
// small, one waits for a slow downstream, one contends for a lock, and one leaks.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/instrument/producer"
)

// Interval is the shop's export interval. It is short, so that changes show promptly.
const Interval = time.Second

// Run runs the shop until ctx is done. It prints to out what happens and what to watch. It sends
// the shop's metrics over OTLP/gRPC to url, such as unix:/tmp/otlp.sock. It uses the sidecar's own
// exporter, since OpenTelemetry's would make the binary 2% larger.
func Run(ctx context.Context, url string, out io.Writer) (err error) {
	client, err := export.Dial(export.Config{Protocol: export.GRPC, URL: url, Timeout: Interval})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	pools := producer.New()
	defer pools.Close()
	reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(pools))
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithResource(resource.NewWithAttributes(semconv.SchemaURL, semconv.ServiceName("demo-shop"))),
		sdkmetric.WithReader(reader),
	)
	defer func() { _ = provider.Shutdown(context.WithoutCancel(ctx)) }() // there is nothing left to flush
	shop, err := open()
	if err != nil {
		return err
	}
	exporting := make(chan struct{})
	go func() {
		defer close(exporting)
		collector.NewSampler(reader, Interval, exportTo(ctx, client)).Run(ctx)
	}()
	shop.serve(ctx)
	play(ctx, shop, out)
	shop.close()
	<-exporting
	return nil
}

// exportTo returns a sink that sends each collection with client. The sink does not retry, since
// the next collection is only a second away. It reports failures only until ctx is done, since the
// sidecar then shuts down too.
func exportTo(ctx context.Context, client export.Client) collector.Sink {
	return func(rm *metricdata.ResourceMetrics) {
		batch, err := otlp.Encode(rm)
		if err == nil {
			sendCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Interval)
			defer cancel()
			r := export.Request{Signal: batch.Signal, Points: batch.Points, Data: [][]byte{batch.Data}}
			_, err = client.Send(sendCtx, r)
		}
		if err != nil && ctx.Err() == nil {
			otel.Handle(err)
		}
	}
}

// act is one act of the story.
type act struct {
	title, watch string      // what happens, and what to watch
	begin, end   func(*shop) // may be nil
}

const actDuration = time.Minute

var story = []act{
	{
		title: "thumbnails is too small",
		watch: "every slot is used, its queue is full and requests are rejected, while its use time stays the same",
		begin: func(s *shop) { s.resize(3) }, end: func(s *shop) { s.resize(12) },
	},
	{
		title: "all is well",
		watch: "thumbnails has 12 workers now: its waits are gone",
	},
	{
		title: "payments has a slow downstream",
		watch: "its use time has grown tenfold, so that the same connections serve a fifth of the requests; more of them would only overload the downstream",
		begin: func(s *shop) { s.payment.Store(int64(500 * time.Millisecond)) },
		end:   func(s *shop) { s.payment.Store(int64(payment)) },
	},
	{
		title: "the tasks of receipts wait for a lock",
		watch: "all workers are busy and little gets done: open it, and see that its time in use is spent blocked, not on a CPU",
		begin: func(s *shop) { s.locked.Store(int64(40 * time.Millisecond)) },
		end:   func(s *shop) { s.locked.Store(int64(locked)) },
	},
	{
		title: "connections leaks",
		watch: "its slots are taken one by one and never released, while the rate of requests stays the same",
		begin: func(s *shop) { s.leaks.Store(true) }, end: (*shop).stopLeaking,
	},
}

// play plays the story again and again until ctx is done.
func play(ctx context.Context, s *shop, out io.Writer) {
	for n := 0; ; n++ {
		a := story[n%len(story)]
		fmt.Fprintf(out, "  act %d of %d: %s\n             %s\n", n%len(story)+1, len(story), a.title, a.watch)
		if a.begin != nil {
			a.begin(s)
		}
		select {
		case <-ctx.Done():
			s.stopLeaking()
			return
		case <-time.After(actDuration):
		}
		if a.end != nil {
			a.end(s)
		}
	}
}
