//go:build unix

package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The service works the same with the PostgreSQL database that DATABASE_URL names. A second run
// processes the orders that the first run left unfinished.
func TestServiceWorksTheSameWithPostgreSQL(t *testing.T) {
	t.Setenv("DATABASE_URL", startPostgres(t))
	const n = 20
	r := runOrders(t, "-db-conns", "3")
	for range n {
		r.post(t, http.StatusAccepted)
	}
	r.finish(t, map[string]float64{
		"poolgauge.pool.completed orders worker ok": n,
		"poolgauge.pool.limit orders-db sql":        3,
		"poolgauge.pool.usage orders-db sql used":   0,
	})
	db, err := openStore(t.Context(), os.Getenv("DATABASE_URL"), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.insert(t.Context(), order{ID: "left", Item: "tea", Cents: 1, State: accepted}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r = runOrders(t)
	r.finish(t, map[string]float64{"poolgauge.pool.completed orders worker ok": 1})
	if got := r.states(t); got[paid] != n+1 || len(got) != 1 {
		t.Errorf("orders: %v, want %d paid", got, n+1)
	}
}

// nobody is the user that runs PostgreSQL if the test runs as root, since PostgreSQL refuses to run
// as root.
const nobody = 65534

// startPostgres starts a PostgreSQL server that only this test can reach, through a socket in its
// own directory, and returns the URL of its database.
func startPostgres(t *testing.T) string {
	t.Helper()
	initdb, server := postgresProgram("initdb"), postgresProgram("postgres")
	if initdb == "" || server == "" {
		t.Skip("PostgreSQL is not installed: no initdb and postgres in PATH or /usr/lib/postgresql/*/bin")
	}
	dir, err := os.MkdirTemp("", "orders") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	command := func(ctx context.Context, program string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir, cmd.Env = dir, []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		return cmd
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	create := command(t.Context(), initdb, "-D", data, "-U", "orders", "--auth=trust", "--no-sync", "--encoding=UTF8")
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	// A signal stops the server, rather than a context, so that it can clean up.
	cmd := command(
		context.Background(),
		server,
		"-D",
		data,
		"-k",
		dir,
		"-c",
		"listen_addresses=",
		"-c",
		"fsync=off",
		"-c",
		"shared_buffers=8MB",
	)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, exited := make(chan struct{}), make(chan string)
	go readLog(bufio.NewScanner(log), ready, exited)
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // fast shutdown
		<-exited
		_ = cmd.Wait()
	})
	select {
	case <-ready:
	case lines := <-exited:
		close(exited)
		t.Fatalf("postgres did not start:\n%s", lines)
	}
	return fmt.Sprintf("postgres://orders@/postgres?host=%s", url.QueryEscape(dir))
}

// readLog closes ready when the server accepts connections, and sends the server's log to exited
// when the server has exited.
func readLog(log *bufio.Scanner, ready chan<- struct{}, exited chan<- string) {
	var lines []string
	isReady := false
	for log.Scan() {
		lines = append(lines, log.Text())
		if !isReady && strings.Contains(log.Text(), "ready to accept connections") {
			isReady = true
			close(ready)
		}
	}
	exited <- strings.Join(lines, "\n")
}

// postgresProgram returns the path of the PostgreSQL program called name, or "" if it is not found.
// It prefers the program in PATH to those of the installed versions, and among these the newest.
func postgresProgram(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is well formed
	if len(found) == 0 {
		return ""
	}
	return slices.Max(found)
}
