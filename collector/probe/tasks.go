package probe

import (
	"fmt"
	"log/slog"
	"net"

	"github.com/poolgauge/poolgauge/internal/thread"
)

// newTasks creates the probes of cfg without accessing their targets.
func newTasks(log *slog.Logger, cfg Config) ([]*task, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	tasks := newCPUTasks(log, cfg)
	share := otherShare * cfg.Budget / float64(max(1, sharers(cfg)))
	if diskWanted(cfg) {
		tasks = append(tasks, newTask("disk", cfg.DiskDir, cfg.DiskInterval, share, log, &diskProbe{dir: cfg.DiskDir}))
	}
	network, err := newNetworkTasks(log, cfg, share)
	if err != nil {
		return nil, err
	}
	return append(tasks, network...), nil
}

func newCPUTasks(log *slog.Logger, cfg Config) []*task {
	if !thread.HasClock {
		log.Info("CPU probes are disabled: this system does not report the CPU time of a thread")
		return nil
	}
	var tasks []*task
	if cfg.CPUInterval != Off {
		tasks = append(tasks, newTask("cpu", "", cfg.CPUInterval, cpuShare*cfg.Budget, log, &cpuProbe{read: read}))
	}
	if cfg.ParallelismInterval != Off {
		p := &parallelismProbe{cpus: cfg.EffectiveCPUs}
		tasks = append(tasks, newTask("parallelism", "", cfg.ParallelismInterval, parallelismShare*cfg.Budget, log, p))
	}
	for _, t := range tasks {
		t.exclusive = true
	}
	return tasks
}

func diskWanted(cfg Config) bool { return cfg.DiskDir != "" && cfg.DiskInterval != Off }

// sharers returns the number of probes that share the last fifth of the budget.
func sharers(cfg Config) int {
	n := len(cfg.TCP) + len(cfg.DNS) + len(cfg.HTTP) + len(cfg.GRPC)
	if diskWanted(cfg) {
		n++
	}
	return n
}

// newNetworkTasks creates the network probes. It returns an error if two probes of one kind have
// the same target attribute, since all attributes of their points would be the same.
func newNetworkTasks(log *slog.Logger, cfg Config, share float64) ([]*task, error) {
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
			n := newTask(kind.name, target, t.Interval, share, log, p)
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
