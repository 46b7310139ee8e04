package bench

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"runtime"
	"time"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/fold"
)

const textWidth = 78 // columns

func cpus() float64 { return float64(runtime.GOMAXPROCS(0)) }

// Write writes the report for a terminal of 80 columns.
func (r Report) Write(w io.Writer) error {
	out := bufio.NewWriter(w)
	quota := "no quota"
	if r.Quota > 0 {
		quota = fmt.Sprintf("a quota of %.3g CPUs", r.Quota)
	}
	fmt.Fprintf(out, "%s, %s; machine noise ±%.0f%%; %s in %.0f s\n",
		counted(r.CPUs, "CPU"), quota, 100*r.Noise, counted(r.rounds(), "round"), r.Seconds)
	for i := range r.Works {
		r.Works[i].write(out)
	}
	if r.Interrupted {
		fmt.Fprint(out, "\nInterrupted: these are the results so far.\n")
	}
	return out.Flush()
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// rounds returns the number of rounds in which every row was measured.
func (r Report) rounds() int {
	rounds := math.MaxInt
	for _, w := range r.Works {
		for _, row := range w.Rows {
			rounds = min(rounds, row.Rounds)
		}
	}
	if rounds == math.MaxInt {
		return 0
	}
	return rounds
}

func (w *WorkReport) write(out io.Writer) {
	fmt.Fprintf(out, "\n%s: %s\n", w.Name, w.What)
	if len(w.Rows) > 0 {
		fmt.Fprintf(out, "  %-16s %8s %5s %5s %7s %7s %7s %6s %8s\n",
			"model", "tasks/s", "±", "gain", "p50", "p99", "CPU", "allocs", "memory")
	}
	for _, r := range w.Rows {
		mark := " "
		if r.Model == w.Best && r.Size == w.Size {
			mark = "▶"
		}
		cpu := "–"
		if r.CPU > 0 {
			cpu = short(r.CPU)
		}
		fmt.Fprintf(out, "%s %-16s %8.0f %4.0f%% %5s %7s %7s %7s %6.0f %8s\n", mark, Model{r.Model, r.Size},
			r.Rate, 100*r.Spread, times(r.SpeedUp), short(r.P50), short(r.P99), cpu, r.Allocs, size(r.Memory))
	}
	if w.Error != "" {
		fmt.Fprintln(out, fold.Text("Ended early: "+w.Error, textWidth, "  "))
	}
	fmt.Fprintln(out, fold.Text(w.Advice, textWidth, "  "))
}

func times(f float64) string {
	if f == 0 {
		return "–"
	}
	return fmt.Sprintf("%.3g×", f)
}

// short formats a time in seconds with at most three significant digits.
func short(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.3gs", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.3gms", float64(d)/1e6)
	default:
		return fmt.Sprintf("%.3gµs", float64(d)/1e3)
	}
}

func size(n uint64) string {
	const kib = 1024
	switch {
	case n >= 100*kib*kib:
		return fmt.Sprintf("%d MiB", n/kib/kib)
	case n >= kib*kib:
		return fmt.Sprintf("%.1f MiB", float64(n)/kib/kib)
	default:
		return fmt.Sprintf("%d KiB", n/kib)
	}
}
