// Detect tests whether the sidecar detects faults on a real machine. Each scenario injects a fault
// for a while alongside a running sidecar, and prints a Markdown table of the metrics before,
// during and after the fault:
//
//   - quota: a CPU quota throttles a container of the sidecar's pod
//   - neighbor: other processes compete with the sidecar for its core
//   - disk: the kernel throttles the writes of the sidecar's cgroup
//   - uml: quota and disk again, with cgroups v2, in a user-mode-linux kernel (Debian package
//     user-mode-linux)
//
// Detect skips scenarios that the machine does not support, and prints why. The exit status is 1 if
// a fault was not detected. Detect needs Linux and root. It creates cgroups under
// /sys/fs/cgroup/poolgauge-detect, and removes them at the end.
//
//	cd benchmarks && go run ./detect -phase 15s -only quota,neighbor,disk,uml
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/internal/shipped"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "detect:", err)
		os.Exit(1)
	}
}

// run runs the program or one of its helpers: one that enters cgroups, one that uses CPU time, or
// the init process of the inner kernel.
func run(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case os.Getpid() == 1 && os.Getenv(umlPhase) != "":
		return runAsInit(ctx)
	case len(args) > 2 && args[1] == helperEnter:
		return enter(args[2], args[3:])
	case len(args) == 2 && args[1] == helperBurn:
		burn()
	}
	flags := flag.NewFlagSet("detect", flag.ContinueOnError)
	phase := flags.Duration("phase", 15*time.Second, "duration of each phase: before, during and after the fault")
	only := flags.String("only", "quota,neighbor,disk,uml", "comma-separated scenarios to run")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "detect")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b, err := newBench(ctx, dir, *phase)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "`go run ./detect %s`\n", strings.Join(args[1:], " "))
	return b.runAll(ctx, strings.Split(*only, ","), out)
}

// bench holds what the scenarios need to run.
type bench struct {
	self    string // this program
	sidecar string
	dir     string // a directory on a disk, removed at the end
	phase   time.Duration
}

func newBench(ctx context.Context, dir string, phase time.Duration) (*bench, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b := &bench{self: self, sidecar: filepath.Join(dir, "sidecar"), dir: dir, phase: phase}
	if err := shipped.Build(ctx, b.sidecar); err != nil {
		return nil, err
	}
	return b, nil
}

// errSkipped is wrapped by errors that say why a scenario is skipped.
var errSkipped = errors.New("skipped")

var errUndetected = errors.New("a fault was not detected")

func (b *bench) runAll(ctx context.Context, only []string, out io.Writer) error {
	all := true
	for _, s := range []struct {
		name string
		run  func(context.Context) ([]report, error)
	}{
		{"quota", single(b.quota)}, {"neighbor", single(b.neighbor)}, {"disk", single(b.disk)}, {"uml", b.uml},
	} {
		if !slices.Contains(only, s.name) {
			continue
		}
		reports, err := s.run(ctx)
		if errors.Is(err, errSkipped) {
			fmt.Fprintf(out, "\n### %s: %v\n", s.name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		for _, r := range reports {
			r.print(out)
			all = all && (r.Detected || r.Skipped != "")
		}
	}
	if !all {
		return errUndetected
	}
	return nil
}

func single(run func(context.Context) (report, error)) func(context.Context) ([]report, error) {
	return func(ctx context.Context) ([]report, error) {
		r, err := run(ctx)
		return []report{r}, err
	}
}

// report is the result of a scenario. The inner kernel passes it to the outer one as JSON.
type report struct {
	Title    string
	Skipped  string `json:",omitempty"` // why the scenario was skipped
	Rows     []row
	Detected bool // the first row's value rose during the fault and fell after it
}

// row holds the value of one metric before, during and after the fault, formatted as text; a dash
// means undefined.
type row struct {
	What                  string
	Before, During, After string
}

func (r report) print(out io.Writer) {
	fmt.Fprintf(out, "\n### %s\n\n", r.Title)
	if r.Skipped != "" {
		fmt.Fprintf(out, "Skipped: %s\n", r.Skipped)
		return
	}
	fmt.Fprint(out, "| | before | during | after |\n|---|---|---|---|\n")
	for _, row := range r.Rows {
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", row.What, row.Before, row.During, row.After)
	}
	verdict := "**not detected**"
	if r.Detected {
		verdict = "detected"
	}
	fmt.Fprintf(out, "\n%s\n", verdict)
}
