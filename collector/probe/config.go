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

// The defaults of Config and Target.
const (
	defaultBudget              = 0.005
	defaultCPUInterval         = 5 * time.Second
	defaultParallelismInterval = time.Minute
	defaultDiskInterval        = 30 * time.Second
	defaultInterval            = 15 * time.Second
	defaultTimeout             = 5 * time.Second
)

// MinInterval is the shortest interval of a probe.
const MinInterval = 100 * time.Millisecond

// Off as an interval disables the probe.
const Off time.Duration = -1

// Config configures the probes. The zero value runs the two CPU probes with their defaults. For
// each interval, 0 means the default and [Off] disables the probe; any other value below
// [MinInterval] is an error.
type Config struct {
	CPUInterval         time.Duration
	ParallelismInterval time.Duration

	// EffectiveCPUs returns how many CPUs the sidecar may use. The parallelism probe calls it
	// before each run, and runs that many threads. It must not block. Nil means [runtime.NumCPU].
	EffectiveCPUs func() int

	// DiskDir is the directory of the disk probe. If it is empty, there is no disk probe. The
	// directory is not accessed before the first run, so a hung disk delays nothing else. Use
	// [CheckDir] to check the directory in advance.
	DiskDir      string
	DiskInterval time.Duration

	TCP  []Target // addresses as host:port, see [ParseTCP]
	DNS  []Target // host names, see [ParseDNS]
	HTTP []Target // URLs, see [ParseHTTP]
	GRPC []Target // URLs of health services, see [ParseGRPC]

	Expect Expectation // applies to all HTTP targets
	TLS    TLSConfig   // applies to all HTTP and gRPC targets

	// Budget is the share of one core, in (0, 1], that all probes together may use in the long run;
	// 0 means 0.005. Each of the two CPU probes gets two fifths of Budget; the other probes share
	// the last fifth equally.
	Budget float64

	// Throttled returns the number of periods in which the sidecar's own cgroup was throttled
	// (nr_throttled in cpu.stat), or false if that is unknown. If the number has increased since a
	// probe's last run, the probe's next run is skipped, because the sidecar has no CPU time to
	// spare. Throttled is called concurrently and must not block. Nil means unknown.
	Throttled func() (periods uint64, ok bool)
}

// Target is the target of one network probe.
type Target struct {
	Address  string
	Interval time.Duration // 0 means 15 s
	// limit for all phases of a run together, at most the interval; 0 means 5 s, or the interval if
	// that is shorter
	Timeout time.Duration
}

// Expectation specifies additional headers of HTTP requests and the expected response. The zero
// value adds no headers and accepts every status below 400.
type Expectation struct {
	Header http.Header    // the header Host replaces the URL's host, also in TLS
	Status []int          // accepted status codes; empty means all below 400
	Body   *regexp.Regexp // must match in the first 64 KiB; nil means any body
}

// TLSConfig specifies which server certificates to accept. The zero value trusts the system's CAs.
type TLSConfig struct {
	Roots      *x509.CertPool // nil means the system's CAs
	SkipVerify bool           // accept any certificate
}

func (c TLSConfig) config(server, protocol string) *tls.Config {
	return &tls.Config{
		ServerName: server, NextProtos: []string{protocol}, RootCAs: c.Roots,
		InsecureSkipVerify: c.SkipVerify, //nolint:gosec // the user asked for it
	}
}

// The shares of the budget: one for each CPU probe, and one for all other probes together.
const (
	cpuShare         = 0.4
	parallelismShare = 0.4
	otherShare       = 0.2
)

// withDefaults returns c with all defaults filled in, or an error that names the invalid field and
// its value.
func (c Config) withDefaults() (Config, error) {
	c.Budget = cmp.Or(c.Budget, defaultBudget)
	if !(c.Budget > 0 && c.Budget <= 1) {
		return c, fmt.Errorf("probe budget %v: expected a share of one core above 0 and at most 1", c.Budget)
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
		fallback time.Duration
	}{
		{"cpu", &c.CPUInterval, defaultCPUInterval},
		{"parallelism", &c.ParallelismInterval, defaultParallelismInterval},
		{"disk", &c.DiskInterval, defaultDiskInterval},
	} {
		*i.interval = cmp.Or(*i.interval, i.fallback)
		if *i.interval == Off {
			continue
		}
		if err := checkInterval(i.name, *i.interval); err != nil {
			return c, err
		}
	}
	return c, nil
}

// withDefaults returns t with all defaults filled in, or an error that names the target and the
// invalid value.
func (t Target) withDefaults() (Target, error) {
	t.Interval = cmp.Or(t.Interval, defaultInterval)
	if err := checkInterval(redact(t.Address), t.Interval); err != nil {
		return t, err
	}
	t.Timeout = cmp.Or(t.Timeout, min(defaultTimeout, t.Interval))
	if t.Timeout < 0 || t.Timeout > t.Interval {
		return t, fmt.Errorf(
			"probe %s: timeout %v: expected a positive duration, at most the interval, %v",
			redact(t.Address),
			t.Timeout,
			t.Interval,
		)
	}
	return t, nil
}

func checkInterval(probe string, d time.Duration) error {
	if d < MinInterval {
		return fmt.Errorf("probe %s: interval %v: expected at least %v", probe, d, MinInterval)
	}
	return nil
}
