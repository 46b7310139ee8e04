package top

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/collector/live"
)

// The next request is made ahead of schedule only to get the history of another pool.
func TestNextRequestIsEarlyForAnotherPoolOnly(t *testing.T) {
	const every = time.Minute
	for name, c := range map[string]struct {
		want string
		wait time.Duration
	}{
		"the same pool": {"a", every},
		"no pool":       {"", every},
		"another pool":  {"b", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, err := NewClient("h:1")
				if err != nil {
					t.Fatal(err)
				}
				client.http.Transport = transport(func(r *http.Request) (*http.Response, error) {
					var v any = picture()
					if strings.HasSuffix(r.URL.Path, "/history") {
						v = &live.History{}
					}
					data, err := json.Marshal(v)
					return &http.Response{
						StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(data))), Request: r,
					}, err
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				questions, answers := make(chan string), make(chan answer)
				go ask(ctx, client, every, questions, answers)
				<-answers
				questions <- "a"
				if a := <-answers; a.id != "a" || a.history == nil || a.err != nil {
					t.Errorf("got %+v, want the history of a", a)
				}
				before := time.Now()
				questions <- c.want
				if a := <-answers; a.id != c.want || a.err != nil {
					t.Errorf("the answer is of %q, want %q; error %v", a.id, c.want, a.err)
				}
				if wait := time.Since(before); wait != c.wait {
					t.Errorf("the answer came after %v, want %v", wait, c.wait)
				}
			})
		})
	}
}
