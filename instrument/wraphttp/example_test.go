package wraphttp_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wraphttp"
)

func ExampleTransport() {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()

	transport, err := wraphttp.Transport("payments", &http.Transport{MaxConnsPerHost: 8})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close()
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()

	for range 3 {
		resp, err := client.Get(server.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}

	reader := instrument.OpenReader() // the Producer of instrument/producer has one
	defer reader.Close()
	for p := range reader.Points() {
		switch p.Metric.Name {
		case "poolgauge.pool.limit", "poolgauge.pool.requests", "poolgauge.pool.resources":
			if p.Int > 0 {
				fmt.Println(p.Metric.Name, p.Int)
			}
		}
	}
	// Output:
	// poolgauge.pool.limit 8
	// poolgauge.pool.requests 3
	// poolgauge.pool.resources 1
}

func ExampleListener() {
	tcp, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := wraphttp.Listener("front", tcp, 1000)
	if err != nil {
		fmt.Println(err)
		return
	}
	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(l) }()
	fmt.Println(server.Close())
	_ = l.Close()
	// Output: <nil>
}
