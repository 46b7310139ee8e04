package main

import (
	"slices"
	"testing"
)

func TestTheTreeHasNoBannedWords(t *testing.T) {
	found, err := findInTree(t.Context(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

func TestFind(t *testing.T) {
	for name, test := range map[string]struct {
		file, content string
		want          []string // positions and the text found there
	}{
		"a Markdown file":           {"a.md", "One.\n\nThe pool waits for him.\n", []string{`a.md:3: "him"`}},
		"capitals":                  {"a.md", "Whoever waits\n", []string{`a.md:1: "Whoever"`}},
		"part of a word":            {"a.md", "history, this, the, amendment, crush\n", nil},
		"across a line break":       {"a.md", "it lets go\nof the lock\n", []string{`a.md:1: "lets go of"`}},
		"a YAML comment":            {"a.yaml", "a: b # waits in\n# vain\n", []string{`a.yaml:1: "in # vain"`}},
		"a Go comment":              {"a.go", "package a\n\n// A request lets\n// go of it.\nvar x int\n", []string{`a.go:3: "lets // go of"`}},
		"a Go string":               {"a.go", "package a\n\nvar x = `waits in vain`\n", []string{`a.go:3: "in vain"`}},
		"code":                      {"a.go", "package a\n\nvar he, mend int\n", nil},
		"a name":                    {"a.go", "package a\n\nfunc inRush() { doom() }\n", []string{`a.go:3: "inRush"`, `a.go:3: "doom"`}},
		"a name with a longer word": {"a.go", "package a\n\nvar soils, extend, brush int\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := find(test.file, []byte(test.content))
			for i, line := range got {
				if i < len(test.want) && len(line) > len(test.want[i]) && line[:len(test.want[i])] == test.want[i] {
					got[i] = test.want[i]
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestExceptionsAreFilesAndDirectories(t *testing.T) {
	for name, want := range map[string]bool{
		"CHANGELOG.md": true, "other/CHANGELOG.md": false, "internal/words/words.go": true, "internal/wordsmith/a.go": false,
		"e2e/k8s/testdata/a.yaml": true, "testdata/a.md": true, "README.md": false,
	} {
		if got := isExcepted(name); got != want {
			t.Errorf("%s: excepted %v, want %v", name, got, want)
		}
	}
}
