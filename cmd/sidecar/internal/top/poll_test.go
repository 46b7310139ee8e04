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

// Only a request for the history of another pool is served before the next interval begins.
func TestPollIsEarlyOnlyForAnotherPool(t *testing.T) {
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
				ids, responses := make(chan string), make(chan response)
				go poll(ctx, client, every, ids, responses)
				<-responses
				ids <- "a"
				if r := <-responses; r.id != "a" || r.history == nil || r.err != nil {
					t.Errorf("got %+v, want the history of pool a", r)
				}
				before := time.Now()
				ids <- c.want
				if r := <-responses; r.id != c.want || r.err != nil {
					t.Errorf("got the history of pool %q, error %v; want %q", r.id, r.err, c.want)
				}
				if wait := time.Since(before); wait != c.wait {
					t.Errorf("the response came after %v, want %v", wait, c.wait)
				}
			})
		})
	}
}
