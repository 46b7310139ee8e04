package otlp_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

func seed(f *testing.F) {
	for i := range uint64(8) {
		r := random{rand.New(rand.NewPCG(i, 2))}
		for _, signal := range otlp.Signals() {
			f.Add(uint8(signal), marshal(f, r.request(signal)))
		}
	}
	f.Add(uint8(1), []byte("\x0a\x07\x12\x05\x12\x03\x2a\x01\x80"))
	f.Add(uint8(2), []byte("\x0b\x0b\x0c\x0c"))
}

// Inspect accepts every request that can be decoded, and counts the same points.
func FuzzInspect(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s uint8, data []byte) {
		signal := otlp.Signal(s%3 + 1)
		points, err := otlp.Inspect(signal, data)
		if err != nil && (!errors.Is(err, otlp.ErrMalformed) || points != 0) {
			t.Fatalf("%v: Inspect = %d, %v, want 0 and ErrMalformed", signal, points, err)
		}
		m := empty(signal)
		if proto.Unmarshal(data, m) != nil {
			return
		}
		if want := countPoints(m); err != nil || points != want {
			t.Fatalf("%v: Inspect = %d, %v, want %d", signal, points, err, want)
		}
	})
}

// Enrich has the same result as decoding and merging, accepts every request that Inspect accepts,
// and adds nothing to a request that is already enriched.
func FuzzEnrich(f *testing.F) {
	seed(f)
	set, add := added(f)
	f.Fuzz(func(t *testing.T, s uint8, data []byte) {
		signal := otlp.Signal(s%3 + 1)
		points, inspected := otlp.Inspect(signal, data)
		out, err := otlp.Enrich(data, add, math.MaxInt)
		if err != nil {
			if inspected == nil || !errors.Is(err, otlp.ErrMalformed) {
				t.Fatalf("Inspect = %v, Enrich = %v", inspected, err)
			}
			return
		}
		if inspected == nil {
			if n, err := otlp.Inspect(signal, out); n != points || err != nil {
				t.Fatalf("Inspect of the enriched request = %d, %v, want %d", n, err, points)
			}
		}
		checkInPlace(t, data, out, add)
		again, err := otlp.Enrich(out, add, math.MaxInt)
		if err != nil || len(again) > len(out) {
			t.Fatalf("enriching twice: got %d bytes, and then %d, %v", len(out), len(again), err)
		}
		if proto.Unmarshal(data, empty(signal)) == nil {
			checkEnriched(t, signal, data, out, set)
		}
	})
}

// FromJSON returns a request that can be decoded, or an error that wraps ErrMalformed.
func FuzzJSON(f *testing.F) {
	for _, signal := range otlp.Signals() {
		f.Add(uint8(signal), example(f, signal))
	}
	f.Add(
		uint8(1),
		[]byte(
			`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asInt":"1","exemplars":[{"spanId":"00"}]}]}}]}]}]}`,
		),
	)
	f.Add(uint8(2), []byte(`{"resourceSpans":[null,{}]}`))
	f.Fuzz(func(t *testing.T, s uint8, body []byte) {
		signal := otlp.Signal(s%3 + 1)
		data, err := otlp.FromJSON(signal, body)
		if err != nil {
			if !errors.Is(err, otlp.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if err := proto.Unmarshal(data, empty(signal)); err != nil {
			t.Fatal(err)
		}
		if _, err := otlp.Inspect(signal, data); err != nil {
			t.Fatal(err)
		}
	})
}
