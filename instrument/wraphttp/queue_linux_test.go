package wraphttp_test

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/poolgauge/poolgauge/instrument"
)

// Connections that are established but not yet accepted wait in the kernel.
func TestListenerReportsAcceptQueue(t *testing.T) {
	l := listen(t, 1)
	for range 3 {
		dial(t, l)
	}
	for l.Stats().Pending.Or(-1) != 3 { // the kernel may add the last one a little later
		runtime.Gosched()
	}
	text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Fatal(err)
	}
	want, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	// Go listens with the largest backlog that the kernel allows, and the kernel queues one more.
	if limit := l.Stats().PendingLimit.Or(0); limit != want+1 {
		t.Errorf("got pending limit %d, want %d", limit, want+1)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if s := l.Stats(); s.Pending.Or(-1) != 2 || s.Usage[instrument.Used].Or(-1) != 1 {
		t.Errorf("after one was accepted: got %v, want 2 pending and 1 used", s)
	}
}
