package fold

import "testing"

func TestText(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		width  int
		indent string
		want   string
	}{
		"empty":                    {"", 10, "  ", ""},
		"fits exactly":             {"ab cd", 5, "", "ab cd"},
		"one column too many":      {"ab cd", 4, "", "ab\ncd"},
		"the indent counts":        {"ab cd", 6, "  ", "  ab\n  cd"},
		"white space is collapsed": {"a  b\nc", 80, "", "a b c"},
		"a word that is too long":  {"a toolong b", 4, "", "a\ntoolong\nb"},
		"multi-byte characters":    {"±± µµ", 5, "", "±± µµ"},
	} {
		if got := Text(c.text, c.width, c.indent); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
