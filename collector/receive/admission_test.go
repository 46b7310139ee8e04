package receive

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// Above the limit, connections with an incomplete request are read one after the other.
func TestOneConnectionAtATimeIsReadAboveTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(limits{message: 1 << 20, arriving: 1 << 10, read: 10 * time.Second})
		causes := make(chan error, 2)
		receiving := func() *conn {
			c := &conn{listener: &connections{gate: g}, closed: make(chan struct{})}
			a := c.begin(func(cause error) { causes <- cause })
			t.Cleanup(a.abandon)
			return c
		}
		expectRead := func(name string, c *conn, want time.Duration) {
			t.Helper()
			before := time.Now()
			if !g.wait(c) {
				t.Errorf("%s is never read", name)
			}
			if took := time.Since(before); took < want || took > 2*want {
				t.Errorf("%s is read after %v, want %v", name, took, want)
			}
		}
		first, second := receiving(), receiving()
		expectRead("a connection below the limit", first, 0)
		expectRead("another connection below the limit", second, 0)
		g.add(1<<10 + 1)
		expectRead("the first connection", first, 0)
		expectRead("a connection without an incomplete request", &conn{closed: make(chan struct{})}, 0)
		expectRead("the second connection, once the first has stalled,", second, passTime)
		if cause := <-causes; !errors.Is(cause, errStalled) {
			t.Errorf("the stalled request is canceled with the cause %v, want errStalled", cause)
		}
		g.add(-1 << 10)
		expectRead("the first connection, once there is room,", first, 0)
	})
}

// Requests that gRPC itself rejects leave nothing behind, although no handler is called.
func TestRequestsRejectedByGRPCAreNotCounted(t *testing.T) {
	server := start(t, nil)
	conn := dial(t, server.GRPCAddr().String())
	for range 20 {
		err := conn.Invoke(t.Context(), "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
			mem.BufferSlice{mem.SliceBuffer(make([]byte, 10_000))}, &message{}, grpc.ForceCodecV2(rawCodec{}))
		if status.Code(err) != codes.Unimplemented {
			t.Fatalf("got %v, want Unimplemented", err)
		}
	}
	for _, l := range server.listeners {
		l.mu.Lock()
		for c := range l.open {
			for i := 0; c.receiving(); i++ { // until the streams have ended
				if i == 500 {
					t.Fatal("requests are still being received")
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		l.mu.Unlock()
	}
}
