package autosize

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"
)

var (
	seed       = flag.Uint64("seed", 1, "seed of the random requests")
	full       = flag.Bool("full", false, "run all workloads and fixed sizes, which takes some minutes")
	only       = flag.String("only", "", "run only workloads whose names contain this")
	loadFactor = flag.Float64("load", 1, "factor by which to multiply the request rates")
	logMoves   = flag.Bool("moves", false, "log each change of the limit")
)

// TestGoodput compares the contenders and prints a table. It runs in virtual time, so the machine's
// load does not matter. Without -full, it runs a single workload, in which a quota throttles the
// program.
func TestGoodput(t *testing.T) {
	sizes := []int64{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128}
	if !*full {
		sizes, *only = sizes[:2], "quota"
	}
	logger := slog.New(slog.DiscardHandler)
	if *logMoves {
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "workload\tbest fixed\tautosize\tmoves\tthrottled\tfailsafe\twith a queue\tmoves")
	missed := 0
	for _, w := range workloads {
		if !strings.Contains(w.name, *only) {
			continue
		}
		rate := w.rate
		w.rate = func(at time.Duration) float64 { return *loadFactor * rate(at) }
		scoreOf := func(contender func(*model) limiter) (s score) {
			synctest.Test(t, func(*testing.T) { s = run(w, contender, *seed) })
			return s
		}
		var best score
		var size int64
		for _, n := range sizes {
			if s := scoreOf(fixed(n)); s.good > best.good {
				best, size = s, n
			}
		}
		ours, plain, queued := scoreOf(resized(logger)), scoreOf(adaptive(false)), scoreOf(adaptive(true))
		ratio := func(s score) float64 { return s.share() / best.share() }
		fmt.Fprintf(out, "%s\t%.3f with %d\t%.3f\t%d\t%d\t%.3f\t%.3f\t%d\n", w.name, best.share(), size,
			ratio(ours), ours.moves, ours.throttled, ratio(plain), ratio(queued), queued.moves)
		if ratio(ours) < 0.95 {
			missed++
		}
		if ours.throttled > 0 {
			t.Errorf(
				"%s: the limit changed %d times while a quota throttled the program, want 0",
				w.name,
				ours.throttled,
			)
		}
	}
	if err := out.Flush(); err != nil {
		t.Error(err)
	}
	if missed > 1 {
		t.Errorf(
			"goodput is below 0.95 of the best fixed size in %d of %d workloads, want at most 1",
			missed,
			len(workloads),
		)
	}
}
