package probe

import (
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/poolgauge/poolgauge/internal/thread"
)

// newTasks creates the probes of cfg without accessing their targets.
func newTasks(log *slog.Logger, cfg Config) ([]*task, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	others, err := newNetworkTasks(log, cfg)
	if err != nil {
		return nil, err
	}
	if cfg.DiskDir != "" && cfg.DiskInterval != Off {
		disk := newTask("disk", cfg.DiskDir, cfg.DiskInterval, log, &diskProbe{dir: cfg.DiskDir})
		others = append([]*task{disk}, others...)
	}
	for _, t := range others {
		t.budget.share = otherShare * cfg.Budget / float64(len(others))
	}
	return append(newCPUTasks(log, cfg), others...), nil
}

func newCPUTasks(log *slog.Logger, cfg Config) []*task {
	if !thread.HasClock {
		log.Info("CPU probes are disabled: this system does not report per-thread CPU time")
		return nil
	}
	var tasks []*task
	add := func(name string, interval time.Duration, share float64, p prober) {
		if interval == Off {
			return
		}
		t := newTask(name, "", interval, log, p)
		t.budget.share, t.exclusive = share*cfg.Budget, true
		tasks = append(tasks, t)
	}
	add("cpu", cfg.CPUInterval, cpuShare, &cpuProbe{read: readClocks})
	add("parallelism", cfg.ParallelismInterval, parallelismShare, &parallelismProbe{cpus: cfg.EffectiveCPUs})
	return tasks
}

// newNetworkTasks creates the network probes. It returns an error if two probes of one kind have
// the same target attribute, since their points would then have identical attributes.
func newNetworkTasks(log *slog.Logger, cfg Config) ([]*task, error) {
	var tasks []*task
	seen := map[string]bool{}
	for _, kind := range []struct {
		name    string
		targets []Target
		parse   func(Target) (target string, p prober, err error)
	}{
		{"tcp", cfg.TCP, newTCPProbe},
		{"dns", cfg.DNS, newDNSProbe},
		{"http", cfg.HTTP, cfg.newHTTPProbe},
		{"grpc", cfg.GRPC, cfg.newGRPCProbe},
	} {
		for _, t := range kind.targets {
			t, err := t.withDefaults()
			if err != nil {
				return nil, err
			}
			target, p, err := kind.parse(t)
			if err != nil {
				return nil, err
			}
			n := newTask(kind.name, target, t.Interval, log, p)
			if seen[n.name] {
				return nil, fmt.Errorf("probe %s: duplicate target (URLs are compared without the query)", n.name)
			}
			seen[n.name] = true
			tasks = append(tasks, n)
		}
	}
	return tasks, nil
}

func newTCPProbe(t Target) (string, prober, error) {
	host, port, err := ParseTCP(t.Address)
	return net.JoinHostPort(host, port), &tcpProbe{dialer: newDialer(host, port), timeout: t.Timeout}, err
}

func newDNSProbe(t Target) (string, prober, error) {
	name, err := ParseDNS(t.Address)
	return name, &dnsProbe{resolver: systemResolver, name: name, timeout: t.Timeout}, err
}

func (c Config) newHTTPProbe(t Target) (string, prober, error) {
	u, err := ParseHTTP(t.Address)
	if err != nil {
		return "", nil, err
	}
	return withoutSecrets(u), newHTTP(u, t.Timeout, c.Expect, c.TLS), nil
}

func (c Config) newGRPCProbe(t Target) (string, prober, error) {
	u, err := ParseGRPC(t.Address)
	if err != nil {
		return "", nil, err
	}
	return u.String(), newGRPC(u, t.Timeout, c.TLS), nil
}
