package receive

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Above the limit, connections with an incomplete request are read one after the other.
func TestOneConnectionAtATimeIsReadAboveTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(limits{message: 1 << 20, arriving: 1 << 10, read: 10 * time.Second})
		causes := make(chan error, 2)
		begun := func() *conn {
			c := &conn{of: &connections{gate: g}, gone: make(chan struct{})}
			a := c.begin(func(cause error) { causes <- cause })
			t.Cleanup(a.end)
			return c
		}
		reads := func(name string, c *conn, want time.Duration) {
			t.Helper()
			before := time.Now()
			if !g.wait(c) {
				t.Errorf("%s is never read", name)
			}
			if took := time.Since(before); took < want || took > 2*want {
				t.Errorf("%s is read after %v, want %v", name, took, want)
			}
		}
		first, second := begun(), begun()
		reads("a connection below the limit", first, 0)
		reads("another below the limit", second, 0)
		g.add(1<<10 + 1)
		reads("the first", first, 0)
		reads("one without an incomplete request", &conn{gone: make(chan struct{})}, 0)
		reads("the second, when the first has stalled", second, passTime)
		if cause := <-causes; !errors.Is(cause, errStalled) {
			t.Errorf("the request that stalled is canceled for %v", cause)
		}
		g.add(-1 << 10)
		reads("the first, when there is room", first, 0)
	})
}
