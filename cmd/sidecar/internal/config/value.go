package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/poolgauge/poolgauge/collector/cgroup"
	"github.com/poolgauge/poolgauge/collector/probe"
)

// value is a setting as pflag sees it.
type value struct {
	kind       string // what the help calls it
	set        func(string) error
	standing   string // the text of the default, then of what was set
	repeatable bool
	boolean    bool
	secret     bool // never shown
}

// Set implements pflag.Value.
func (v *value) Set(given string) error {
	if !utf8.ValidString(given) {
		return errors.New("expected UTF-8")
	}
	if err := v.set(given); err != nil {
		return err
	}
	if !v.secret {
		v.standing = given
	}
	return nil
}

// String implements pflag.Value.
func (v *value) String() string { return v.standing }

// Type implements pflag.Value.
func (v *value) Type() string { return v.kind }

// text is a string that check, if there is one, finds nothing wrong with.
func text(p *string, kind string, check func(string) error) *value {
	return &value{kind: kind, set: func(given string) error {
		if check != nil {
			if err := check(given); err != nil {
				return err
			}
		}
		*p = given
		return nil
	}}
}

// list is a string that may be given more than once, each of which check finds nothing wrong with.
func list(p *[]string, kind string, check func(string) error) *value {
	return &value{kind: kind, repeatable: true, set: func(given string) error {
		if slices.Contains(*p, given) {
			return fmt.Errorf("expected each once, got %q twice", given)
		}
		if err := check(given); err != nil {
			return err
		}
		*p = append(*p, given)
		return nil
	}}
}

func notNothing(given string) error {
	if given == "" {
		return errors.New("expected a value, got nothing")
	}
	return nil
}

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

// statuses is a status of HTTP that may be given more than once.
func statuses(p *[]int) *value {
	return &value{kind: "STATUS", repeatable: true, set: func(given string) error {
		status, err := strconv.Atoi(given)
		if err != nil || status < 200 || status > 599 {
			return fmt.Errorf("expected a status from 200 to 599, got %q", given)
		}
		*p = append(*p, status)
		return nil
	}}
}

// pattern is a regular expression.
func pattern(p **regexp.Regexp) *value {
	return &value{kind: "REGEXP", set: func(given string) (err error) {
		if *p, err = regexp.Compile(given); err != nil || given == "" {
			return fmt.Errorf("expected a regular expression as of RE2, got %q", given)
		}
		return nil
	}}
}

// choice is one of a few words, in any case of letters; the first is the default.
func choice(p *string, choices ...string) *value {
	*p = choices[0]
	return &value{kind: strings.Join(choices, "|"), standing: choices[0], set: func(given string) error {
		*p = strings.ToLower(given)
		if !slices.Contains(choices, *p) {
			return fmt.Errorf("expected %s, got %q", strings.Join(choices, " or "), given)
		}
		return nil
	}}
}

// choices are one of the words that stand alone, the first of which is the default, or some of the
// others, separated by commas.
func choices(p *[]string, alone []string, others ...string) *value {
	*p = alone[:1]
	all := append(slices.Clone(alone), others...)
	return &value{kind: strings.Join(all, "|"), standing: alone[0], set: func(given string) error {
		*p = nil
		for word := range strings.SplitSeq(strings.ToLower(given), ",") {
			*p = append(*p, strings.TrimSpace(word))
		}
		lonely := len(*p) == 1 && slices.Contains(alone, (*p)[0])
		stranger := slices.ContainsFunc(*p, func(word string) bool { return !slices.Contains(others, word) })
		if stranger && !lonely {
			return fmt.Errorf("expected %s or %s, got %q", strings.Join(all, " or "), strings.Join(others, ","), given)
		}
		return nil
	}}
}

func boolean(p *bool, standing bool) *value {
	*p = standing
	return &value{kind: "bool", boolean: true, standing: strconv.FormatBool(standing), set: func(given string) error {
		*p = strings.EqualFold(given, "true") // the specification knows no other spelling
		if !*p && !strings.EqualFold(given, "false") {
			return fmt.Errorf("expected true or false, got %q", given)
		}
		return nil
	}}
}

// interval is a length of time, written as a Go duration or, as in OpenTelemetry's variables, as a
// number of milliseconds.
func interval(p *time.Duration, standing, least time.Duration) *value {
	*p = standing
	return &value{kind: "DURATION", standing: standing.String(), set: func(given string) (err error) {
		const longest = 24 * time.Hour
		*p, err = time.ParseDuration(given)
		if ms, numberErr := strconv.ParseInt(given, 10, 64); numberErr == nil && ms <= longest.Milliseconds() {
			*p, err = time.Duration(ms)*time.Millisecond, nil
		}
		if err != nil || *p < least || *p > longest {
			return fmt.Errorf(
				"expected a duration such as 10s, or a number of milliseconds, from %v to 24h, got %q",
				least,
				given,
			)
		}
		return nil
	}}
}

// intervalOrOff is an interval of a probe; 0 turns it off.
func intervalOrOff(p *time.Duration, standing time.Duration) *value {
	v := interval(p, standing, probe.MinInterval)
	set := v.set
	v.set = func(given string) error {
		if d, err := time.ParseDuration(given); err == nil && d == 0 {
			*p = 0
			return nil
		}
		return set(given)
	}
	return v
}

