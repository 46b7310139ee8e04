package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/collector/live"
)

// A pool at level good is also listed if its verdict says that something is wrong.
func TestCheckWarningsListsVerdictsWithEvidence(t *testing.T) {
	picture := live.Picture{
		At: time.Now(),
		Pools: []live.Pool{
			{
				Name:     "db",
				Kind:     "sql",
				Service:  "shop",
				Level:    live.Trouble,
				Reason:   "3 waiting",
				Verdict:  "too small",
				Evidence: []string{"99% of 4 slots were used"},
			},
			{
				Name:     "mail",
				Kind:     "worker",
				Service:  "shop",
				Level:    live.Good,
				Verdict:  "leaking",
				Evidence: []string{"2.0 of 8 slots are held"},
			},
			{
				Name:     "big",
				Kind:     "worker",
				Service:  "shop",
				Level:    live.Good,
				Verdict:  "oversized",
				Evidence: []string{"0.1 of 90 slots were used"},
			},
		},
		Host: live.Host{Verdict: "throttled", Evidence: "in 40% of its periods"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(picture)
	}))
	defer server.Close()
	code, out, stderr := execute("check", "--warnings", server.URL)
	want := "trouble: sql db of shop: 3 waiting; too small: 99% of 4 slots were used\n" +
		"warning: worker mail of shop: leaking: 2.0 of 8 slots are held\n" +
		"host: throttled: in 40% of its periods\n"
	if code != exitFailed || out != want || !strings.Contains(stderr, "pools in trouble or close to it: 2 of 3") {
		t.Errorf("exit code %d, %s\n%s\nwant\n%s", code, stderr, out, want)
	}
}

// A monitoring job must not take a sidecar without pools for one whose pools are fine.
func TestCheckWarningsFailsWithoutPools(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(live.Picture{At: time.Now()})
	}))
	defer server.Close()
	code, out, stderr := execute("check", "--warnings", server.URL)
	if code != exitFailed || out != "" || !strings.Contains(stderr, "no pool has reported yet") {
		t.Errorf(
			"exit code %d, output %q, errors %q; want %d and that no pool has reported",
			code,
			out,
			stderr,
			exitFailed,
		)
	}
}
