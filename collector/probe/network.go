package probe

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// lookupCost is the CPU time assumed for a lookup. The actual CPU time cannot be measured, since
// the resolver uses its own goroutines.
const lookupCost = 500 * time.Microsecond

// resolver is the part of net.Resolver that the probes use.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// systemResolver is the system's resolver, except that its queries are abandoned once the lookup's
// context is done. Otherwise, Go's resolver would continue each query, on a goroutine, until the
// timeout in /etc/resolv.conf.
var systemResolver = &net.Resolver{Dial: dialNameServer}

func dialNameServer(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err == nil {
		context.AfterFunc(ctx, func() { _ = conn.Close() })
	}
	return conn, err
}

// lookup resolves name with the given resolver, and adds the lookup phase to r. It returns no
// addresses if the lookup fails.
func lookup(ctx context.Context, r *result, via resolver, name string) []netip.Addr {
	start := time.Now()
	r.cost += lookupCost
	addrs, err := via.LookupNetIP(ctx, "ip", name)
	if err != nil {
		r.fail("lookup", start, errorType(err, "dns"), err)
		return nil
	}
	r.phase("lookup", start)
	return addrs
}

// dialer connects to a host and port, in two phases: lookup and connect. A host that is an IP
// address needs no lookup.
type dialer struct {
	resolver   resolver
	host, port string
}

func newDialer(host, port string) dialer {
	return dialer{systemResolver, host, port}
}

// dial connects, and adds its phases to r. It returns nil if it cannot connect. ctx must have a
// deadline. Once ctx is done, reads and writes on the connection time out.
func (d dialer) dial(ctx context.Context, r *result) net.Conn {
	addrs := []netip.Addr{}
	if addr, err := netip.ParseAddr(d.host); err == nil {
		addrs = append(addrs, addr)
	} else if addrs = lookup(ctx, r, d.resolver, d.host); r.err != nil {
		return nil
	}
	start := time.Now()
	conn, err := d.connect(ctx, addrs)
	if err != nil {
		r.fail("connect", start, errorType(err, otherError), err)
		return nil
	}
	r.phase("connect", start)
	// SetDeadline fails only on a closed connection.
	context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return conn
}

// connect tries addrs one after the other, in the resolver's order, and gives each an equal part of
// the remaining time. If all fail, it returns the first error. It does not let net.Dialer resolve
// the host, since the dialer could then try two addresses concurrently, on goroutines whose CPU
// time would not be measured.
func (d dialer) connect(ctx context.Context, addrs []netip.Addr) (net.Conn, error) {
	first := error(&net.DNSError{Err: "no addresses", Name: d.host, IsNotFound: true})
	for i, addr := range addrs {
		deadline, _ := ctx.Deadline()
		single := net.Dialer{Timeout: time.Until(deadline) / time.Duration(len(addrs)-i), KeepAlive: -1}
		conn, err := single.DialContext(ctx, "tcp", net.JoinHostPort(addr.String(), d.port))
		if err == nil {
			return conn, nil
		}
		if i == 0 {
			first = err
		}
	}
	return nil, first
}

// tcpProbe opens and closes a connection.
type tcpProbe struct {
	dialer  dialer
	timeout time.Duration
}

func (p *tcpProbe) run(ctx context.Context) (r result) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	if conn := p.dialer.dial(ctx, &r); conn != nil {
		_ = conn.Close()
	}
	return r
}

func (p *tcpProbe) close() {}

// dnsProbe looks up a name.
type dnsProbe struct {
	resolver resolver
	name     string
	timeout  time.Duration
}

func (p *dnsProbe) run(ctx context.Context) (r result) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	lookup(ctx, &r, p.resolver, p.name)
	return r
}

func (p *dnsProbe) close() {}