func percent(p *float64, standing float64) *value {
	*p = standing
	return &value{kind: "PERCENT", standing: fmt.Sprint(standing), set: func(given string) (err error) {
		*p, err = strconv.ParseFloat(strings.TrimSuffix(given, "%"), 64)
		if err != nil || !(*p > 0 && *p <= 100) {
			return fmt.Errorf("expected a percentage above 0 and up to 100, got %q", given)
		}
		return nil
	}}
}

// count is a whole number; 0 is the default.
func count(p *int64) *value {
	return &value{kind: "NUMBER", standing: "0", set: func(given string) (err error) {
		*p, err = strconv.ParseInt(given, 10, 64)
		if err != nil || *p < 0 {
			return fmt.Errorf("expected a whole number from 0, got %q", given)
		}
		return nil
	}}
}

// atLeastOne is a whole number from 1.
func atLeastOne(p *int64, standing int64) *value {
	*p = standing
	return &value{kind: "NUMBER", standing: strconv.FormatInt(standing, 10), set: func(given string) (err error) {
		*p, err = strconv.ParseInt(given, 10, 32)
		if err != nil || *p < 1 {
			return fmt.Errorf("expected a whole number from 1, got %q", given)
		}
		return nil
	}}
}

// number is a number from 0.
func number(p *float64, standing float64) *value {
	*p = standing
	return &value{kind: "NUMBER", standing: fmt.Sprint(standing), set: func(given string) (err error) {
		*p, err = strconv.ParseFloat(given, 64)
		if err != nil || !(*p >= 0 && *p <= 1e6) {
			return fmt.Errorf("expected a number from 0, got %q", given)
		}
		return nil
	}}
}

// queueSize is the size of the queue. The default depends on where the queue is.
func queueSize(p *int64) *value {
	v := size(p, 0, 1<<20, 64<<30)
	v.standing = "16MiB, in memory 8MiB"
	return v
}

// size is a number of bytes, with a unit as GOMEMLIMIT or Kubernetes writes it.
func size(p *int64, standing, least, most int64) *value {
	*p = standing
	return &value{kind: "SIZE", standing: sizeText(standing), set: func(given string) error {
		digits := strings.TrimRight(given, "BKMGi")
		n, err := strconv.ParseInt(digits, 10, 64)
		unit, known := map[string]int64{"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}[strings.TrimSuffix(given[len(digits):], "B")]
		if err != nil || !known || n > most/unit || n*unit < least {
			return fmt.Errorf(
				"expected a size such as 16MiB, from %s to %s, got %q",
				sizeText(least),
				sizeText(most),
				given,
			)
		}
		*p = n * unit
		return nil
	}}
}

func sizeText(n int64) string {
	unit := 0
	for n >= 1<<10 && n%(1<<10) == 0 {
		n, unit = n>>10, unit+1
	}
	return strconv.FormatInt(n, 10) + []string{"B", "KiB", "MiB", "GiB"}[unit]
}

// endpoint is an http, https or unix URL, or host:port.
func endpoint(p *url.URL) *value {
	return &value{kind: "URL", set: func(given string) error {
		u, ok := parseEndpoint(given)
		if !ok {
			err := "expected http://host:4317, https://host:4317, unix:///path or host:4317"
			if strings.ContainsAny(given, "@?") {
				return errors.New(err + ", without a user, a password or a query; see otlp-headers")
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
	case "https": // its own port is the one of a gateway
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

// address is a host:port to listen on; off makes it empty.
func address(p *string, standing string) *value {
	*p = standing
	return &value{kind: "HOST:PORT", standing: standing, set: func(given string) error {
		*p = given
		if given == "off" {
			*p = ""
			return nil
		}
		_, port, err := net.SplitHostPort(given)
		if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil {
			return fmt.Errorf("expected host:port or off, got %q", given)
		}
		return nil
	}}
}

// pairs are keys with values, written key=value,key=value with the values percent-encoded. Values
// may be secrets, so that no error shows one.
func pairs(p *map[string]string, valid func(key, value string) bool) *value {
	return &value{kind: "K=V,…", secret: true, set: func(given string) error {
		*p = map[string]string{}
		for i, pair := range strings.Split(given, ",") {
			if strings.TrimSpace(pair) == "" {
				continue // a trailing comma
			}
			key, encoded, found := strings.Cut(pair, "=")
			key = strings.TrimSpace(key)
			decoded, err := url.PathUnescape(strings.TrimSpace(encoded))
			if !found || err != nil || !utf8.ValidString(decoded) || !valid(key, decoded) {
				return fmt.Errorf("expected key=value,key=value with percent-encoded values; pair %d is not one", i+1)
			}
			(*p)[key] = decoded
		}
		return nil
	}}
}

func isAttribute(key, _ string) bool { return key != "" }

// isHeader reports whether gRPC can send the header: a name of letters, digits, -, _ and ., and a
// value of printable ASCII.
func isHeader(name, value string) bool {
	const letters = "-_.0123456789abcdefghijklmnopqrstuvwxyz"
	unprintable := strings.IndexFunc(value, func(c rune) bool { return c < ' ' || c > '~' })
	return name != "" && strings.Trim(strings.ToLower(name), letters) == "" && unprintable < 0
}

// cgroupRoot is a directory with control groups in or below it.
func cgroupRoot(path string) error {
	if err := directory(path); err != nil {
		return err
	}
	tree, err := cgroup.Open(cgroup.Config{Below: path})
	if tree == nil && runtime.GOOS == "linux" {
		return fmt.Errorf("expected a directory where control groups are mounted: %w", err)
	}
	return nil
}
