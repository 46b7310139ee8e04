package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesAreCurrent(t *testing.T) {
	for name, content := range files() {
		want, err := render(content)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(directory, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s does not match its generator: run make generate", name)
		}
	}
}

// Whoever is paged follows the link: each alert has a section that says what it means, how to check and what to do.
func TestEveryAlertHasARunbook(t *testing.T) {
	page, err := os.ReadFile("../../../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for section := range strings.SplitSeq(string(page), "\n## ") {
		name, text, _ := strings.Cut(section, "\n")
		sections[name] = text
	}
	for _, a := range alerts() {
		text, ok := sections[a.Alert]
		if !ok {
			t.Errorf("docs/runbooks.md has no section %s", a.Alert)
		}
		for _, part := range []string{"**Means**", "**Check**", "**Do**"} {
			if !strings.Contains(text, part) {
				t.Errorf("docs/runbooks.md: section %s has no %s", a.Alert, part)
			}
		}
		if want := runbooks + "#" + strings.ToLower(a.Alert); a.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url is %s, want %s", a.Alert, a.Annotations["runbook_url"], want)
		}
	}
}
