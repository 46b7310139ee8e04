package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxInFlight is the maximum number of requests in flight. It keeps a hung service from exhausting
// this machine. Requests above the maximum are not sent, and count as missed.
const maxInFlight = 4096

// tally counts the requests by result.
type tally struct{ accepted, rejected, failed, missed atomic.Int64 }

// load sends orders at a steady rate, however slow the responses are, like users who do not wait
// for each other.
func load(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	target := flags.String("target", "http://127.0.0.1:8080", "`URL` of the service")
	rate := flags.Float64("rate", 50, "orders per second")
	duration := flags.Duration("duration", time.Minute, "how long to send orders")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	if !(*rate > 0 && *rate <= 100_000) || *duration <= 0 {
		return usageError{
			errors.New("load: expected a -rate above 0 and at most 100000 per second, and a -duration above 0"),
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 256
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}

	ctx, cancel := context.WithTimeout(ctx, *duration)
	defer cancel()
	var t tally
	sent, elapsed := pace(ctx, *rate, int(*rate*duration.Seconds()), &t, func() { t.send(client, *target) })
	fmt.Fprintf(
		stdout,
		"orders: %d sent in %.1f s (%.1f per second): %d accepted, %d rejected, %d failed; %d missed\n",
		sent,
		elapsed.Seconds(),
		float64(sent)/elapsed.Seconds(),
		t.accepted.Load(),
		t.rejected.Load(),
		t.failed.Load(),
		t.missed.Load(),
	)
	return nil
}

// pace calls f n times at the given rate, or until ctx is done. Each call has its own goroutine,
// and pace waits for all of them.
func pace(ctx context.Context, rate float64, n int, t *tally, f func()) (sent int, elapsed time.Duration) {
	var wg sync.WaitGroup
	inFlight := make(chan struct{}, maxInFlight)
	tick := time.NewTicker(min(max(time.Duration(float64(time.Second)/rate), time.Millisecond), time.Second))
	defer tick.Stop()
	start := time.Now()
	for due := 0; due < n && ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		for ; due < min(n, int(rate*time.Since(start).Seconds())); due++ {
			select {
			case inFlight <- struct{}{}:
				sent++
				wg.Go(func() { f(); <-inFlight })
			default:
				t.missed.Add(1)
			}
		}
	}
	elapsed = time.Since(start)
	wg.Wait()
	return sent, elapsed
}

func (t *tally) send(client *http.Client, target string) {
	order := strings.NewReader(`{"item": "tea", "cents": 350}`)
	response, err := client.Post(target+"/orders", "application/json", order) //nolint:noctx // the client has a timeout
	if err != nil {
		t.failed.Add(1)
		return
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection is reused
	switch response.StatusCode {
	case http.StatusAccepted:
		t.accepted.Add(1)
	case http.StatusServiceUnavailable:
		t.rejected.Add(1)
	default:
		t.failed.Add(1)
	}
}
