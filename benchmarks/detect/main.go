// Detect tests what the sidecar detects on a real machine. Each scenario causes a fault for a
// while, with the sidecar running, and prints a table in Markdown of the metrics before, during and
// after:
//
//   - quota: a container of the sidecar's pod is throttled by its CPU quota
//   - neighbor: other processes compete with the sidecar for its core
//   - disk: the writes of the sidecar's control group are throttled
//   - uml: quota and disk again, on control groups v2, in a user-mode-linux kernel (Debian package
//     user-mode-linux)
//
// Scenarios that the machine does not support are skipped, with the reason. The exit status is 1 if
// a fault was not detected. It needs Linux and root, creates control groups below
// /sys/fs/cgroup/poolgauge-detect, and removes them.
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

// run runs the program or one of its helper processes: one that enters control groups, one that
// uses CPU, or the init of a kernel.
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
	phase := flags.Duration("phase", 15*time.Second, "how long each of before, during and after lasts")
	only := flags.String("only", "quota,neighbor,disk,uml", "scenarios to run")
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

// bench is the environment of the scenarios.
type bench struct {
	self    string // this program
	sidecar string
	dir     string // on a disk, removed at the end
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

// errSkipped is wrapped by the reason for skipping a scenario.
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

// report is the result of a scenario. It is passed from one kernel to another as JSON.
type report struct {
	Title    string
	Skipped  string `json:",omitempty"` // the reason
	Rows     []row
	Detected bool // the first row's figure rose with the fault and fell with it
}

// row is a figure in the three phases, as text; an undefined value is a dash.
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
