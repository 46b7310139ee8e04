// Command gen writes docs/metrics.md from package catalog. Run it with `make generate`; a test
// fails if the page is out of date.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// page is the path of docs/metrics.md relative to internal/catalog, where go generate runs.
const page = "../../docs/metrics.md"

func main() {
	if err := os.WriteFile(page, []byte(markdown(catalog.Groups())), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const intro = `# Metrics

<!-- Generated from internal/catalog by make generate. Do not edit. -->

Every metric that poolgauge exports, by group, with its instrument, unit and attributes. Times are in
seconds, sizes in bytes, and units are UCUM. Names marked † are those of the OpenTelemetry semantic
conventions, version 1.43. A value that cannot be measured is omitted, never 0; the last column says
when, where that is not obvious.
`

// markdown renders groups. Each becomes a section with the attributes of all its points and a table
// of its metrics.
func markdown(groups []*catalog.Group) string {
	var b strings.Builder
	b.WriteString(intro)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", g.Name, g.Help)
		if len(g.Attributes) > 0 {
			b.WriteString("\nAttributes of every point, where known:\n\n")
		}
		for _, a := range g.Attributes {
			fmt.Fprintf(&b, "- %s\n", attribute(a))
		}
		b.WriteString("\n| metric | instrument | unit | attributes | meaning | absent |\n|---|---|---|---|---|---|\n")
		for _, m := range g.Metrics {
			b.WriteString(row(m))
		}
	}
	return b.String()
}

func row(m *catalog.Metric) string {
	name := "`" + m.Name + "`"
	if m.Standard {
		name += " †"
	}
	attributes := make([]string, len(m.Attributes))
	for i, a := range m.Attributes {
		attributes[i] = attribute(a)
	}
	cells := []string{name, m.Kind.String(), "`" + m.Unit + "`", strings.Join(attributes, "<br>"), m.Help, m.Absent}
	for i := range cells {
		cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// attribute renders a's key, values and help: `key` = `a`, `b` (help).
func attribute(a catalog.Attribute) string {
	s := "`" + string(a.Key) + "`"
	if len(a.Values) > 0 {
		s += " = `" + strings.Join(a.Values, "`, `") + "`"
	}
	if a.Help != "" {
		s += " (" + a.Help + ")"
	}
	return s
}
