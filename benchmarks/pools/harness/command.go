package harness

import (
	"flag"
	"regexp"
	"time"
)

// Parse parses the arguments of a command. It adds the flags that every command of the harness has
// to flags, which declares the command's own.
func Parse(flags *flag.FlagSet, args []string) (Settings, error) {
	rounds := flags.Int("rounds", 9, "rounds to take the median of")
	each := flags.Duration("time", 50*time.Millisecond, "approximate time of a subject in one round")
	once := flags.Bool("once", false, "do not repeat the measurement of a case that misses a bar")
	only := flags.String("run", "", "run the cases whose name matches this regexp")
	if err := flags.Parse(args); err != nil {
		return Settings{}, err
	}
	names, err := regexp.Compile(*only)
	return Settings{Rounds: *rounds, Time: *each, Only: names, Once: *once}, err
}

// Twice returns the faults of results. Unless Settings.Once is set, a result with faults is
// measured again, since other processes on the machine can spoil a few rounds, and only the second
// measurement counts.
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
