package harness

import (
	"flag"
	"regexp"
	"time"
)

// Parse parses the arguments of a command, whose own flags are declared in flags, with those that
// every command of the harness has.
func Parse(flags *flag.FlagSet, args []string) (Settings, error) {
	rounds := flags.Int("rounds", 9, "rounds to take the median of")
	each := flags.Duration("time", 50*time.Millisecond, "what a subject takes in one round, about")
	once := flags.Bool("once", false, "do not measure once more what misses a bar")
	only := flags.String("run", "", "run the cases whose name matches this regexp")
	if err := flags.Parse(args); err != nil {
		return Settings{}, err
	}
	names, err := regexp.Compile(*only)
	return Settings{Rounds: *rounds, Time: *each, Only: names, Once: *once}, err
}

// Twice returns the faults of results. What has some is measured once more, since neighbours on the
// machine can spoil a few rounds, and counts if it fails again, unless Settings.Once.
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
