package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/poolgauge/poolgauge/pools"
)

// service accepts orders, and processes them in the background.
type service struct {
	admission time.Duration
	store     *store
	payments  *paymentClient
	printers  *pools.Resources[*printer]
	workers   *pools.Workers
}

// order is an order and its state.
type order struct {
	ID    string `json:"id"`
	Item  string `json:"item"`
	Cents int64  `json:"cents"`
	State string `json:"state"`
}

// The states of an order.
const (
	accepted = "accepted"
	paid     = "paid"
	failed   = "failed"
	rejected = "rejected" // the queue was full
)

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", s.post)
	mux.HandleFunc("GET /orders/{id}", s.get)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.store.PingContext(r.Context()); err != nil {
			http.Error(w, "database: "+err.Error(), http.StatusServiceUnavailable)
		}
	})
	return mux
}

// post stores an order and queues it. If the queue is full, post waits briefly for room and then
// rejects the order with 503, so that the client retries later.
func (s *service) post(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).
		Decode(&o); err != nil || o.Item == "" ||
		o.Cents <= 0 {
		http.Error(w, `expected {"item": "…", "cents": 1…}`, http.StatusBadRequest)
		return
	}
	o.ID, o.State = rand.Text(), accepted
	if err := s.store.insert(r.Context(), o); err != nil {
		http.Error(w, "database: "+err.Error(), http.StatusInternalServerError)
		return
	}
	submitCtx, cancel := context.WithTimeout(r.Context(), s.admission)
	defer cancel()
	if err := s.workers.Submit(submitCtx, s.task(o)); err != nil {
		// If this fails, the service will process the order after a restart, which is acceptable.
		_ = s.store.finish(context.WithoutCancel(r.Context()), o.ID, rejected, nil)
		w.Header().Set("Retry-After", "1")
		http.Error(w, "queue full: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Location", "/orders/"+o.ID)
	respond(w, http.StatusAccepted, o)
}

func (s *service) get(w http.ResponseWriter, r *http.Request) {
	o, err := s.store.order(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		http.NotFound(w, r)
	case err != nil:
		http.Error(w, "database: "+err.Error(), http.StatusInternalServerError)
	default:
		respond(w, http.StatusOK, o)
	}
}

func respond(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only if the client has disconnected
}

// task returns the task that processes o: it charges the order, prints the receipt and stores the
// result. Since charges are idempotent, it is safe to run again after a crash.
func (s *service) task(o order) pools.Task {
	return func(ctx context.Context) error {
		state, receipt := paid, []byte(nil)
		charge, err := s.payments.charge(ctx, o)
		if err == nil {
			receipt, err = s.print(ctx, o, charge)
		}
		if err != nil {
			state = failed
		}
		return errors.Join(err, s.store.finish(context.WithoutCancel(ctx), o.ID, state, receipt))
	}
}

func (s *service) print(ctx context.Context, o order, charge string) ([]byte, error) {
	lease, err := s.printers.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	return lease.Value().print(o, charge)
}

// resume queues the orders that an earlier run accepted but did not finish.
func (s *service) resume(ctx context.Context) error {
	orders, err := s.store.unfinished(ctx)
	for _, o := range orders {
		if err := s.workers.Submit(ctx, s.task(o)); err != nil {
			return err
		}
	}
	return err
}
