// Package demo is a small app with instrumented pools that go through a story, so that there is
// something to see: a pool that is too small, one whose downstream is slow, one whose tasks wait
// for a lock, and one that leaks.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/poolgauge/poolgauge/instrument/producer"
)

// Interval is how often the app exports: what changes is to be seen at once.
const Interval = time.Second

// Run runs the app until ctx is done, tells on out what to look at, and sends its metrics to the
// gRPC target, such as unix:/tmp/otlp.sock.
func Run(ctx context.Context, target string, out io.Writer) (err error) {
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	exporter, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithGRPCConn(conn))
	if err != nil {
		return err
	}
	pools := producer.New()
	defer pools.Close()
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithResource(resource.NewWithAttributes(semconv.SchemaURL, semconv.ServiceName("demo-shop"))),
		sdkmetric.WithReader(
			sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(Interval), sdkmetric.WithProducer(pools)),
		),
	)
	shop, err := open()
	if err != nil {
		return err
	}
	shop.serve(ctx)
	tell(ctx, shop, out)
	shop.close()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = provider.Shutdown(ending) // the sidecar ends too
	return nil
}

// act is a part of the story: what changes, and what to look at.
type act struct {
	title, look string
	begin, end  func(*shop)
}

const lasts = 30 * time.Second

var story = []act{
	{
		title: "thumbnails is too small",
		look:  "every slot is used, its queue is full and callers are turned away, while its use time stays the same",
		begin: func(s *shop) { s.resize(3) }, end: func(s *shop) { s.resize(12) },
	},
	{
		title: "all is well",
		look:  "thumbnails has 12 workers now: its waits are gone",
	},
	{
		title: "payments has a slow downstream",
		look:  "its use time has grown tenfold, so that as many permits serve a tenth; more permits would only press the downstream harder",
		begin: func(s *shop) { s.payment.Store(int64(500 * time.Millisecond)) },
		end:   func(s *shop) { s.payment.Store(int64(payment)) },
	},
	{
		title: "the tasks of receipts wait for a lock",
		look:  "all workers are busy and little gets done: open it, and see its time in use blocked rather than on a CPU",
		begin: func(s *shop) { s.locked.Store(int64(40 * time.Millisecond)) },
		end:   func(s *shop) { s.locked.Store(int64(locked)) },
	},
	{
		title: "connections leaks",
		look:  "its slots fill one after the other and never come back, at the same rate of requests",
		begin: func(s *shop) { s.leaks.Store(true) }, end: (*shop).giveBack,
	},
}

// tell goes through the story, again and again.
func tell(ctx context.Context, s *shop, out io.Writer) {
	for n := 0; ; n++ {
		a := story[n%len(story)]
		fmt.Fprintf(out, "  act %d of %d: %s\n             %s\n", n%len(story)+1, len(story), a.title, a.look)
		if a.begin != nil {
			a.begin(s)
		}
		select {
		case <-ctx.Done():
			s.giveBack()
			return
		case <-time.After(lasts):
		}
		if a.end != nil {
			a.end(s)
		}
	}
}
