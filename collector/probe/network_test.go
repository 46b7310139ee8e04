package probe

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// longTimeout is a timeout that no test is expected to reach.
const longTimeout = 10 * time.Second

// listen returns the address of a listener that passes its connections to serve and then closes
// them.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

// unusedAddress returns an address on which nothing listens.
func unusedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// names is a resolver for tests. A lookup of a name that is not in the map blocks until its context
// is done.
type names map[string][]netip.Addr

func (n names) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	if addrs, ok := n[host]; ok {
		return addrs, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func tcpTo(t *testing.T, address string, timeout time.Duration) *tcpProbe {
	t.Helper()
	_, p, err := newTCPProbe(Target{Address: address, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return p.(*tcpProbe)
}

func wantPhases(t *testing.T, r result, want ...string) {
	t.Helper()
	if got := phases(r); !slices.Equal(got, want) {
		t.Errorf("got %v (%v), want %v", got, r.err, want)
	}
}

func TestTCPProbeLooksUpAndConnects(t *testing.T) {
	address := listen(t, func(net.Conn) {})
	wantPhases(t, tcpTo(t, address, longTimeout).run(t.Context()), "connect")
	wantPhases(t, tcpTo(t, unusedAddress(t), longTimeout).run(t.Context()), "connect:connection_refused")

	_, port, _ := net.SplitHostPort(address)
	loopback, other := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	p := tcpTo(t, "db.test:"+port, longTimeout)
	p.dialer.resolver = names{"db.test": {loopback}}
	wantPhases(t, p.run(t.Context()), "lookup", "connect")
	p.dialer.resolver = names{"db.test": {other, loopback}} // nothing listens on the first address
	wantPhases(t, p.run(t.Context()), "lookup", "connect")
	p.dialer.resolver = names{"db.test": {other, other}}
	wantPhases(t, p.run(t.Context()), "lookup", "connect:connection_refused")
	p.dialer.resolver = names{"db.test": nil}
	wantPhases(t, p.run(t.Context()), "lookup", "connect:nxdomain")
	p.timeout, p.dialer.resolver = time.Millisecond, names{}
	wantPhases(t, p.run(t.Context()), "lookup:timeout")
}

// nameServer starts a name server that answers A queries for known.test, does not respond to
// queries for silent.test, fails queries for broken.test and reports that other names do not exist.
// It returns a resolver that uses that server.
func nameServer(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := answer(buf[:n]); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialNameServer(ctx, "udp", conn.LocalAddr().String())
	}}
}

// answer returns the reply to a query with one question (RFC 1035, section 4).
func answer(query []byte) []byte {
	const header = 12
	end := header
	name := ""
	for query[end] != 0 {
		name += string(query[end+1:end+1+int(query[end])]) + "."
		end += 1 + int(query[end])
	}
	kind := binary.BigEndian.Uint16(query[end+1:])
	reply := slices.Clone(query[:end+5])
	code := byte(0)
	switch name {
	case "silent.test.":
		return nil
	case "broken.test.":
		code = 2
	case "known.test.":
	default:
		code = 3
	}
	// an authoritative answer that contains only the question
	copy(reply[2:], []byte{0x84, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0})
	if name == "known.test." && kind == 1 {
		reply[7] = 1
		reply = append(reply, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
	}
	return reply
}

func TestDNSProbeReportsTheAnswer(t *testing.T) {
	server := nameServer(t)
	for name, want := range map[string]string{
		"known.test.":   "lookup",
		"unknown.test.": "lookup:nxdomain",
		"broken.test.":  "lookup:dns",
	} {
		_, p, err := newDNSProbe(Target{Address: name, Timeout: longTimeout})
		if err != nil {
			t.Fatal(err)
		}
		p.(*dnsProbe).resolver = server
		r := p.run(t.Context())
		wantPhases(t, r, want)
		if r.cost == 0 {
			t.Errorf("%s: the cost of the resolver's goroutines is 0", name)
		}
	}
	silent := &dnsProbe{resolver: server, name: "silent.test.", timeout: 20 * time.Millisecond}
	wantPhases(t, silent.run(t.Context()), "lookup:timeout")
}
