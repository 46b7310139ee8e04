package monitor

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Report is the result of a run.
type Report struct {
	Name    string
	Elapsed time.Duration

	// The tasks of this run.
	Endings [4]int64              // number of tasks by [instrument.Ending]
	Latency *instrument.Histogram // its quantiles have an error of at most 4.5%

	// Resources used by the whole process during the run.
	ProcessCPU    time.Duration
	ProcessAllocs uint64 // objects allocated on the heap
	ProcessBytes  uint64 // total size of these objects
	GCs           uint32 // garbage collections completed
	GCPause       time.Duration
	Memory        *Memory // nil if unknown, as on all systems except Linux

	// Beside holds the names of at most 100 concurrent runs. The fields that start with Process
	// include what these runs used.
	Beside []string
}

// Tasks returns the number of tasks that ended.
func (p *Report) Tasks() (n int64) {
	for _, ended := range p.Endings {
		n += ended
	}
	return n
}

// Throughput returns tasks per second, or 0 if no time has passed.
func (p *Report) Throughput() float64 {
	if p.Elapsed <= 0 {
		return 0
	}
	return float64(p.Tasks()) / p.Elapsed.Seconds()
}

// ErrorRate returns the fraction of tasks, from 0 to 1, that ended with an error, a panic or
// [runtime.Goexit]. known is false if no task has ended.
func (p *Report) ErrorRate() (share float64, known bool) {
	n := p.Tasks()
	if n == 0 {
		return 0, false
	}
	return float64(n-p.Endings[instrument.OK]) / float64(n), true
}

// String returns the table that [Report.WriteTo] writes.
func (p *Report) String() string {
	var b strings.Builder
	_, _ = p.WriteTo(&b) // a Builder never fails
	return b.String()
}

// WriteTo writes the report as a text table. It omits unknown values.
func (p *Report) WriteTo(to io.Writer) (int64, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "run %q: %d tasks in %v\n\n", p.Name, p.Tasks(), short(p.Elapsed))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	p.writeTasks(w)
	p.writeProcess(w)
	_ = w.Flush() // writes to a Builder, which never fails
	n, err := io.WriteString(to, b.String())
	return int64(n), err
}

func (p *Report) writeTasks(w io.Writer) {
	fmt.Fprintf(w, "throughput\t%.4g/s\n", p.Throughput())
	if share, known := p.ErrorRate(); known {
		fmt.Fprintf(w, "errors\t%.2f%%", 100*share)
		for ending := instrument.Failed; ending <= instrument.Exited; ending++ {
			if n := p.Endings[ending]; n > 0 {
				fmt.Fprintf(w, "\t%d %v", n, ending)
			}
		}
		fmt.Fprintln(w)
	}
	if h := p.Latency; h.Count() > 0 {
		mean := time.Duration(h.Sum() / float64(h.Count()) * float64(time.Second))
		fmt.Fprintf(w, "latency\t%v mean\tp50 %v\tp90 %v\tp99 %v\tmax %v\n",
			short(mean), short(h.Quantile(.5)), short(h.Quantile(.9)), short(h.Quantile(.99)), short(h.Max()))
	}
}

func (p *Report) writeProcess(w io.Writer) {
	fmt.Fprintln(w, "\nwhole process:")
	fmt.Fprintf(w, "CPU\t%v", short(p.ProcessCPU))
	if p.Elapsed > 0 {
		fmt.Fprintf(w, "\t%.2f CPUs on average", p.ProcessCPU.Seconds()/p.Elapsed.Seconds())
	}
	fmt.Fprintln(w)
	if m := p.Memory; m != nil {
		atLeast := "at least "
		if m.Exact {
			atLeast = ""
		}
		fmt.Fprintf(
			w,
			"memory\t%s at the end\t%s%s\tpeak %s%s\n",
			size(m.End),
			sign(m.End-m.Start),
			size(m.End-m.Start),
			atLeast,
			size(m.Peak),
		)
	}
	fmt.Fprintf(w, "allocated\t%s\tin %d objects\n", size(int64(p.ProcessBytes)), p.ProcessAllocs)
	fmt.Fprintf(w, "garbage collections\t%d\tpaused for %v in total\n", p.GCs, short(p.GCPause))
	if len(p.Beside) > 0 {
		fmt.Fprintf(w, "concurrent runs\t%s\n", strings.Join(p.Beside, ", "))
	}
}

// short rounds a duration to three significant digits.
func short(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for limit := time.Duration(1000); d.Abs() >= limit && unit < time.Hour; limit *= 10 {
		unit *= 10
	}
	return d.Round(unit)
}

// sign returns "+" unless n is negative, in which case its formatted value already has a sign.
func sign(n int64) string {
	if n >= 0 {
		return "+"
	}
	return ""
}

// size formats n, a number of bytes, with a unit from B to GiB.
func size(n int64) string {
	v := float64(n)
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if v > -1024 && v < 1024 {
			return fmt.Sprintf("%.4g %s", v, unit)
		}
		v /= 1024
	}
	return fmt.Sprintf("%.4g GiB", v)
}
