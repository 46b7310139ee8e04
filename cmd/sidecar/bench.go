package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/bench"
)

// benchFlags are the settings of sidecar bench.
type benchFlags struct {
	works        []string
	urls, tcps   []string
	rounds, max  int
	window       time.Duration
	sweep        bool
	budget       time.Duration
	json         bool
	plot, dir    string
	seed         uint64
	errInterrupt error
}

// benchCommand compares ways to run tasks.
func benchCommand() *cobra.Command {
	f := &benchFlags{errInterrupt: errors.New("interrupted")}
	c := &cobra.Command{
		Use:   "bench",
		Short: "Compare ways to run tasks at once, and find the best size of a pool",
		Args:  noArguments,
		RunE:  f.run,
	}
	set := c.Flags()
	set.StringSliceVar(&f.works, "work", nil, "what tasks do: cpu, file, http, mixed (all of them)")
	set.StringSliceVar(&f.urls, "url", nil, "fetch this address instead")
	set.StringSliceVar(&f.tcps, "tcp", nil, "connect to this host:port instead")
	set.IntVar(&f.rounds, "rounds", 11, "how often each way is measured, at most")
	set.DurationVar(&f.window, "window", 120*time.Millisecond, "how long a measurement takes, about")
	set.IntVar(&f.max, "max", 64, "the largest pool")
	set.BoolVar(&f.sweep, "sweep", false, "find the best number of workers instead of comparing ways")
	set.DurationVar(&f.budget, "budget", 80*time.Second, "how long the run takes, at most about")
	set.BoolVar(&f.json, "json", false, "print JSON")
	set.StringVar(&f.plot, "plot", "", "write plots (SVG, and PNG for light and dark) to this directory")
	set.StringVar(&f.dir, "dir", "", "where the file work writes (the directory for temporary files)")
	set.Uint64Var(&f.seed, "seed", 1, "determines the order of measurements")
	c.SetHelpFunc(func(c *cobra.Command, _ []string) {
		fmt.Fprintf(c.OutOrStdout(), "%s\n\nUsage:\n  %s\n\n%s", c.Short, c.UseLine(), set.FlagUsages())
	})
	return c
}

func (f *benchFlags) options() (bench.Options, error) {
	o := bench.Options{Rounds: f.rounds, Window: f.window, Budget: f.budget, Max: f.max, Seed: f.seed}
	if f.rounds < 1 || f.max < 2 || f.window <= 0 || f.budget <= 0 {
		return o, fmt.Errorf("--rounds=%d --max=%d --window=%v --budget=%v: expected at least 1, 2, and more than 0",
			f.rounds, f.max, f.window, f.budget)
	}
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

func (f *benchFlags) run(c *cobra.Command, _ []string) error {
	o, err := f.options()
	if err != nil {
		return usageError{err}
	}
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
		return f.errInterrupt
	}
	return err
}

// print writes the result as it is wanted, and the plots.
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

// progress is one line on a terminal, which is rewritten; nothing elsewhere.
type progress struct {
	out      io.Writer
	terminal bool
}

func newProgress(out io.Writer) progress {
	file, ok := out.(*os.File)
	if !ok {
		return progress{out, false}
	}
	info, err := file.Stat()
	return progress{out, err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p progress) show(what string, left time.Duration) {
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K%.60s, %v left", what, left.Round(time.Second))
	}
}

func (p progress) clear() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
