package main

import (
	"context"
	"errors"
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// extensions lists the extensions of the files to check.
var extensions = []string{".go", ".md", ".yaml", ".yml", ".sh", ".cel", ".service"}

// findInTree returns the findings in the working tree at root. It checks tracked files, and
// untracked files that are not ignored, except test data.
func findInTree(ctx context.Context, root string) ([]string, error) {
	list := exec.CommandContext(ctx, "git", "ls-files", "-z", "-c", "-o", "--exclude-standard", "--full-name", ":/")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		return nil, err
	}
	var found []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if !slices.Contains(extensions, filepath.Ext(name)) || isExcepted(name) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(root, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, but not yet committed
		}
		if err != nil {
			return nil, err
		}
		found = append(found, find(name, content)...)
	}
	return found, nil
}

func isExcepted(name string) bool {
	return strings.Contains("/"+name, "/testdata/") || slices.ContainsFunc(exceptions, func(e string) bool {
		return name == e || strings.HasSuffix(e, "/") && strings.HasPrefix(name, e)
	})
}

// goProse returns the comments and strings of Go source, each at its offset, with blanks in place
// of code. It also returns findings for listed words that occur in identifiers.
func goProse(source []byte) (text []byte, identifiers []finding) {
	text = []byte(strings.Repeat(" ", len(source)))
	file := token.NewFileSet().AddFile("", -1, len(source))
	var s scanner.Scanner
	s.Init(file, source, func(token.Position, string) {}, scanner.ScanComments)
	for {
		pos, tok, literal := s.Scan()
		offset := file.Offset(pos)
		switch tok {
		case token.EOF:
			return text, identifiers
		case token.COMMENT, token.STRING:
			copy(text[offset:], source[offset:offset+len(literal)])
		case token.IDENT:
			for _, word := range camelCase.FindAllString(literal, -1) {
				if instead, listed := names[strings.ToLower(word)]; listed {
					identifiers = append(identifiers, finding{offset, literal, instead})
				}
			}
		}
	}
}
