package probe_test

import (
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/poolgauge/poolgauge/collector/probe"
)

func ExampleStart() {
	runner, err := probe.Start(noop.Meter{}, slog.Default(), probe.Config{
		TCP:  []probe.Target{{Address: "127.0.0.1:5432"}},
		HTTP: []probe.Target{{Address: "http://127.0.0.1:8080/healthz"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := runner.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
}

func ExampleParseTCP() {
	_, _, err := probe.ParseTCP("db.example")
	fmt.Println(err)
	// Output: TCP target "db.example": expected host:port, such as db.example:5432 or [2001:db8::1]:443
}
