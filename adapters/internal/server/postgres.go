//go:build unix

package server

import (
	"context"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// Postgres starts a PostgreSQL server for the test and returns the server and its URL. It skips the
// test if PostgreSQL is not installed. PostgreSQL refuses to run as root, so a test run by root
// starts it as the user postgres or nobody.
func Postgres(t testing.TB) (s *Server, url string) {
	t.Helper()
	initdb, postgres := postgresProgram("initdb"), postgresProgram("postgres")
	if initdb == "" || postgres == "" {
		t.Skip("PostgreSQL is not installed: apt-get install postgresql")
	}
	// not t.TempDir, which other users cannot enter
	dir, err := os.MkdirTemp("", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attributes := unprivileged(t, dir)
	command := func(program string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
		cmd.Dir, cmd.SysProcAttr, cmd.Env = dir, attributes, []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
		return cmd
	}
	data := filepath.Join(dir, "data")
	if text, err := command(
		initdb,
		"-D",
		data,
		"-U",
		"test",
		"-A",
		"trust",
		"-E",
		"UTF8",
		"--no-sync",
	).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, text)
	}
	// SIGINT requests a fast shutdown
	s = start(t, "ready to accept connections", syscall.SIGINT, func(port int) *exec.Cmd {
		return command(postgres, "-D", data, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-k", dir, "-F")
	})
	return s, "postgres://test@" + s.Address + "/postgres?sslmode=disable"
}

// postgresProgram returns the path of the PostgreSQL program called name, or "" if it is not found.
// Debian keeps the server's programs outside PATH, in one directory per version.
func postgresProgram(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	slices.Sort(paths)
	if len(paths) == 0 {
		return ""
	}
	return paths[len(paths)-1]
}

// unprivileged returns the process attributes for running a server as a user other than root, and
// makes that user the owner of dir. It returns nil if the test does not run as root.
func unprivileged(t testing.TB, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		t.Skipf("PostgreSQL refuses to run as root, and there is no other user to run it as: %v", err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}
