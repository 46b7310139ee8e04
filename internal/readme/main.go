//go:build unix

// Command readme executes the commands in the documentation, so that CI fails if one of them does
// not work.
//
//	go run ./internal/readme README.md docs/*.md
//
// It runs each fenced block that is marked as executable in a copy of the working tree:
//
//   - ```sh run: must exit with 0;
//   - ```sh serve: runs until it is stopped. It must print a line to standard output, and exit on
//     Ctrl-C.
//
// The blocks of a document run in order. Each block runs in its own shell, which starts at the root
// of the copy and stops at the first command that fails. Blocks are not isolated from the machine:
// files that they write outside the copy remain.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "readme:", err)
		os.Exit(1)
	}
}

// run executes the blocks of documents, whose paths are relative to the current directory.
func run(ctx context.Context, documents []string) (err error) {
	dir, err := os.MkdirTemp("", "readme-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := copyTree(ctx, dir); err != nil {
		return fmt.Errorf("copying the working tree: %w", err)
	}
	for _, document := range documents {
		if err := runDocument(ctx, dir, document); err != nil {
			return fmt.Errorf("%s: %w", document, err)
		}
	}
	return nil
}

func runDocument(ctx context.Context, dir, document string) error {
	f, err := os.Open(document)
	if err != nil {
		return err
	}
	defer f.Close()
	found, err := blocks(f)
	if err != nil {
		return err
	}
	for _, b := range found {
		fmt.Printf("== %s:%d\n%s", document, b.line, b.script)
		if err := b.execute(ctx, dir); err != nil {
			return fmt.Errorf("line %d: %w", b.line, err)
		}
	}
	return nil
}

// copyTree copies the tracked files, and untracked files that are not ignored, into dir.
func copyTree(ctx context.Context, dir string) error {
	out, err := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		err := copyFile(filepath.Join(dir, name), name)
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, but not yet committed
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, info.Mode().Perm())
}
