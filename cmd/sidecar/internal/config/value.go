package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/poolgauge/poolgauge/collector/probe"
)

// value implements pflag.Value for a setting.
type value struct {
	kind       string             // placeholder for the value in the help
	set        func(string) error // an error leaves the setting unchanged
	initial    string             // the default, as text
	repeatable bool
	boolean    bool
}

// Set implements pflag.Value.
func (v *value) Set(given string) error {
	if !utf8.ValidString(given) {
		return errors.New("expected UTF-8")
	}
	return v.set(given)
}

// String implements pflag.Value. It returns the default, and never the value that was set, which
// may be a secret.
func (v *value) String() string { return v.initial }

// Type implements pflag.Value.
func (v *value) Type() string { return v.kind }

// text returns a value that is a string. check validates the string; nil accepts any string.
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

// list returns a repeatable value of strings. check validates each string.
func list(p *[]string, kind string, check func(string) error) *value {
	return &value{kind: kind, repeatable: true, set: func(given string) error {
		if slices.Contains(*p, given) {
			return fmt.Errorf("expected distinct values, got %q twice", given)
		}
		if err := check(given); err != nil {
			return err
		}
		*p = append(*p, given)
		return nil
	}}
}

func nonEmpty(given string) error {
	if given == "" {
		return errors.New("expected a value, got an empty string")
	}
	return nil
}

// statuses returns a repeatable value of HTTP status codes.
func statuses(p *[]int) *value {
	return &value{kind: "STATUS", repeatable: true, set: func(given string) error {
		status, err := strconv.Atoi(given)
		if err != nil || status < 200 || status > 599 {
			return fmt.Errorf("expected a status code from 200 to 599, got %q", given)
		}
		*p = append(*p, status)
		return nil
	}}
}

// pattern returns a value that is a regular expression.
func pattern(p **regexp.Regexp) *value {
	return &value{kind: "REGEXP", set: func(given string) error {
		compiled, err := regexp.Compile(given)
		if err != nil || given == "" {
			return fmt.Errorf("expected a regular expression in RE2 syntax, got %q", given)
		}
		*p = compiled
		return nil
	}}
}

// choice returns a value that is one of words, in upper or lower case. The first word is the
// default.
func choice(p *string, words ...string) *value {
	*p = words[0]
	return &value{kind: strings.Join(words, "|"), initial: words[0], set: func(given string) error {
		word := strings.ToLower(given)
		if !slices.Contains(words, word) {
			last := len(words) - 1
			return fmt.Errorf("expected %s or %s, got %q", strings.Join(words[:last], ", "), words[last], given)
		}
		*p = word
		return nil
	}}
}

// choices returns a value that is either one of the exclusive words, or a comma-separated list of
// the other words. The first exclusive word is the default.
func choices(p *[]string, exclusive []string, others ...string) *value {
	*p = exclusive[:1]
	all := append(slices.Clone(exclusive), others...)
	return &value{kind: strings.Join(all, "|"), initial: exclusive[0], set: func(given string) error {
		var words []string
		for word := range strings.SplitSeq(strings.ToLower(given), ",") {
			words = append(words, strings.TrimSpace(word))
		}
		single := len(words) == 1 && slices.Contains(exclusive, words[0])
		unknown := slices.ContainsFunc(words, func(word string) bool { return !slices.Contains(others, word) })
		if unknown && !single {
			return fmt.Errorf("expected %s, or one or more of %s separated by commas, got %q",
				strings.Join(exclusive, ", "), strings.Join(others, " and "), given)
		}
		*p = words
		return nil
	}}
}

// boolean returns a value that is true or false, in upper or lower case. The specification allows
// no other spelling.
func boolean(p *bool, initial bool) *value {
	*p = initial
	return &value{kind: "bool", boolean: true, initial: strconv.FormatBool(initial), set: func(given string) error {
		on := strings.EqualFold(given, "true")
		if !on && !strings.EqualFold(given, "false") {
			return fmt.Errorf("expected true or false, got %q", given)
		}
		*p = on
		return nil
	}}
}

