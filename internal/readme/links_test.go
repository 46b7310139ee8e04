//go:build unix

package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

var (
	fenced   = regexp.MustCompile("(?s)(?:^|\n) *```.*?\n *```(?:\n|$)")
	inline   = regexp.MustCompile("`[^`\n]+`")
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	linkText = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
	noAnchor = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	mention  = regexp.MustCompile(`\b(?:docs|deploy|examples)/[\w./-]+\.md\b`)
)

// tracked returns the files of the working tree with one of the extensions, except test data.
func tracked(t *testing.T, extensions ...string) []string {
	t.Helper()
	list := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "--full-name", ":/")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Fields(string(out)), func(name string) bool {
		_, err := os.Stat(filepath.Join(root, name))
		return err != nil || strings.Contains(name, "testdata/") || !slices.Contains(extensions, path.Ext(name))
	})
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// anchors returns the anchors that GitHub generates for the headings of a document.
func anchors(document string) map[string]bool {
	all := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(document, "\n"), -1) {
		text := linkText.ReplaceAllString(h[1], "$1")
		anchor := strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(text), ""), " ", "-")
		unique := anchor
		for i := 1; all[unique]; i++ {
			unique = fmt.Sprintf("%s-%d", anchor, i)
		}
		all[unique] = true
	}
	return all
}

// brokenLinks returns the links of a document whose targets are missing from the working tree.
func brokenLinks(t *testing.T, name, document string) (bad []string) {
	t.Helper()
	text := inline.ReplaceAllString(fenced.ReplaceAllString(document, "\n"), "")
	for _, found := range link.FindAllStringSubmatch(text, -1) {
		target, anchor, _ := strings.Cut(found[1], "#")
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		content := document
		if target != "" {
			file := path.Join(path.Dir(name), target)
			info, err := os.Stat(filepath.Join(root, file))
			if err != nil {
				bad = append(bad, found[1])
				continue
			}
			if anchor == "" || info.IsDir() {
				continue
			}
			content = read(t, file)
		}
		if anchor != "" && !anchors(content)[anchor] {
			bad = append(bad, found[1])
		}
	}
	return bad
}

func TestLinkTargetsExist(t *testing.T) {
	documents := tracked(t, ".md")
	if len(documents) < 20 {
		t.Fatalf("found only %d documents, want at least 20", len(documents))
	}
	for _, name := range documents {
		for _, target := range brokenLinks(t, name, read(t, name)) {
			t.Errorf("%s links to %s, which does not exist", name, target)
		}
	}
}

// Documents that comments, help texts or manifests name by their path from the root exist.
func TestMentionedDocumentsExist(t *testing.T) {
	for _, name := range tracked(t, ".go", ".yaml", ".yml", ".sh", ".service") {
		for _, document := range mention.FindAllString(read(t, name), -1) {
			if _, err := os.Stat(filepath.Join(root, document)); err != nil {
				t.Errorf("%s names %s, which does not exist", name, document)
			}
		}
	}
}

func TestTheIndexHasEveryPage(t *testing.T) {
	const index = "docs/README.md"
	linked := map[string]bool{index: true}
	for _, found := range link.FindAllStringSubmatch(read(t, index), -1) {
		target, _, _ := strings.Cut(found[1], "#")
		linked[path.Join("docs", target)] = true
	}
	for _, name := range tracked(t, ".md") {
		if path.Dir(name) == "docs" && !linked[name] {
			t.Errorf("%s has no link to %s", index, name)
		}
	}
}

func TestAnchors(t *testing.T) {
	document := "# The `relay`: what *it* does\n\n```sh\n# no heading\n```\n\n## A [link](b.md), 2 × 3\n\n## Twice\n\n## Twice\n\n## snake_case\n"
	want := []string{"a-link-2--3", "snake_case", "the-relay-what-it-does", "twice", "twice-1"}
	if got := slices.Sorted(maps.Keys(anchors(document))); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBrokenLinks(t *testing.T) {
	document := "# One\n\n[a](#one) [b](#two) [c](../README.md) [d](none.md) [e](https://example.com/none) `[f](none)`\n\n" +
		"```md\n[g](none)\n```\n[h](route.md#names-and-labels) [i](route.md#none) [j](images)\n"
	want := []string{"#two", "none.md", "route.md#none"}
	if got := brokenLinks(t, "docs/page.md", document); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
