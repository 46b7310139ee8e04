package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const onePool = `{"at":"2026-11-28T12:00:00Z","service":"sidecar on node-7","pools":[{"id":"a","name":"payments","kind":"sql",
	"level":"trouble","reason":"a request has waited for 3.2 s","limit":8,"used":8,"pending":40,"oldestWait":3.2}]}`

// servePicture starts a server that serves onePool as its picture.
func servePicture(t *testing.T) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/picture" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(onePool))
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestTopPrintsOnceWithoutATerminal(t *testing.T) {
	address := servePicture(t)
	for _, args := range [][]string{{"top", address}, {"top", "--page-address=" + address}} {
		var out, errs bytes.Buffer
		if code := run(
			t.Context(),
			args,
			nil,
			&out,
			&errs,
		); code != 0 || errs.Len() > 0 ||
			!strings.Contains(out.String(), "!! payments") {
			t.Errorf("%q: exit code %d, stderr %q, stdout:\n%s", args, code, errs.String(), out.String())
		}
	}
}

func TestTopRejectsBadUsage(t *testing.T) {
	for args, want := range map[string]string{
		"top x y":                "one address",
		"top ftp://x":            "127.0.0.1:4320",
		"top --every=1ms":        "--every=1ms: expected at least 100ms",
		"top --page-address=off": "--page-address is off",
	} {
		var out, errs bytes.Buffer
		if code := run(
			t.Context(),
			strings.Fields(args),
			nil,
			&out,
			&errs,
		); code != exitUsage ||
			!strings.Contains(errs.String(), want) {
			t.Errorf("%s: exit code %d, stderr %q, want %q", args, code, errs.String(), want)
		}
	}
}

// The real command runs in tmux, so that it gets keys from a real terminal and the test can read
// the screen.
func TestTopInTmux(t *testing.T) {
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("needs tmux")
	}
	program := filepath.Join(t.TempDir(), "sidecar")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	tmux := func(args ...string) string {
		cmd := exec.CommandContext(
			t.Context(),
			"tmux",
			append([]string{"-S", filepath.Join(filepath.Dir(program), "socket"), "-f", os.DevNull}, args...)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	tmux(
		"new-session",
		"-d",
		"-x",
		"80",
		"-y",
		"24",
		program+" top --every=100ms "+servePicture(t)+"; echo ended $?; read x",
	)
	t.Cleanup(func() { // the session has already ended unless the test failed
		_ = exec.Command("tmux", "-S", filepath.Join(filepath.Dir(program), "socket"), "kill-server").Run()
	})
	waitFor := func(want string) {
		t.Helper()
		screen := ""
		for deadline := time.Now().Add(time.Minute); !strings.Contains(screen, want); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%q did not appear; the screen is\n%s", want, screen)
			}
			screen = tmux("capture-pane", "-p")
		}
	}
	waitFor("!! payments      ██████      8/8      40    3.2s")
	tmux("send-keys", "Enter")
	waitFor("EscBack")
	tmux("send-keys", "Escape")
	waitFor("F1Help")
	tmux("resize-window", "-x", "120", "-y", "30")
	waitFor("WHY")
	tmux("send-keys", "F1")
	waitFor("select a pool")
	tmux("send-keys", "q")
	waitFor("ended 0")
	tmux("send-keys", "Enter") // the shell exits, and with it tmux
}
