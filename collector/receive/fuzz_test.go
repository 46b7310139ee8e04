package receive

import (
	"net/http"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// Every body gets status 200, 400 or 413, and every accepted batch has points.
func FuzzHTTPBody(f *testing.F) {
	for _, signal := range otlp.Signals() {
		f.Add(uint8(signal), false, false, sample(f, signal))
		f.Add(uint8(signal), false, true, gzipped(f, sample(f, signal)))
		f.Add(uint8(signal), true, false, []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}`))
	}
	b := start(f, nil)
	f.Fuzz(func(t *testing.T, s uint8, json, compressed bool, body []byte) {
		headers := []string{"Content-Type", protobufFormat.contentType}
		if json {
			headers[1] = jsonFormat.contentType
		}
		if compressed {
			headers = append(headers, "Content-Encoding", "gzip")
		}
		r, response := b.post(t, otlp.Signal(s%3+1).Path(), body, headers...)
		switch r.StatusCode {
		case http.StatusOK, http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		default:
			t.Fatalf("got status %d and %q", r.StatusCode, response)
		}
		b.forget(t)
	})
}

func FuzzGRPCBody(f *testing.F) {
	for _, signal := range otlp.Signals() {
		f.Add(uint8(signal), sample(f, signal))
	}
	f.Add(uint8(1), []byte{0x0a, 0x05})
	b := start(f, nil)
	conn := dial(f, b.GRPCAddr().String())
	f.Fuzz(func(t *testing.T, s uint8, body []byte) {
		if status, _ := export(
			t.Context(),
			conn,
			otlp.Signal(s%3+1),
			body,
		); status.Code() != codes.OK &&
			status.Code() != codes.InvalidArgument {
			t.Fatal(status)
		}
		b.forget(t)
	})
}

// forget checks the accepted batches and drops them.
func (b *testServer) forget(t *testing.T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, batch := range b.batches {
		if n, err := otlp.Inspect(batch.Signal, batch.Data); err != nil || n != batch.Points || n == 0 {
			t.Fatalf("accepted a batch with %d points, but Inspect = %d, %v", batch.Points, n, err)
		}
	}
	b.batches = nil
	for len(b.refused) > 0 {
		<-b.refused
	}
}
