// Command truth checks the telemetry of our pools. It compares the time in use that pools report
// with the time that the benchmark measures, and counts how often the histogram misses a long use
// among many short ones. It fails if a target is not met.
//
//	go run ./pools/truth            # from benchmarks/
//	go run ./pools/truth -run 10s   # some cases
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/benchmarks/pools/peers"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "truth:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("truth", flag.ContinueOnError)
	only := flags.String("run", "", "run the cases whose name matches this regexp")
	rounds := flags.Int("rounds", 1000, "number of pools in which to look for a long use")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	_, closeProducer := peers.Producer()
	defer closeProducer()
	fmt.Fprintf(
		stdout,
		"%s\n\n| case | measured | reported | target | met |\n|---|---|---|---|---|\n",
		harness.Machine(),
	)
	missed := 0
	for _, c := range cases(*rounds) {
		if !names.MatchString(c.name) {
			continue
		}
		harness.Calibrate()
		r := c.measure()
		met := "yes"
		if !r.met {
			met = "**no**"
			missed++
		}
		fmt.Fprintf(stdout, "| %s | %s | %s | %s | %s |\n", c.name, r.measured, r.reported, r.bar, met)
	}
	if missed > 0 {
		return errors.New("a target was not met")
	}
	return nil
}

// check is a test of one metric that a pool reports.
type check struct {
	name    string
	measure func() result
}

type result struct {
	measured, reported, bar string
	met                     bool
}

// loads lists loads below and above 100,000 uses per second. In some, consecutive uses differ,
// which makes sampling harder.
var loads = []struct {
	name   string
	load   load
	round  time.Duration
	within float64
}{
	{"uses of 200 µs, 1s", load{each: 200 * time.Microsecond, pause: 100 * time.Microsecond}, time.Second, 0.01},
	{"uses of 30 µs, 1s", load{each: 30 * time.Microsecond, pause: 30 * time.Microsecond}, time.Second, 0.01},
	{"uses of 1 µs, 10s", load{each: time.Microsecond, pause: time.Microsecond}, 10 * time.Second, 0.03},
	{
		"uses of 1 µs and 1 in 1,000 of 5 ms, 10s",
		load{each: time.Microsecond, longEvery: 1000, long: 5 * time.Millisecond},
		10 * time.Second, 0.03,
	},
	{
		"uses of 1 µs with pauses and 1 in 1,000 of 5 ms, 10s",
		load{each: time.Microsecond, pause: time.Microsecond, longEvery: 1000, long: 5 * time.Millisecond},
		10 * time.Second, 0.03,
	},
	{
		"uses of 1 µs and computing for 5 ms after 1,000, 10s",
		load{each: time.Microsecond, longEvery: 1000, long: time.Microsecond, compute: 5 * time.Millisecond},
		10 * time.Second, 0.03,
	},
	{
		"uses of 1 µs in bursts of 5 ms, 10s",
		load{each: time.Microsecond, work: 5 * time.Millisecond, rest: 20 * time.Millisecond},
		10 * time.Second, 0.03,
	},
}

func cases(rounds int) []check {
	var all []check
	for _, p := range subjects {
		for _, l := range loads {
			all = append(
				all,
				check{p.kind + ", " + l.name, func() result { return useTime(p.open, l.load, l.round, l.within) }},
			)
		}
		if p.histogram {
			all = append(
				all,
				check{
					p.kind + ", one use of 20 ms among 20,000 short ones",
					func() result { return longUse(p.open, rounds) },
				},
			)
		}
	}
	return all
}
