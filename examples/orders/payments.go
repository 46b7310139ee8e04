package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/pools"
)

// paymentClient charges orders. It limits the number of concurrent charges.
type paymentClient struct {
	url     string
	permits *pools.Semaphore
	http    http.Client
}

func newPaymentClient(url string, permits *pools.Semaphore, transport http.RoundTripper) *paymentClient {
	return &paymentClient{
		url:     url,
		permits: permits,
		http:    http.Client{Transport: transport, Timeout: 10 * time.Second},
	}
}

// newTransport returns a transport with at most conns connections to a host. It keeps all of them
// open when they are idle.
func newTransport(conns int) *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = conns, conns
	return transport
}

func (p *paymentClient) Close() { p.http.CloseIdleConnections() }

// charge charges o and returns the ID of the charge. The request carries o's ID as its idempotency
// key, so charge may be repeated.
func (p *paymentClient) charge(ctx context.Context, o order) (string, error) {
	if err := p.permits.Acquire(ctx, 1); err != nil {
		return "", err
	}
	defer p.permits.Release(1)
	body, err := json.Marshal(map[string]any{"order": o.ID, "cents": o.Cents})
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/charges", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Idempotency-Key", o.ID)
	response, err := p.http.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("charge order %s: the payment service returned %s", o.ID, response.Status)
	}
	return string(text), err
}

// faults holds the latency and error rate of the payment service, which can be changed at run time.
type faults struct {
	mu      sync.Mutex // guards the fields below
	latency time.Duration
	errors  float64
}

func (f *faults) flags(flags *flag.FlagSet) {
	flags.DurationVar(
		&f.latency,
		"payment-latency",
		20*time.Millisecond,
		"average duration of a payment; the actual duration varies by up to half of it",
	)
	flags.Func("payment-errors", "share of payments that fail, from 0 to 1", func(given string) error {
		_, err := fmt.Sscan(given, &f.errors)
		if err != nil || !(f.errors >= 0 && f.errors <= 1) {
			return errors.New("expected a share from 0 to 1")
		}
		return nil
	})
}

// handler returns the payment service. PUT /faults?latency=2s&errors=0.5 changes its faults.
func (f *faults) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /charges", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		latency, share := f.latency, f.errors
		f.mu.Unlock()
		if latency > 0 {
			latency += time.Duration((rand.Float64() - .5) * float64(latency)) //nolint:gosec // not a secret
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(latency):
		}
		if rand.Float64() < share { //nolint:gosec // not a secret
			http.Error(w, "simulated failure", http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, "charge-%s", r.Header.Get("Idempotency-Key"))
	})
	mux.HandleFunc("PUT /faults", func(w http.ResponseWriter, r *http.Request) {
		var changed faults
		flags := flag.NewFlagSet("faults", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		changed.flags(flags)
		err := errors.Join(
			flags.Set("payment-latency", r.FormValue("latency")),
			flags.Set("payment-errors", r.FormValue("errors")),
		)
		if err != nil {
			http.Error(w, "expected a query such as ?latency=200ms&errors=0.1", http.StatusBadRequest)
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.latency, f.errors = changed.latency, changed.errors
	})
	return mux
}

// payments runs the payment service until ctx is done.
func payments(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var f faults
	flags := flag.NewFlagSet("payments", flag.ContinueOnError)
	address := flags.String("listen", "127.0.0.1:8081", "`address` to listen on")
	f.flags(flags)
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	var l lifecycle
	listener := listen(ctx, &l, *address)
	if l.err != nil {
		return l.err
	}
	failed := serveHTTP(&l, listener, f.handler())
	fmt.Fprintf(stdout, "orders: serving payments on http://%s\n", listener.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return l.stop(stopCtx)
	}
}
