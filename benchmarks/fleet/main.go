// Fleet simulates sidecars that send to a tier of gateways: first after an outage of all gateways,
// and then while one gateway after another restarts. The relay's own code (collector/export)
// determines how long a sidecar waits between attempts, how fast it sends its backlog, and how long
// it keeps a connection. Fleet prints the load on the gateways and the targets, in Markdown. The
// exit status is 1 if a target was not met.
//
// In the simulation, each sidecar receives a batch every ten seconds. It sends fresh batches
// immediately, and the backlog after them (--metrics-order live). A connection goes to a random
// gateway that is up (gRPC's pick_first with shuffled addresses), and breaks when its gateway
// stops. Gateways accept everything, so that the simulation shows their full load. Time advances in
// steps of one second.
//
//	cd benchmarks && go run ./fleet
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

type options struct {
	sidecars, gateways int
	outage             time.Duration
	factor             float64 // --drain-factor
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

var errMissed = errors.New("a target was not met")

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	var o options
	flags.IntVar(&o.sidecars, "sidecars", 10_000, "number of sidecars")
	flags.IntVar(&o.gateways, "gateways", 10, "number of gateways")
	flags.DurationVar(&o.outage, "outage", time.Hour, "how long all gateways are unreachable")
	flags.Float64Var(&o.factor, "drain-factor", 3, "the sidecars' --drain-factor; 0 means no limit")
	if err := flags.Parse(args); err != nil {
		return err
	}
	f := newFleet(o)
	after := f.recover()
	rolling := f.roll()
	fmt.Fprintf(
		out,
		"%d sidecars, %d gateways, an outage of %v, drain factor %v:\n\n",
		o.sidecars,
		o.gateways,
		o.outage,
		o.factor,
	)
	fmt.Fprint(out, "| | after the outage | rolling restart |\n|---|---|---|\n")
	fmt.Fprintf(
		out,
		"| peak load of a gateway in 10 s, relative to the mean of all gateways | %.2f | %.2f |\n",
		after.peak,
		rolling.peak,
	)
	fmt.Fprintf(
		out,
		"| the same, relative to the live rate | %.2f | %.2f |\n",
		after.peakOverLive,
		rolling.peakOverLive,
	)
	fmt.Fprintf(out, "| every sidecar's fresh data arrives within | %v | %v |\n", after.fresh, rolling.fresh)
	fmt.Fprintf(
		out,
		"| connections per gateway, max/min | %.2f | %.2f, %.2f ten minutes later |\n",
		after.spread,
		rolling.spread,
		f.settle(),
	)
	fmt.Fprintf(out, "| backlog is gone after | %v | |\n", after.drained)
	fmt.Fprintf(out, "| bytes lost | %d | %d |\n", after.lost, rolling.lost)
	if judge(out, after, rolling, f) {
		return nil
	}
	return errMissed
}

// judge prints the targets and reports whether all were met.
func judge(out io.Writer, after, rolling stretch, f *fleet) bool {
	all := true
	for _, target := range []struct {
		what       string
		got, limit float64
	}{
		{"peak over mean at the gateways, at most 3", max(after.peak, rolling.peak), 3},
		{"seconds until fresh data arrives, at most 60", max(after.fresh, rolling.fresh).Seconds(), 60},
		{"connections, max/min, at most 1.3", max(after.spread, f.spread()), 1.3},
		{"bytes lost, 0", float64(after.lost + rolling.lost), 0},
	} {
		verdict := "met"
		if target.got > target.limit {
			verdict, all = "**missed**", false
		}
		fmt.Fprintf(out, "\n%s: %.2f, %s", target.what, target.got, verdict)
	}
	fmt.Fprintln(out)
	return all
}
