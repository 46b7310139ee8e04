package source

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

func TestListenerDescribesTheProcess(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Skip(err)
	}
	address := l.Addr().String()
	want := fmt.Sprintf("%s, process %d", strings.TrimSpace(string(comm)), os.Getpid())
	if got := Listener(address); got != want {
		t.Errorf("%s: got %q, want %q", address, got, want)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{address, "no address"} {
		if got := Listener(address); got != "" {
			t.Errorf("%s: got %q, want \"\"", address, got)
		}
	}
}
