// Package summary shows on a terminal what the sidecar observes: one or more lines for each pool,
// and a few lines about the machine. Absent values are omitted, or shown as a dash.
package summary

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/collector/live"
)

// Summary writes one block of lines per picture. It writes from its own goroutine, so that a slow
// terminal does not delay anything else. If the terminal is too slow, Summary skips blocks.
type Summary struct {
	out     io.Writer
	colored bool
	next    chan *live.Picture
	done    chan struct{}
}

// Start returns a Summary that writes to out, in color if colored is set.
func Start(out io.Writer, colored bool) *Summary {
	s := &Summary{out: out, colored: colored, next: make(chan *live.Picture, 1), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for p := range s.next {
			_, _ = io.WriteString(s.out, s.block(p)) // continue even if the terminal is gone
		}
	}()
	return s
}

// Show queues p to be written. It skips p if the previous picture is still queued.
func (s *Summary) Show(p *live.Picture) {
	select {
	case s.next <- p:
	default:
	}
}

// Close waits at most 100 ms for everything to be written. It must be called once, after the last
// Show.
func (s *Summary) Close() {
	close(s.next)
	select {
	case <-s.done:
	case <-time.After(100 * time.Millisecond):
	}
}

// block returns the lines for p.
func (s *Summary) block(p *live.Picture) string {
	var b strings.Builder
	stamp := p.At.Format(time.TimeOnly)
	if len(p.Pools) > 0 {
		s.pools(&b, stamp, p.Pools)
		stamp = ""
	}
	for _, line := range lines(p) {
		fmt.Fprintf(&b, "%8s  %-10s  %s\n", stamp, line.label, strings.Join(line.values, "   "))
		stamp = ""
	}
	b.WriteByte('\n')
	return b.String()
}

// line is one line of the summary: a label and values.
type line struct {
	label  string
	values []string
}

func (l *line) add(ok bool, format string, args ...any) {
	if ok {
		l.values = append(l.values, fmt.Sprintf(format, args...))
	}
}

// put adds f, rendered as text, unless it is absent.
func (l *line) put(format string, f live.Figure, render func(float64) string) {
	if v, ok := f.Get(); ok {
		l.values = append(l.values, fmt.Sprintf(format, render(v)))
	}
}

func lines(p *live.Picture) []line {
	all := []line{host(&p.Host), pressure(&p.Host.Pressure)}
	for i := range p.Containers {
		all = append(all, container(&p.Containers[i]))
	}
	for i := range p.Probes {
		all = append(all, probe(&p.Probes[i]))
	}
	all = append(all, relay(&p.Pipeline))
	var filled []line
	for _, l := range all {
		if len(l.values) > 0 {
			filled = append(filled, l)
		}
	}
	return filled
}

func host(h *live.Host) line {
	l := line{label: "host"}
	cpu, ok := h.CPU.Get()
	cpus, counted := h.CPUs.Get()
	l.add(ok && counted, "cpu %s of %.0f", percent(cpu), cpus)
	l.put("iowait %s", h.IOWait, percent)
	l.put("steal %s", h.Steal, percent)
	l.put("load %s", h.Load, func(v float64) string { return fmt.Sprintf("%.2f", v) })
	limit, ok := h.MemoryLimit.Get()
	used, counted := h.MemoryUsed.Get()
	l.add(ok && counted, "memory %s of %s", size(used), size(limit))
	swap := h.SwapUsed.Or(0)
	l.add(swap > 0, "swap %s", size(swap))
	return l
}

func pressure(p *live.Pressure) line {
	l := line{label: "pressure"}
	l.put("cpu %s", p.CPU, percent)
	l.put("memory %s", p.Memory, percent)
	l.put("io %s", p.IO, percent)
	return l
}

func container(c *live.Container) line {
	l := line{label: "cgroup", values: []string{c.Path}}
	if c.ID != "" {
		l = line{label: "container", values: []string{c.ID[:min(12, len(c.ID))]}}
	}
	used, ok := c.CPU.Get()
	quota, limited := c.CPULimit.Get()
	l.add(ok && limited, "cpu %.2f of %.2f", used, quota)
	l.add(ok && !limited, "cpu %.2f", used)
	l.put("throttled %s", c.Throttled, percent)
	memory, ok := c.Memory.Get()
	limit, limited := c.MemoryLimit.Get()
	l.add(ok && limited, "memory %s of %s", size(memory), size(limit))
	l.add(ok && !limited, "memory %s", size(memory))
	kills := c.OOMKills.Or(0)
	l.add(kills > 0, "OOM kills %.0f", kills)
	return l
}

func probe(p *live.Probe) line {
	l := line{label: "probe " + p.Name}
	l.add(p.Target != "", "%s", p.Target)
	l.add(p.Failed != "", "failed: %s", p.Failed)
	l.put("stretch %s", p.Stretch, func(v float64) string { return fmt.Sprintf("%.2f", v) })
	l.put("run delay %s", p.RunDelay, live.Duration)
	got, ok := p.Parallelism.Get()
	l.add(ok, "parallelism %.2f of %.0f", got, p.Requested.Or(0))
	for _, phase := range p.Phases {
		l.put(phase.Name+" %s", phase.Seconds, live.Duration)
	}
	return l
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }

func size(bytes float64) string {
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if bytes < 1024 {
			return fmt.Sprintf("%.1f %s", bytes, unit)
		}
		bytes /= 1024
	}
	return fmt.Sprintf("%.1f GiB", bytes)
}
