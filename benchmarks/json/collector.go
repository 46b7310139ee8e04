package main

import (
	"fmt"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// request is a pdata export request for any signal.
type request interface {
	UnmarshalJSON(data []byte) error
	UnmarshalProto(data []byte) error
	MarshalProto() ([]byte, error)
}

func newRequest(s otlp.Signal) request {
	switch s {
	case otlp.Metrics:
		return pmetricotlp.NewExportRequest()
	case otlp.Traces:
		return ptraceotlp.NewExportRequest()
	case otlp.Logs:
		return plogotlp.NewExportRequest()
	}
	panic(fmt.Sprint("unknown signal: ", s))
}

// byCollector converts body from JSON to protobuf as a relaying Collector does.
func byCollector(s otlp.Signal, body []byte) ([]byte, error) {
	r := newRequest(s)
	if err := r.UnmarshalJSON(body); err != nil {
		return nil, err
	}
	return r.MarshalProto()
}
