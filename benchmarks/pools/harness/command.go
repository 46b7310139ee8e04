package harness

import (
	"flag"
	"regexp"
	"time"
)

// Parse parses a command's arguments. flags declares the command's own flags; Parse adds those that
// all commands using this harness share.
func Parse(flags *flag.FlagSet, args []string) (Settings, error) {
	rounds := flags.Int("rounds", 9, "rounds to take the median of")
	each := flags.Duration("time", 50*time.Millisecond, "approximate time per subject and round")
	once := flags.Bool("once", false, "do not repeat the measurement of a case that misses a target")
	only := flags.String("run", "", "run the cases whose name matches this regexp")
	if err := flags.Parse(args); err != nil {
		return Settings{}, err
	}
	names, err := regexp.Compile(*only)
	return Settings{Rounds: *rounds, Time: *each, Only: names, Once: *once}, err
}

// Twice returns the faults that the function faults finds in results. Since other processes on the
// machine can spoil a few rounds, it measures a case with faults again, and only the second
// measurement counts. If s.Once is set, it does not measure again.
func Twice(results []Result, s Settings, faults func(Result) []string) (all []string) {
	for _, r := range results {
		if len(faults(r)) == 0 {
			continue
		}
		if !s.Once {
			r = r.Again(s)
		}
		all = append(all, faults(r)...)
	}
	return all
}
