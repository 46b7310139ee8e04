package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/spf13/pflag"
)

// Flags declare the settings as flags of a command line, and fill those that it does not set.
type Flags struct {
	set      *pflag.FlagSet
	settings *Settings
	config   string
	group    string // of the settings being declared
}

const (
	annotationVariables = "variables" // the environment variables of a flag, most specific first
	annotationGroup     = "group"     // the heading that it stands under in the help
	variablePrefix      = "POOLGAUGE_"
	configFlag          = "config"
	keepRunningFlag     = "keep-running"
)

// Declare adds a flag for each setting to set.
func Declare(set *pflag.FlagSet) *Flags {
	f := &Flags{set: set, settings: &Settings{}}
	set.SortFlags = false
	f.group = "Configuration"
	f.add(
		configFlag,
		text(&f.config, "FILE", nil),
		"YAML file of settings; the keys are the names of these flags without dashes in front",
	)
	f.define(f.settings)
	return f
}

// add declares one setting. Its variable is POOLGAUGE_NAME unless there are standard ones.
func (f *Flags) add(name string, v *value, help string, standard ...string) {
	flag := f.set.VarPF(v, name, "", help)
	if v.boolean {
		flag.NoOptDefVal = "true"
	}
	if len(standard) == 0 {
		standard = []string{variablePrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))}
	}
	flag.Annotations = map[string][]string{annotationVariables: standard, annotationGroup: {f.group}}
}

// Resolve returns the settings once the command line was parsed: what it left open comes from
// environ (in the form of os.Environ), then from the file, then from the defaults. With the setting
// keep-running what is wrong is in Problems, and has its default.
func (f *Flags) Resolve(environ []string) (*Settings, error) {
	variables := variablesOf(environ)
	if err := f.fill(f.set.Lookup(keepRunningFlag), variables, &file{}); err != nil {
		return nil, err
	}
	stored, err := f.sources(variables)
	if err != nil {
		return nil, err
	}
	var first error
	f.set.VisitAll(func(flag *pflag.Flag) {
		if first == nil {
			first = f.settings.bear(f.fill(flag, variables, stored))
		}
	})
	if first != nil {
		return nil, first
	}
	return f.settings, f.settings.validate()
}

// sources returns the file of settings, which may be empty, once it is known that the variables
// have names of ours.
func (f *Flags) sources(variables map[string]string) (stored *file, err error) {
	stored = &file{}
	if err := f.settings.bear(f.checkVariables(variables)); err != nil {
		return nil, err
	}
	if err := f.settings.bear(f.fill(f.set.Lookup(configFlag), variables, stored)); err != nil {
		return nil, err
	}
	if f.config == "" {
		return stored, nil
	}
	read, err := readFile(f.config, f.names())
	if err != nil {
		return stored, f.settings.bear(err)
	}
	return read, nil
}

// bear returns an error that ends the program, or notes it.
func (s *Settings) bear(err error) error {
	if err != nil && s.KeepRunning {
		s.Problems = append(s.Problems, err)
		return nil
	}
	return err
}

// Variables returns the environment variables of all settings.
func (f *Flags) Variables() []string {
	var names []string
	f.set.VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Annotations[annotationVariables]...) })
	return names
}

// fill sets a flag that the command line did not set.
func (f *Flags) fill(flag *pflag.Flag, variables map[string]string, stored *file) error {
	if flag.Changed {
		return nil
	}
	for _, name := range flag.Annotations[annotationVariables] {
		if given, ok := variables[name]; ok {
			return wrap(name, setAll(flag, split(flag, given)...))
		}
	}
	if e, ok := stored.entries[flag.Name]; ok {
		return wrap(fmt.Sprintf("%s:%d: %s", stored.path, e.line, flag.Name), setAll(flag, e.values...))
	}
	return nil
}

func setAll(flag *pflag.Flag, texts ...string) error {
	if v, ok := flag.Value.(*value); ok && !v.repeatable && len(texts) != 1 {
		return fmt.Errorf("expected one value, got a list of %d", len(texts))
	}
	for _, t := range texts {
		if err := flag.Value.Set(t); err != nil {
			return err
		}
	}
	return nil
}

// split splits the list that a variable of a repeatable setting holds at its commas.
func split(flag *pflag.Flag, given string) []string {
	if v, ok := flag.Value.(*value); !ok || !v.repeatable {
		return []string{given}
	}
	var parts []string
	for part := range strings.SplitSeq(given, ",") {
		if part = strings.TrimSpace(part); part != "" { // a comma may end the list
			parts = append(parts, part)
		}
	}
	return parts
}

func wrap(origin string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", origin, err)
}

// Explain makes one helpful line of an error of the command line's parser.
func (f *Flags) Explain(err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return fmt.Errorf(
			"unknown flag -%.1s; a setting's flag begins with two dashes",
			unknown.GetSpecifiedShortnames(),
		)
	case errors.As(err, &unknown):
		if near := nearest(unknown.GetSpecifiedName(), append(f.names(), configFlag, "help")); near != "" {
			return fmt.Errorf("unknown flag --%s, did you mean --%s?", unknown.GetSpecifiedName(), near)
		}
		return fmt.Errorf("unknown flag --%s; sidecar --help lists them", unknown.GetSpecifiedName())
	case errors.As(err, &invalid):
		return fmt.Errorf("--%s: %w", invalid.GetFlag().Name, invalid.Unwrap())
	default:
		return err
	}
}

// names are the settings that a file may have.
func (f *Flags) names() []string {
	var names []string
	f.set.VisitAll(func(flag *pflag.Flag) {
		if _, setting := flag.Value.(*value); setting && flag.Name != configFlag {
			names = append(names, flag.Name)
		}
	})
	return names
}

// checkVariables refuses a variable that is nearly one of ours. One that is far from all is let be:
// Kubernetes makes such names for a service called poolgauge.
func (f *Flags) checkVariables(variables map[string]string) error {
	var known []string
	for _, name := range f.Variables() {
		known = append(known, strings.TrimPrefix(name, variablePrefix))
	}
	for name := range variables {
		own, ours := strings.CutPrefix(name, variablePrefix)
		if !ours || slices.Contains(known, own) {
			continue
		}
		if near := nearest(own, known); near != "" {
			return fmt.Errorf("unknown variable %s, did you mean %s%s?", name, variablePrefix, near)
		}
	}
	return nil
}

func variablesOf(environ []string) map[string]string {
	variables := make(map[string]string, len(environ))
	for _, e := range environ {
		if name, given, _ := strings.Cut(e, "="); strings.TrimSpace(given) != "" {
			variables[name] = strings.TrimSpace(given)
		}
	}
	return variables
}

// nearest returns the known name that name may be a misspelling of: within two edits, and one in
// four letters; or "".
func nearest(name string, known []string) string {
	best, least := "", min(2, len(name)/4)+1
	for _, k := range known {
		if d := levenshtein.Distance(name, k, nil); d < least {
			best, least = k, d
		}
	}
	return best
}
