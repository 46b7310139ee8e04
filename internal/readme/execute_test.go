//go:build unix

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestExecute(t *testing.T) {
	for name, test := range map[string]struct {
		block block
		err   string
	}{
		"run":                        {block: block{script: "true\n"}},
		"run fails":                  {block: block{script: "exit 3\n"}, err: "exit status 3"},
		"first command fails":        {block: block{script: "false\ntrue\n"}, err: "exit status 1"},
		"run fails in a pipe":        {block: block{script: "false | true\n"}, err: "exit status 1"},
		"serve":                      {block: block{serve: true, script: "echo up\nexec sleep 600\n"}},
		"serve, exit status 1":       {block: block{serve: true, script: "trap 'exit 1' INT\nsleep 600 >/dev/null 2>&1 &\necho up\nwait\n"}},
		"serve exits":                {block: block{serve: true, script: "true\n"}, err: "exited before it was stopped"},
		"serve fails with no output": {block: block{serve: true, script: "echo bad >&2; exit 5\n"}, err: "exit status 5"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.block.execute(t.Context(), t.TempDir())
			switch {
			case test.err == "" && err != nil:
				t.Fatal(err)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Fatalf("got error %v, want %s", err, test.err)
			}
		})
	}
}

// Blocks see tracked and new files but not ignored ones. The blocks of a document share one
// directory.
func TestRun(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, ".gitignore", "ignored\n")
	write(t, "ignored", "")
	write(t, "tracked", "")
	write(t, "deleted", "")
	git(t, "init", "-q")
	git(t, "add", ".")
	if err := os.Remove("deleted"); err != nil {
		t.Fatal(err)
	}
	write(t, "new", "")
	write(
		t,
		"GOOD.md",
		"```sh run\ntest -e tracked\ntest -e new\ntest ! -e ignored\ntest ! -e deleted\ntouch made\n```\n```sh run\ntest -e made\n```\n",
	)
	write(t, "BAD.md", "text\n\n```sh run\nfalse\n```\n")

	if err := run(t.Context(), []string{"GOOD.md"}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat("made"); err == nil {
		t.Error("a block changed the working tree")
	}
	err := run(t.Context(), []string{"GOOD.md", "BAD.md"})
	if err == nil || !strings.HasPrefix(err.Error(), "BAD.md: line 3:") {
		t.Errorf("got error %v, want one that names BAD.md, line 3", err)
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}
