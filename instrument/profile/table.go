package profile

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// String returns the table that [Profile.WriteTo] writes.
func (p *Profile) String() string {
	var b strings.Builder
	_, _ = p.WriteTo(&b) // a Builder never fails
	return b.String()
}

// WriteTo writes the profile as a text table, with times per call. It omits unknown values.
func (p *Profile) WriteTo(to io.Writer) (int64, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: %s\n%s\n\n", p.Class, strings.Join(p.Reasons, "; "), p.Advice)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	p.writeTimes(w)
	p.writeCounts(w)
	_ = w.Flush() // writes to a Builder, which never fails
	n, err := io.WriteString(to, b.String())
	return int64(n), err
}

// perCall divides a total by the number of calls, and rounds the result to three significant
// digits.
func (p *Profile) perCall(total time.Duration) time.Duration {
	return short(total / time.Duration(max(p.Calls, 1)))
}

func (p *Profile) writeTimes(w io.Writer) {
	fmt.Fprintf(w, "wall\t%v\tper call, %d calls\n", p.perCall(p.Wall), p.Calls)
	part := func(name string, d instrument.Optional[time.Duration], note string) {
		if d, known := d.Get(); known {
			fmt.Fprintf(w, "%s\t%v\t%.1f%%%s\n", name, p.perCall(d), percent(d, p.Wall), note)
		}
	}
	uncertainty := ""
	if p.BlockedError > p.Wall/100 {
		uncertainty = fmt.Sprintf(" ± %.1f%%", percent(p.BlockedError, p.Wall))
	}
	part("  on a CPU", p.OnCPU, "")
	part("  run queue", p.RunQueue, uncertainty)
	part("  blocked", p.Blocked, uncertainty)
	for _, wait := range p.Waits {
		if wait.Time > p.Wall/100 {
			fmt.Fprintf(
				w,
				"  for %s\t%v\t%.1f%%, %d times\n",
				wait.Reason,
				p.perCall(wait.Time),
				percent(wait.Time, p.Wall),
				wait.Count,
			)
		}
	}
	part("Go's scheduler", p.GoQueue, ", mostly part of the run queue")
	if p.Started > 0 {
		fmt.Fprintf(
			w,
			"started\t%d\tgoroutines in total, which together ran for %v per call\n",
			p.Started,
			p.perCall(p.Ran),
		)
	}
}

func (p *Profile) writeCounts(w io.Writer) {
	if n, known := p.VoluntarySwitches.Get(); known {
		fmt.Fprintf(w, "context switches\t%d\tvoluntary and %d involuntary, in total\n", n, p.InvoluntarySwitches.Or(0))
	}
	if n, known := p.MajorFaults.Get(); known {
		fmt.Fprintf(w, "page faults\t%d\tmajor and %d minor, in total\n", n, p.MinorFaults.Or(0))
	}
	if cpus, known := p.Quota.Get(); known {
		fmt.Fprintf(
			w,
			"CPU quota\t%.3g\tCPUs; throttled in %d of %d periods\n",
			cpus,
			p.ThrottledPeriods.Or(0),
			p.QuotaPeriods.Or(0),
		)
	}
	calls := float64(max(p.Calls, 1))
	fmt.Fprintf(
		w,
		"allocated\t%.0f B\tin %.1f objects per call, by the whole process\n",
		float64(p.ProcessBytes)/calls,
		float64(p.ProcessAllocs)/calls,
	)
	fmt.Fprintf(w, "CPU\t%v\tper call, of the whole process\n", p.perCall(p.ProcessCPU))
}
