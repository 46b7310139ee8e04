package probe

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"time"
)

// Defaults of [Config] and [Target].
const (
	DefaultBudget              = 0.005
	DefaultCPUInterval         = 5 * time.Second
	DefaultParallelismInterval = time.Minute
	DefaultDiskInterval        = 30 * time.Second
	DefaultInterval            = 15 * time.Second
	DefaultTimeout             = 5 * time.Second
)

// MinInterval is the shortest interval that a probe may have: below it the schedule itself would
// cost more than it tells.
const MinInterval = 100 * time.Millisecond

// Off as the interval of a probe leaves the probe out.
const Off time.Duration = -1

// Config says what to probe and how often. The zero value runs the two CPU probes at their
// defaults. An interval of 0 stands for the default, [Off] leaves the probe out; any other below
// [MinInterval] is an error.
type Config struct {
	CPUInterval         time.Duration
	ParallelismInterval time.Duration

	// EffectiveCPUs returns how many CPUs the sidecar may use at most, which may change; the
	// parallelism probe runs as many threads. It is called before each of its runs and must not
	// block. Nil stands for [runtime.NumCPU].
	EffectiveCPUs func() int

	// DiskDir is the directory of the disk probe, empty for none. It is first touched by the first
	// run, so that a hung disk delays nothing: call [CheckDir] where a bad directory should be an
	// error at once.
	DiskDir      string
	DiskInterval time.Duration

	TCP  []Target // host:port, see [ParseTCP]
	DNS  []Target // names, see [ParseDNS]
	HTTP []Target // URLs, see [ParseHTTP]
	GRPC []Target // URLs of health services, see [ParseGRPC]

	Expect Expectation   // of every HTTP target
	TLS    Certification // of every HTTP and gRPC target

	// Budget is the share of one core, in (0, 1], that all probes together may use in the long run;
	// 0 stands for [DefaultBudget]. The two CPU probes may use two fifths of it each, the others
	// share the last fifth equally.
	Budget float64

	// Throttled returns how often the sidecar's own control group has been throttled so far
	// (nr_throttled of cpu.stat), or false where that is not known. When it has grown since a probe
	// last ran, the sidecar has no CPU time to give away, and the probe is skipped once. It is
	// called from several goroutines and must not block. Nil stands for not known.
	Throttled func() (periods uint64, ok bool)
}

// Target is what one network probe talks to.
type Target struct {
	Address  string
	Interval time.Duration // 0 stands for DefaultInterval
	// of the whole run, at most the interval; 0 stands for DefaultTimeout or the interval, if that
	// is shorter
	Timeout time.Duration
}

// Expectation is what is sent to HTTP targets and what they must answer. The zero value sends no
// more than is needed, and takes every status below 400.
type Expectation struct {
	Header http.Header    // Host replaces that of the URL, for TLS too
	Status []int          // of which one must be answered; none are all below 400
	Body   *regexp.Regexp // which must match within the first 64 KiB; nil is none
}

// Certification says which certificates of targets are good. The zero value trusts the system's
// authorities.
type Certification struct {
	Roots      *x509.CertPool // nil is the system's
	SkipVerify bool           // takes any certificate
}

func (c Certification) config(server, protocol string) *tls.Config {
	return &tls.Config{
		ServerName: server, NextProtos: []string{protocol}, RootCAs: c.Roots,
		InsecureSkipVerify: c.SkipVerify, //nolint:gosec // the user asks for it
	}
}

// The shares of the budget, by kind of probe.
const (
	cpuShare         = 0.4
	parallelismShare = 0.4
	otherShare       = 0.2
)

// withDefaults returns c with every default filled in, or an error that names the field and its
// value.
func (c Config) withDefaults() (Config, error) {
	c.Budget = cmp.Or(c.Budget, DefaultBudget)
	if !(c.Budget > 0 && c.Budget <= 1) {
		return c, fmt.Errorf("probe budget %v: want a share of one core above 0 and at most 1", c.Budget)
	}
	if c.EffectiveCPUs == nil {
		c.EffectiveCPUs = runtime.NumCPU
	}
	if c.Throttled == nil {
		c.Throttled = func() (uint64, bool) { return 0, false }
	}
	for _, i := range []struct {
		name     string
		interval *time.Duration
		standard time.Duration
	}{
		{"cpu", &c.CPUInterval, DefaultCPUInterval},
		{"parallelism", &c.ParallelismInterval, DefaultParallelismInterval},
		{"disk", &c.DiskInterval, DefaultDiskInterval},
	} {
		*i.interval = cmp.Or(*i.interval, i.standard)
		if *i.interval == Off {
			continue
		}
		if err := checkInterval(i.name, *i.interval); err != nil {
			return c, err
		}
	}
	return c, nil
}

// withDefaults returns t with every default filled in, or an error that names the target and the
// value.
func (t Target) withDefaults() (Target, error) {
	t.Interval = cmp.Or(t.Interval, DefaultInterval)
	if err := checkInterval(redact(t.Address), t.Interval); err != nil {
		return t, err
	}
	t.Timeout = cmp.Or(t.Timeout, min(DefaultTimeout, t.Interval))
	if t.Timeout < 0 || t.Timeout > t.Interval {
		return t, fmt.Errorf(
			"probe %s: timeout %v: want more than 0 and at most the interval, %v",
			redact(t.Address),
			t.Timeout,
			t.Interval,
		)
	}
	return t, nil
}

func checkInterval(probe string, d time.Duration) error {
	if d < MinInterval {
		return fmt.Errorf("probe %s: interval %v: want at least %v", probe, d, MinInterval)
	}
	return nil
}
