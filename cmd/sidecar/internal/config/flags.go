package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Flags holds the settings that a command reads, as flags of its command line. Settings that are
// not on the command line come from the environment or a file.
type Flags struct {
	set      *pflag.FlagSet // the command's flags
	all      *pflag.FlagSet // every setting of the sidecar
	settings *Settings
	config   string // path of the settings file, or ""
	group    string // heading of the settings that are being declared
}

const (
	annotationVariables = "variables" // environment variables of a setting
	annotationGroup     = "group"     // heading of a setting in the help
	variablePrefix      = "POOLGAUGE_"
	configFlag          = "config"
	keepRunningFlag     = "keep-running"
	pageAddressFlag     = "page-address"
)

// Declare adds a flag for each named setting to the given flag set, or for every setting if there
// are no names. The command reads only these settings; all other settings keep their defaults.
func Declare(set *pflag.FlagSet, names ...string) *Flags {
	f := &Flags{set: set, all: pflag.NewFlagSet("", pflag.ContinueOnError), settings: &Settings{}}
	f.all.SortFlags, set.SortFlags = false, false
	f.define(f.settings)
	f.all.VisitAll(func(flag *pflag.Flag) {
		if len(names) == 0 || slices.Contains(names, flag.Name) {
			set.AddFlag(flag)
		}
	})
	return f
}

// add declares one setting. Its environment variable is POOLGAUGE_NAME, unless OpenTelemetry's
// specification defines one (standard).
func (f *Flags) add(name string, v *value, help string, standard ...string) *pflag.Flag {
	flag := f.all.VarPF(v, name, "", help)
	if v.boolean {
		flag.NoOptDefVal = "true"
	}
	if len(standard) == 0 {
		standard = []string{ownVariable(name)}
	}
	flag.Annotations = map[string][]string{annotationVariables: standard, annotationGroup: {f.group}}
	return flag
}

func ownVariable(name string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// Group returns the heading under which the help lists flag, or "" if flag is not a setting.
func Group(flag *pflag.Flag) string {
	return strings.Join(flag.Annotations[annotationGroup], "")
}

// StandardVariable returns the environment variable that OpenTelemetry defines for the setting
// flag, or "" if the variable is POOLGAUGE_NAME.
func StandardVariable(flag *pflag.Flag) string {
	if name := strings.Join(flag.Annotations[annotationVariables], ""); name != ownVariable(flag.Name) {
		return name
	}
	return ""
}

// Variables returns the environment variables of all settings, including settings that the command
// does not read.
func (f *Flags) Variables() []string {
	var names []string
	f.all.VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Annotations[annotationVariables]...) })
	return names
}

// Resolve returns the settings. The command line must have been parsed. A setting that is not on
// the command line comes from environ (in the form of os.Environ), the file or the defaults, in
// that order of precedence. With keep-running, the error about an invalid setting is added to
// Problems and the setting keeps its default.
func (f *Flags) Resolve(environ []string) (*Settings, error) {
	variables := variablesOf(environ)
	if err := f.fill(f.set.Lookup(keepRunningFlag), variables, &file{}); err != nil {
		return nil, err
	}
	stored, err := f.readFile(variables)
	if err != nil {
		return nil, err
	}
	var first error
	f.set.VisitAll(func(flag *pflag.Flag) {
		if first == nil {
			first = f.settings.tolerate(f.fill(flag, variables, stored))
		}
	})
	if first != nil {
		return nil, first
	}
	return f.settings, f.settings.validate()
}

// readFile checks the names of the environment variables and reads the settings file. Without
// --config, it returns an empty file.
func (f *Flags) readFile(variables map[string]string) (stored *file, err error) {
	stored = &file{}
	if err := f.settings.tolerate(f.checkVariables(variables)); err != nil {
		return nil, err
	}
	if err := f.settings.tolerate(f.fill(f.set.Lookup(configFlag), variables, stored)); err != nil {
		return nil, err
	}
	if f.config == "" {
		return stored, nil
	}
	read, err := readFile(f.config, f.fileKeys())
	if err != nil {
		return stored, f.settings.tolerate(err)
	}
	return read, nil
}

// tolerate adds err to Problems if KeepRunning is set, and returns it otherwise.
func (s *Settings) tolerate(err error) error {
	if err != nil && s.KeepRunning {
		s.Problems = append(s.Problems, err)
		return nil
	}
	return err
}

// fill sets flag from variables or stored if flag is not on the command line. It does nothing if
// flag is nil, that is, if the command does not have the setting.
func (f *Flags) fill(flag *pflag.Flag, variables map[string]string, stored *file) error {
	if flag == nil || flag.Changed {
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

// split splits the value of an environment variable at commas if flag is repeatable.
func split(flag *pflag.Flag, given string) []string {
	if v, ok := flag.Value.(*value); !ok || !v.repeatable {
		return []string{given}
	}
	var parts []string
	for part := range strings.SplitSeq(given, ",") {
		if part = strings.TrimSpace(part); part != "" { // empty after a trailing comma
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

// fileKeys returns the keys that a file may contain: all settings except keep-running, which
// applies before the file is read.
func (f *Flags) fileKeys() []string {
	return slices.DeleteFunc(
		names(f.all),
		func(name string) bool { return name == configFlag || name == keepRunningFlag },
	)
}

func names(set *pflag.FlagSet) (all []string) {
	set.VisitAll(func(flag *pflag.Flag) { all = append(all, flag.Name) })
	return all
}

// checkVariables rejects an unknown variable whose name is close to that of a setting's variable.
// It ignores other unknown variables: Kubernetes sets some for a service called poolgauge.
func (f *Flags) checkVariables(variables map[string]string) error {
	var known []string
	for _, name := range f.Variables() {
		known = append(known, strings.TrimPrefix(name, variablePrefix))
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
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
