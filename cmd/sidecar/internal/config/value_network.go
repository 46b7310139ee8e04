package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/poolgauge/poolgauge/collector/probe"
)

func tcpTarget(given string) error {
	_, _, err := probe.ParseTCP(given)
	return err
}

func dnsTarget(given string) error {
	_, err := probe.ParseDNS(given)
	return err
}

func httpTarget(given string) error {
	_, err := probe.ParseHTTP(given)
	return err
}

func grpcTarget(given string) error {
	_, err := probe.ParseGRPC(given)
	return err
}

// endpoint returns a value that is an http, https or unix URL, or host:port.
func endpoint(p *url.URL) *value {
	return &value{kind: "URL", set: func(given string) error {
		u, ok := parseEndpoint(given)
		if !ok {
			err := "expected http://host:4317, https://host:4317, unix:///path or host:4317"
			if strings.ContainsAny(given, "@?") {
				return errors.New(err + ", without a user, a password or a query; use --otlp-headers for credentials")
			}
			return fmt.Errorf("%s, got %q", err, given)
		}
		*p = u
		return nil
	}}
}

func parseEndpoint(given string) (u url.URL, ok bool) {
	if !strings.Contains(given, ":/") {
		host, port, err := net.SplitHostPort(given)
		return url.URL{Host: given}, err == nil && host != "" && validPort(port) && !strings.ContainsAny(given, "@/ ")
	}
	parsed, err := url.Parse(given)
	if err != nil || parsed.User != nil || parsed.RawQuery != "" {
		return url.URL{}, false
	}
	switch parsed.Scheme {
	case "http":
		return *parsed, parsed.Hostname() != "" && validPort(parsed.Port())
	case "https": // the port may be missing, as for a gateway
		noPort := parsed.Port() == "" && !strings.HasSuffix(parsed.Host, ":")
		return *parsed, parsed.Hostname() != "" && (noPort || validPort(parsed.Port()))
	case "unix":
		return *parsed, parsed.Path != "" && parsed.Host == ""
	default:
		return url.URL{}, false
	}
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// address returns a value that is a host:port to listen on, or off, which sets p to "".
func address(p *string, initial string) *value {
	*p = initial
	return &value{kind: "HOST:PORT", initial: initial, set: func(given string) error {
		if given == "off" {
			*p = ""
			return nil
		}
		_, port, err := net.SplitHostPort(given)
		if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil {
			return fmt.Errorf("expected host:port or off, got %q", given)
		}
		*p = given
		return nil
	}}
}

// pairs returns a value that is a comma-separated list of key=value pairs, whose values are
// percent-encoded. Its errors never contain a value, which may be a secret.
func pairs(p *map[string]string, valid func(key, value string) bool) *value {
	return &value{kind: "K=V,…", set: func(given string) error {
		all := map[string]string{}
		for i, pair := range strings.Split(given, ",") {
			if strings.TrimSpace(pair) == "" {
				continue // a trailing comma
			}
			key, encoded, found := strings.Cut(pair, "=")
			key = strings.TrimSpace(key)
			decoded, err := url.PathUnescape(strings.TrimSpace(encoded))
			if !found || err != nil || !utf8.ValidString(decoded) || !valid(key, decoded) {
				return fmt.Errorf("expected key=value,key=value with percent-encoded values; pair %d is malformed", i+1)
			}
			all[key] = decoded
		}
		*p = all
		return nil
	}}
}

func isAttribute(key, _ string) bool { return key != "" }

// isHeader reports whether gRPC can send the header: name must consist of letters, digits, -, _ and
// ., and value of printable ASCII.
func isHeader(name, value string) bool {
	const letters = "-_.0123456789abcdefghijklmnopqrstuvwxyz"
	unprintable := strings.IndexFunc(value, func(c rune) bool { return c < ' ' || c > '~' })
	return name != "" && strings.Trim(strings.ToLower(name), letters) == "" && unprintable < 0
}