// interval returns a value that is a Go duration or, as in OpenTelemetry's variables, a number of
// milliseconds.
func interval(p *time.Duration, initial, minimum time.Duration) *value {
	*p = initial
	return &value{kind: "DURATION", initial: shortDuration(initial), set: func(given string) error {
		const maximum = 24 * time.Hour
		d, err := time.ParseDuration(given)
		if ms, numberErr := strconv.ParseInt(given, 10, 64); numberErr == nil && ms <= maximum.Milliseconds() {
			d, err = time.Duration(ms)*time.Millisecond, nil
		}
		if err != nil || d < minimum || d > maximum {
			return fmt.Errorf("expected a duration such as 10s, or a number of milliseconds, from %v to 24h, got %q",
				minimum, given)
		}
		*p = d
		return nil
	}}
}

// shortDuration formats d without zero units, for example as 5m instead of 5m0s.
func shortDuration(d time.Duration) string {
	if text, found := strings.CutSuffix(d.String(), "m0s"); found {
		return text + "m"
	}
	return d.String()
}

// intervalOrOff returns a value that is the interval of a probe; 0 turns the probe off.
func intervalOrOff(p *time.Duration, initial time.Duration) *value {
	v := interval(p, initial, probe.MinInterval)
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

// probeInterval returns a value that is the interval of a probe that runs only if it has targets.
func probeInterval(p *time.Duration) *value { return interval(p, 15*time.Second, time.Second) }

func percent(p *float64, initial float64) *value {
	*p = initial
	return &value{kind: "PERCENT", initial: fmt.Sprint(initial), set: func(given string) error {
		v, err := strconv.ParseFloat(strings.TrimSuffix(given, "%"), 64)
		if err != nil || !(v > 0 && v <= 100) {
			return fmt.Errorf("expected a percentage above 0 and up to 100, got %q", given)
		}
		*p = v
		return nil
	}}
}

// count returns a value that is a non-negative integer. The default is 0.
func count(p *int64) *value { return integer(p, 0, 0) }

// positive returns a value that is a positive integer.
func positive(p *int64, initial int64) *value { return integer(p, initial, 1) }

func integer(p *int64, initial, minimum int64) *value {
	*p = initial
	return &value{kind: "NUMBER", initial: strconv.FormatInt(initial, 10), set: func(given string) error {
		n, err := strconv.ParseInt(given, 10, 32)
		if err != nil || n < minimum {
			return fmt.Errorf("expected an integer from %d to %d, got %q", minimum, math.MaxInt32, given)
		}
		*p = n
		return nil
	}}
}

// number returns a value that is a number from 0 to a million.
func number(p *float64, initial float64) *value {
	*p = initial
	return &value{kind: "NUMBER", initial: fmt.Sprint(initial), set: func(given string) error {
		v, err := strconv.ParseFloat(given, 64)
		if err != nil || !(v >= 0 && v <= 1_000_000) {
			return fmt.Errorf("expected a number from 0 to 1000000, got %q", given)
		}
		*p = v
		return nil
	}}
}

// queueSize returns a value that is the size of the queue. The default depends on whether the queue
// is on disk.
func queueSize(p *int64) *value {
	v := size(p, 0, 1<<20, 64<<30)
	v.initial = "16MiB, or 8MiB in memory"
	return v
}

// size returns a value that is a number of bytes, with a unit as in GOMEMLIMIT or Kubernetes.
func size(p *int64, initial, minimum, maximum int64) *value {
	*p = initial
	return &value{kind: "SIZE", initial: sizeText(initial), set: func(given string) error {
		digits := strings.TrimRight(given, "BKMGi")
		n, err := strconv.ParseInt(digits, 10, 64)
		units := map[string]int64{"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
		unit, known := units[strings.TrimSuffix(given[len(digits):], "B")]
		if err != nil || !known || n > maximum/unit || n*unit < minimum {
			return fmt.Errorf(
				"expected a size such as 16MiB, from %s to %s, got %q",
				sizeText(minimum),
				sizeText(maximum),
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
