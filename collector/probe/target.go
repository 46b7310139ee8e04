package probe

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ParseTCP splits the target of a TCP probe, "host:port" with a name or an address as the host
// (IPv6 in brackets) and a port of 1 to 65535. The error names s and what was expected.
func ParseTCP(s string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(s)
	if err != nil || !validHost(host) || !validPort(port) {
		return "", "", fmt.Errorf(
			"TCP target %q: want host:port, such as db.example:5432 or [2001:db8::1]:443",
			redact(s),
		)
	}
	return host, port, nil
}

// ParseDNS checks the target of a DNS probe, a name. It returns the name unchanged, so that the
// resolver's search list applies unless the name ends in a dot. The error names s and what was
// expected.
func ParseDNS(s string) (name string, err error) {
	if !validName(s) {
		return "", fmt.Errorf(
			"DNS target %q: want a host name, such as db.example (a non-ASCII one in its xn-- form)",
			redact(s),
		)
	}
	return s, nil
}

// ParseHTTP parses the target of an HTTP probe: an http or https URL with a host and without a user
// and password. The error names s, without what precedes an @, and what was expected.
func ParseHTTP(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	// The error of url.Parse quotes parts of s, and these may be parts of a password.
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || !validHost(u.Hostname()) ||
		!validURLPort(u) {
		return nil, fmt.Errorf(
			"HTTP target %q: want http:// or https:// with a host, and no user or password, such as http://app.example:8080/healthz",
			redact(s),
		)
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// ParseGRPC parses the target of a gRPC probe: grpc, or grpcs for TLS, with a host and a port, and
// as the path the service to check, such as grpc://app.example:9090/orders.v1.Orders; without a
// path the health of the server is checked. The error names s, without what precedes an @, and what
// was expected.
func ParseGRPC(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "grpc" && u.Scheme != "grpcs") || u.User != nil || !validHost(u.Hostname()) ||
		!validPort(u.Port()) ||
		u.RawQuery != "" ||
		u.Fragment != "" {
		return nil, fmt.Errorf(
			"gRPC target %q: want grpc:// or grpcs:// with host and port, and optionally a service, such as grpc://app.example:9090/orders.v1.Orders",
			redact(s),
		)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// validURLPort reports whether u has a valid port or none. "http://host:" has an empty one, which
// means the default.
func validURLPort(u *url.URL) bool {
	return u.Port() == "" || validPort(u.Port())
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

func validHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return validName(s)
}

// validName reports whether s is a host name by RFC 1123, underscores allowed, and not an address.
func validName(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return false
	}
	s = strings.TrimSuffix(s, ".")
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, nameChars) != "" {
			return false
		}
	}
	last := s[strings.LastIndexByte(s, '.')+1:]
	return strings.Trim(last, "0123456789") != "" // otherwise it is a mistyped address
}

const nameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// withoutSecrets returns u for attributes and logs, without the query, which may contain tokens.
func withoutSecrets(u *url.URL) string {
	d := *u
	d.RawQuery, d.ForceQuery, d.User = "", false, nil
	return d.String()
}

// redact returns s without possible secrets: what is between the scheme and the last @, and the
// query.
func redact(s string) string {
	hidden := ""
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		if scheme, _, ok := strings.Cut(s[:at], "://"); ok {
			hidden = scheme + "://"
		}
		hidden, s = hidden+"xxxxx", s[at:]
	}
	s, _, _ = strings.Cut(s, "?")
	return hidden + s
}
