package probe

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ParseTCP splits s, the target of a TCP probe, which must have the form "host:port". The host is a
// name or an IP address (IPv6 in brackets), and the port is from 1 to 65535. The error includes
// a redacted copy of s and the expected format.
func ParseTCP(s string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(s)
	if err != nil || !validHost(host) || !validPort(port) {
		return "", "", fmt.Errorf(
			"TCP target %q: expected host:port, such as db.example:5432 or [2001:db8::1]:443",
			redact(s),
		)
	}
	return host, port, nil
}

// ParseDNS checks that s, the target of a DNS probe, is a host name, and returns s unchanged. The
// resolver's search list applies unless the name ends in a dot. The error includes a redacted
// copy of s and the expected format.
func ParseDNS(s string) (name string, err error) {
	if !validName(s) {
		return "", fmt.Errorf(
			"DNS target %q: expected a host name, such as db.example (in its xn-- form if it is not ASCII)",
			redact(s),
		)
	}
	return s, nil
}

// ParseHTTP parses s, the target of an HTTP probe, which must be an http or https URL with a host
// and without user or password. The error includes s without its user, password and query, and the
// expected format.
func ParseHTTP(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	// The error of url.Parse quotes parts of s, which may contain parts of a password.
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || !validHost(u.Hostname()) ||
		!validURLPort(u) {
		return nil, fmt.Errorf(
			"HTTP target %q: expected http:// or https:// with a host, and no user or password, such as http://app.example:8080/healthz",
			redact(s),
		)
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// ParseGRPC parses s, the target of a gRPC probe, which must be a URL with the scheme grpc, or
// grpcs for TLS, and with a host and port. The path names the service to check, as in
// grpc://app.example:9090/orders.v1.Orders. Without a path, the probe checks the health of the
// server itself. The error includes s without its user, password and query, and the expected
// format.
func ParseGRPC(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "grpc" && u.Scheme != "grpcs") || u.User != nil || !validHost(u.Hostname()) ||
		!validPort(u.Port()) ||
		u.RawQuery != "" ||
		u.Fragment != "" {
		return nil, fmt.Errorf(
			"gRPC target %q: expected grpc:// or grpcs:// with host and port, and optionally a service, such as grpc://app.example:9090/orders.v1.Orders",
			redact(s),
		)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// validURLPort reports whether the port of u is valid or absent. "http://host:" has an empty port,
// which means the default.
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

// validName reports whether s is a host name according to RFC 1123, with underscores allowed, and
// not an IP address.
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
	return strings.Trim(last, "0123456789") != "" // otherwise it is a mistyped IP address
}

const nameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// withoutSecrets returns u without its user and query, which may contain passwords and tokens, for
// use in attributes and logs.
func withoutSecrets(u *url.URL) string {
	public := *u
	public.RawQuery, public.ForceQuery, public.User = "", false, nil
	return public.String()
}

// redact returns s without possible secrets: the query and anything between the scheme and the last
// @.
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
