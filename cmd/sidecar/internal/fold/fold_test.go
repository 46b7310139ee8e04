package fold

import "testing"

func TestText(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		width  int
		indent string
		want   string
	}{
		"nothing":                     {"", 10, "  ", ""},
		"fits exactly":                {"ab cd", 5, "", "ab cd"},
		"one column too many":         {"ab cd", 4, "", "ab\ncd"},
		"the indent counts":           {"ab cd", 6, "  ", "  ab\n  cd"},
		"spaces and lines are one":    {"a  b\nc", 80, "", "a b c"},
		"a word that is too long":     {"a toolong b", 4, "", "a\ntoolong\nb"},
		"letters of more than a byte": {"±± µµ", 5, "", "±± µµ"},
	} {
		if got := Text(c.text, c.width, c.indent); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
