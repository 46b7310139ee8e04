package config

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

// WriteHelp lists the settings by group, each with its default and its variables.
func (f *Flags) WriteHelp(w io.Writer) {
	group := ""
	f.set.VisitAll(func(flag *pflag.Flag) {
		v, setting := flag.Value.(*value)
		if !setting {
			return
		}
		if heading := flag.Annotations[annotationGroup][0]; heading != group {
			group = heading
			fmt.Fprintf(w, "\n%s:\n", group)
		}
		fmt.Fprintf(w, "  --%s\n", strings.TrimSpace(flag.Name+" "+kindOf(v)))
		help := flag.Usage
		if v.standing != "" {
			help += " (default " + v.standing + ")"
		}
		fmt.Fprintf(w, "        %s\n        $%s\n", help, strings.Join(flag.Annotations[annotationVariables], ", $"))
	})
}

func kindOf(v *value) string {
	if v.boolean {
		return "[=false]"
	}
	return v.kind
}
