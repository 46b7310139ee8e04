package e2e

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// front forwards connections, as a Kubernetes Service does, and counts them.
type front struct {
	net.Listener
	accepted atomic.Int64
}

func newFront(t *testing.T, to string) *front {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{Listener: l}
	var forwarding sync.WaitGroup
	forwarding.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			f.accepted.Add(1)
			forwarding.Go(func() { forward(from, to) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		forwarding.Wait()
	})
	return f
}

// forward copies data in both directions between from and a new connection to address until one of
// them is closed.
func forward(from net.Conn, address string) {
	defer func() { _ = from.Close() }()
	to, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(from, to)
		_ = from.Close()
	})
	_, _ = io.Copy(to, from)
	_ = to.Close()
	back.Wait()
}
