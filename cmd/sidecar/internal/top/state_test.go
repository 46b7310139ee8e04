package top

import (
	"strings"
	"testing"
)

func TestKeysOpenAndLeaveViews(t *testing.T) {
	for keys, want := range map[string]view{
		"Enter": details, "Right": details, "F2": details, "F1": help, "?": help, "F1 Enter": details,
		"Enter Esc": table, "Enter Left": table, "F1 Esc": table, "F1 Left": table,
		"Enter F4": table, "Enter /": table, "Enter Down": details,
	} {
		s := stateOf(picture())
		for key := range strings.FieldsSeq(keys) {
			s.handleKey(key, 2)
		}
		if s.show != want {
			t.Errorf("%s: view %d, want %d", keys, s.show, want)
		}
	}
}
