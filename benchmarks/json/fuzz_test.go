package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

func newMessage(s otlp.Signal) proto.Message {
	switch s {
	case otlp.Metrics:
		return &metricspb.MetricsData{}
	case otlp.Traces:
		return &tracepb.TracesData{}
	default:
		return &logspb.LogsData{}
	}
}

// FuzzBodies compares the results of the decoder and pdata for any body.
func FuzzBodies(f *testing.F) {
	for _, shape := range shapes {
		body, err := shape.body(2)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(shape.signal-1), body)
	}
	for _, signal := range otlp.Signals() {
		for i := range 64 {
			g := generator{choices: bytes.Repeat([]byte{byte(i), byte(5 * i), byte(i * i), byte(i + 1)}, 40)}
			f.Add(uint8(signal-1), g.request(newMessage(signal).ProtoReflect().Descriptor()))
		}
	}
	f.Fuzz(func(t *testing.T, signal uint8, body []byte) { check(t, otlp.Signal(signal%3+1), body) })
}

// FuzzRequests compares the results of the decoder and pdata for nearly valid bodies.
func FuzzRequests(f *testing.F) {
	for i := range 64 {
		f.Add(uint8(i%3), bytes.Repeat([]byte{byte(i), byte(7 * i), byte(i * i), byte(3*i + 1)}, 100))
	}
	f.Fuzz(func(t *testing.T, s uint8, choices []byte) {
		signal := otlp.Signal(s%3 + 1)
		g := generator{choices: choices}
		check(t, signal, g.request(newMessage(signal).ProtoReflect().Descriptor()))
	})
}

// check decodes body with the decoder and with pdata, and compares the results, allowing for the
// differences that expected lists.
func check(t *testing.T, signal otlp.Signal, body []byte) {
	t.Helper()
	m := newMessage(signal)
	e := expect(body, m.ProtoReflect().Descriptor())
	ours, err := otlp.FromJSON(signal, body)
	if err != nil && !errors.Is(err, otlp.ErrMalformed) {
		t.Fatalf("FromJSON returned %v, want an error that wraps ErrMalformed", err)
	}
	if e.rejected {
		if err == nil {
			t.Fatalf("%q is accepted, want an error", body)
		}
		return
	}
	theirs, theirErr := byCollector(signal, e.body)
	if (err == nil) != (theirErr == nil) {
		if err != nil && e.twoKinds {
			return
		}
		t.Fatalf("%q:\nours   %v\npdata  %v\nof     %q", body, err, theirErr, e.body)
	}
	if err == nil {
		checkSame(t, signal, body, ours, theirs)
	}
}

func checkSame(t *testing.T, signal otlp.Signal, body, ours, theirs []byte) {
	t.Helper()
	if err := proto.Unmarshal(ours, newMessage(signal)); err != nil {
		t.Fatalf("%q: Go's protobuf: %v", body, err)
	}
	r := newRequest(signal)
	if err := r.UnmarshalProto(ours); err != nil {
		if r.UnmarshalProto(theirs) != nil {
			return // pdata accepts at most 100 nested messages
		}
		t.Fatalf("%q: pdata: %v", body, err)
	}
	again, err := r.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, theirs) {
		t.Fatalf("%q:\nours   %x\npdata  %x", body, again, theirs)
	}
	points, err := otlp.Inspect(signal, ours)
	if want, _ := otlp.Inspect(signal, theirs); points != want || err != nil {
		t.Fatalf("%q: Inspect returned %d points and error %v, want %d points", body, points, err, want)
	}
}

// Requests are generated from a fixed seed, so that a plain go test finds regressions too.
func TestRequests(t *testing.T) {
	accepted := 0
	const requests = 6000
	r := rand.New(rand.NewPCG(1, 2))
	for i := range requests {
		choices := make([]byte, 4+r.IntN(400))
		for j := range choices {
			choices[j] = byte(r.Uint32())
		}
		signal := otlp.Signal(i%3 + 1)
		g := generator{choices: choices}
		body := g.request(newMessage(signal).ProtoReflect().Descriptor())
		check(t, signal, body)
		if _, err := otlp.FromJSON(signal, body); err == nil {
			accepted++
		}
	}
	if accepted < requests/5 || accepted > requests*4/5 {
		t.Errorf("%d of %d requests are accepted, want between 1/5 and 4/5 of them", accepted, requests)
	}
}
