package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/bench"
	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
)

// benchFlags holds the values of the flags of sidecar bench.
type benchFlags struct {
	works       []string
	urls, tcps  []string
	rounds, max int
	window      time.Duration
	sweep       bool
	budget      time.Duration
	json        bool
	plot, dir   string
	seed        uint64
}

// benchCommand returns the bench command, which compares ways to run tasks.
func benchCommand(bind settingsBinder) *cobra.Command {
	f := &benchFlags{}
	c := &cobra.Command{
		Use:   "bench",
		Short: "Compare ways to run tasks, and find the best size of a pool",
		Args:  noArguments,
	}
	set := c.Flags()
	set.StringSliceVar(&f.works, "work", nil, "`KINDS`: what the tasks do: cpu, file, http, mixed; all by default")
	set.StringArrayVar(&f.urls, "url", nil, "`URL`: GET this URL instead; repeatable")
	set.StringArrayVar(&f.tcps, "tcp", nil, "`HOST:PORT`: connect to this address instead; repeatable")
	set.IntVar(&f.max, "max", 64, "`NUMBER`: number of workers in the largest pool")
	set.DurationVar(&f.budget, "budget", 80*time.Second, "`DURATION`: approximate time limit for the run")
	set.IntVar(&f.rounds, "rounds", 11, "`NUMBER`: maximum number of measurements of each model")
	set.DurationVar(&f.window, "window", 120*time.Millisecond, "`DURATION`: approximate length of one measurement")
	set.BoolVar(&f.sweep, "sweep", false, "find the best number of workers instead of comparing models")
	set.Uint64Var(&f.seed, "seed", 1, "`NUMBER`: determines the order of measurements")
	set.StringVar(&f.dir, "dir", "", "`DIR`: where file tasks write; the temporary directory by default")
	set.StringVar(&f.plot, "plot", "", "`DIR`: where to write plots: SVG, and PNG for light and dark pages")
	set.BoolVar(&f.json, "json", false, "print JSON")
	return bind(c, f.run, "cgroup-root")
}

// check rejects invalid values and flags that have no effect.
func (f *benchFlags) check(set *pflag.FlagSet) error {
	if f.rounds < 1 || f.max < 2 || f.window <= 0 || f.budget <= 0 {
		return fmt.Errorf(
			"--rounds=%d --max=%d --window=%v --budget=%v: "+
				"expected at least 1 round, a maximum of at least 2, and times above 0",
			f.rounds, f.max, f.window, f.budget)
	}
	if f.sweep {
		for _, name := range []string{"rounds", "window", "cgroup-root"} {
			if set.Changed(name) {
				return fmt.Errorf("--%s has no effect with --sweep", name)
			}
		}
	}
	if named := len(
		f.works,
	) + len(
		f.urls,
	) + len(
		f.tcps,
	); f.dir != "" && named > 0 &&
		!slices.Contains(f.works, "file") {
		return errors.New("--dir has no effect without --work=file")
	}
	return nil
}

func (f *benchFlags) options() (bench.Options, error) {
	o := bench.Options{Rounds: f.rounds, Window: f.window, Budget: f.budget, Max: f.max, Seed: f.seed}
	for _, url := range f.urls {
		o.Works = append(o.Works, bench.URL(url))
	}
	for _, address := range f.tcps {
		o.Works = append(o.Works, bench.TCP(address))
	}
	known := map[string]bench.Work{}
	for _, w := range bench.BuiltIn(f.dir) {
		known[w.Name] = w
		if len(f.works)+len(f.urls)+len(f.tcps) == 0 {
			o.Works = append(o.Works, w)
		}
	}
	for _, name := range f.works {
		w, ok := known[name]
		if !ok {
			return o, fmt.Errorf("--work=%s: expected cpu, file, http or mixed", name)
		}
		o.Works = append(o.Works, w)
	}
	return o, nil
}

func (f *benchFlags) run(c *cobra.Command, settings *config.Settings) error {
	if err := f.check(c.Flags()); err != nil {
		return usageError{err}
	}
	o, err := f.options()
	if err != nil {
		return usageError{err}
	}
	o.CgroupRoot = settings.CgroupRoot
	progress := newProgress(c.ErrOrStderr())
	o.Progress = progress.show
	out := c.OutOrStdout()
	if f.sweep {
		found := bench.Sweep(c.Context(), o)
		progress.clear()
		err = f.print(out, found, func() error { return bench.WriteSweeps(out, found) },
			func() ([]string, error) { return bench.PlotSweeps(f.plot, found) })
	} else {
		report := bench.Run(c.Context(), o)
		progress.clear()
		err = f.print(out, report, func() error { return report.Write(out) },
			func() ([]string, error) { return report.Plot(f.plot) })
	}
	if err == nil && c.Context().Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// print writes the result as text or JSON, and then the plots, if --plot is set.
func (f *benchFlags) print(
	out io.Writer, result any, text func() error, plots func() ([]string, error),
) error {
	if f.json {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		text = func() error { return enc.Encode(result) }
	}
	if err := text(); err != nil {
		return err
	}
	if f.plot == "" {
		return nil
	}
	names, err := plots()
	if err != nil {
		return fmt.Errorf("--plot: %w", err)
	}
	for _, name := range names {
		if !f.json {
			fmt.Fprintln(out, "wrote", name)
		}
	}
	return nil
}

// progress shows the progress of a run on one line of a terminal. It writes nothing if out is not a
// terminal.
type progress struct {
	out      io.Writer
	terminal bool
}

func newProgress(out io.Writer) progress { return progress{out, isTerminal(out)} }

func (p progress) show(current string, left time.Duration) {
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K%.60s, %v left", current, left.Round(time.Second))
	}
}

func (p progress) clear() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
