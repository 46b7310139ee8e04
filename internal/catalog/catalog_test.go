package catalog

import (
	"regexp"
	"strings"
	"testing"
)

var (
	nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z0-9][a-z0-9_]*)+$`)

	// unitForm matches the part of UCUM that is in use: base units, and annotations that name what
	// is counted.
	unitForm = regexp.MustCompile(`^(s|By|1|%|\{[a-z_]+\})$`)
)

func TestRows(t *testing.T) {
	Each(func(g *Group, m *Metric) {
		t.Run(m.Name, func(t *testing.T) {
			checkName(t, m)
			if !unitForm.MatchString(m.Unit) {
				t.Errorf("unit %q is not one that poolgauge uses: s, By, 1, %% or {thing}", m.Unit)
			}
			if !strings.HasSuffix(m.Help, ".") {
				t.Errorf("help %q is not a sentence", m.Help)
			}
			if m.Unit == "s" && m.Number == Int {
				t.Error("a metric in seconds must have floating-point values")
			}
			if m.Kind == Counter && m.Unit == "1" {
				t.Error("a counter's unit must name what it counts")
			}
			checkAttributes(t, append(append([]Attribute(nil), g.Attributes...), m.Attributes...))
		})
	})
}

// checkName checks m's name by the rules of the semantic conventions. It must not contain the unit
// or a suffix that exporters add.
func checkName(t *testing.T, m *Metric) {
	t.Helper()
	if !nameForm.MatchString(m.Name) {
		t.Errorf("name %q is not dotted lower case", m.Name)
	}
	for part := range strings.FieldsFuncSeq(m.Name, func(r rune) bool { return r == '.' || r == '_' }) {
		switch part {
		case "total", "seconds", "bytes", "ratio", "percent":
			t.Errorf("name repeats the kind or the unit: %s", part)
		}
	}
	if ours := strings.HasPrefix(m.Name, "poolgauge."); ours && m.Standard {
		t.Error("a metric called poolgauge.* cannot be standard")
	}
}

func checkAttributes(t *testing.T, attributes []Attribute) {
	t.Helper()
	keys := map[string]bool{}
	for _, a := range attributes {
		key := string(a.Key)
		if !nameForm.MatchString(key) {
			t.Errorf("attribute %q is not dotted lower case", key)
		}
		if keys[key] {
			t.Errorf("attribute %s occurs twice", key)
		}
		keys[key] = true
		values := map[string]bool{}
		for _, v := range a.Values {
			if v == "" || values[v] {
				t.Errorf("attribute %s: value %q is empty or occurs twice", key, v)
			}
			values[v] = true
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	groups := map[string]bool{}
	Each(func(_ *Group, m *Metric) {
		if seen[m.Name] {
			t.Errorf("%s occurs twice", m.Name)
		}
		seen[m.Name] = true
	})
	for _, g := range Groups() {
		if groups[g.Name] {
			t.Errorf("group %s occurs twice", g.Name)
		}
		groups[g.Name] = true
	}
}
