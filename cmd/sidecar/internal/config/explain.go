package config

import (
	"errors"
	"fmt"

	"github.com/agext/levenshtein"
	"github.com/spf13/pflag"
)

// Explain turns err, an error from the command-line parser, into one helpful line. command is the
// full name of the command, such as "sidecar bench", and set is its flag set.
func (f *Flags) Explain(err error, command string, set *pflag.FlagSet) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return fmt.Errorf("unknown flag -%.1s; flags begin with two dashes", unknown.GetSpecifiedShortnames())
	case errors.As(err, &unknown):
		return f.explainUnknown(unknown.GetSpecifiedName(), command, set)
	case errors.As(err, &invalid):
		return fmt.Errorf("--%s: %w", invalid.GetFlag().Name, invalid.Unwrap())
	default:
		return err
	}
}

func (f *Flags) explainUnknown(name, command string, set *pflag.FlagSet) error {
	if f.all.Lookup(name) != nil {
		return fmt.Errorf("%s does not use --%s; %s --help lists its flags", command, name, command)
	}
	if near := nearest(name, names(set)); near != "" {
		return fmt.Errorf("unknown flag --%s, did you mean --%s?", name, near)
	}
	return fmt.Errorf("unknown flag --%s; %s --help lists the flags", name, command)
}

// nearest returns the known name closest to name. It returns "" if even that is more than two edits
// away, or more than one edit per four letters.
func nearest(name string, known []string) string {
	best, limit := "", min(2, len(name)/4)+1
	for _, k := range known {
		if d := levenshtein.Distance(name, k, nil); d < limit {
			best, limit = k, d
		}
	}
	return best
}
