// Command json compares the CPU time of the sidecar's OTLP/JSON decoder with that of the Collector,
// which relays JSON by calling pdata's UnmarshalJSON and MarshalProto. Both convert the same bodies
// to protobuf, one after the other in random order. The command prints the medians over the rounds.
//
//	go run .            # from benchmarks/json/
//	go run . -rounds 9
//
// The tests of this module compare the two decoders' output.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

// maxRatio is the highest allowed ratio of our CPU time to the Collector's.
const maxRatio = 1.0

// cost is the cost of converting one request.
type cost struct {
	cpu       time.Duration
	allocated float64 // bytes
}

func main() {
	rounds := flag.Int("rounds", 5, "rounds to take the median of")
	each := flag.Duration("each", 200*time.Millisecond, "duration of each measurement")
	flag.Parse()
	if err := run(*rounds, *each); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(rounds int, each time.Duration) error {
	fmt.Printf("%d CPUs, %s; CPU time and allocated bytes per item\n\n", runtime.NumCPU(), runtime.Version())
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "items\tof\tJSON\tours ns\tpdata ns\tratio\tours B\tpdata B")
	missed := 0
	for _, shape := range shapes {
		for _, items := range []int{1, 100, 10_000} {
			body, err := shape.body(items)
			if err != nil {
				return err
			}
			ours, theirs, err := compare(shape.signal, body, rounds, each)
			if err != nil {
				return fmt.Errorf("%s: %w", shape.name, err)
			}
			n := float64(items)
			ratio := float64(ours.cpu) / float64(theirs.cpu)
			if ratio > maxRatio {
				missed++
			}
			fmt.Fprintf(w, "%d\t%s\t%d\t%.0f\t%.0f\t%.2f\t%.0f\t%.0f\n", items, shape.name, len(body),
				float64(ours.cpu)/n, float64(theirs.cpu)/n, ratio, ours.allocated/n, theirs.allocated/n)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if missed > 0 {
		return fmt.Errorf("in %d cases, the ratio of our CPU time to pdata's exceeds %.1f", missed, maxRatio)
	}
	return nil
}

func compare(s otlp.Signal, body []byte, rounds int, each time.Duration) (ours, theirs cost, err error) {
	contenders := []func() error{
		func() error { _, err := otlp.FromJSON(s, body); return err },
		func() error { _, err := byCollector(s, body); return err },
	}
	costs := make([][]cost, len(contenders))
	for range rounds {
		for _, i := range rand.Perm(len(contenders)) {
			c, err := measure(contenders[i], each)
			if err != nil {
				return cost{}, cost{}, err
			}
			costs[i] = append(costs[i], c)
		}
	}
	return median(costs[0]), median(costs[1]), nil
}

func median(costs []cost) cost {
	slices.SortFunc(costs, func(a, b cost) int { return int(a.cpu - b.cpu) })
	return costs[len(costs)/2]
}

// measure calls f repeatedly for about the given time. The CPU time is that of the process,
// including garbage collection.
func measure(f func() error, each time.Duration) (cost, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin, end := cpuTime(), time.Now().Add(each)
	n := 0
	for ; n == 0 || time.Now().Before(end); n++ {
		if err := f(); err != nil {
			return cost{}, err
		}
	}
	took := cpuTime() - begin
	runtime.ReadMemStats(&after)
	return cost{took / time.Duration(n), float64(after.TotalAlloc-before.TotalAlloc) / float64(n)}, nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // the argument is constant
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
