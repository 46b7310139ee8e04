package top

import (
	"slices"
	"strings"
	"testing"
)

func TestHeatmapIsOmittedFromANarrowTerminal(t *testing.T) {
	for width := range labelWidth + 1 {
		if lines := heat(history().Waits, width, 20); lines != nil {
			t.Errorf("%d columns: got %v, want no heatmap", width, lines)
		}
	}
}

// The first row contains the waits that exceed all bounds.
func TestHeatmapHasARowForEachBoundAndOneMoreIfThereIsRoom(t *testing.T) {
	for name, c := range map[string]struct {
		height int
		want   []string
	}{
		"room for more":   {20, []string{"more", "to 10s", "to 100ms", "to 1ms"}},
		"just enough":     {5, []string{"more", "to 10s", "to 100ms", "to 1ms"}},
		"room for half":   {3, []string{"more", "to 100ms"}},
		"no room for two": {2, nil},
	} {
		var labels []string
		for i, l := range heat(history().Waits, 40, c.height) {
			if i > 0 { // below the title
				labels = append(labels, strings.TrimSpace(l[0].text))
			}
		}
		if !slices.Equal(labels, c.want) {
			t.Errorf("%s: rows %q, want %q", name, labels, c.want)
		}
	}
}
