package probe

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// lookupCost is charged for a look-up, which Go's resolver does on goroutines of its own, out of
// reach of the thread's clock. It was measured at 0.2 ms with the name server's part.
const lookupCost = 500 * time.Microsecond

// resolver is the part of net.Resolver that the probes use.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// systemResolver is the system's, except that its questions end with the look-up: those of Go's own
// resolver otherwise go on, each with a goroutine, for as long as /etc/resolv.conf says.
var systemResolver = &net.Resolver{Dial: dialNameServer}

func dialNameServer(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err == nil {
		context.AfterFunc(ctx, func() { _ = conn.Close() })
	}
	return conn, err
}

// lookup resolves name as the phase lookup of r. It returns no addresses if that fails.
func lookup(ctx context.Context, r *result, from resolver, name string) []netip.Addr {
	start := time.Now()
	r.cost += lookupCost
	addrs, err := from.LookupNetIP(ctx, "ip", name)
	if err != nil {
		r.fail("lookup", start, errorType(err, "dns"), err)
		return nil
	}
	r.phase("lookup", start)
	return addrs
}

// dialer connects to a host and port in the phases lookup and connect; an address as the host needs
// no look-up.
type dialer struct {
	resolver   resolver
	host, port string
}

func newDialer(host, port string) dialer {
	return dialer{systemResolver, host, port}
}

// dial returns nil if it fails. Reads and writes of the connection fail as timeouts once ctx is
// done; ctx must have a deadline.
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
	// fails only on a closed connection
	context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return conn
}

// connect tries addrs one after the other, as the resolver ordered them, and gives each its part of
// the time that is left. It returns the first error if all fail. net.Dialer would try two at once,
// on goroutines whose cost nobody would see.
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

// tcpProbe connects and hangs up.
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

// dnsProbe looks a name up.
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
