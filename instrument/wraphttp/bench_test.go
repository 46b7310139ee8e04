package wraphttp_test

import (
	"net/http"
	"testing"

	"github.com/poolgauge/poolgauge/instrument/wraphttp"
)

type plain struct{}

func (plain) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
}

func BenchmarkTrip(b *testing.B) {
	rt, err := wraphttp.Transport("bench", plain{})
	if err != nil {
		b.Fatal(err)
	}
	defer rt.Close()
	req, _ := http.NewRequest(http.MethodGet, "http://shop/", http.NoBody)
	b.ReportAllocs()
	for b.Loop() {
		resp, _ := rt.RoundTrip(req)
		_ = resp.Body.Close()
	}
}
