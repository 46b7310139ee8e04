package e2e

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for an event. Only a failing test waits that long.
const patience = 30 * time.Second

// sidecar is a running sidecar.
type sidecar struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{} // closed when it has exited and its entire log is in lines

	mu      sync.Mutex    // guards the fields below
	lines   []string      // of the log
	changed chan struct{} // closed and replaced when a line is added
}

// quiet holds the arguments of a sidecar that runs next to many others: it has no probes and no
// fixed port.
var quiet = []string{
	"--probe-cpu-interval=0",
	"--probe-parallelism-interval=0",
	"--probe-disk-interval=0",
	"--health-address=off",
	"--page-address=off",
	"--relay-grpc-address=off",
	"--relay-http-address=off",
}

// start runs the sidecar with quiet and args as its arguments. Its environment is env and the few
// variables that every sidecar of the tests has. It is killed when the test ends.
func start(t *testing.T, env []string, args ...string) *sidecar {
	t.Helper()
	return startBinary(t, binary, env, args...)
}

func startBinary(t *testing.T, binary string, env []string, args ...string) *sidecar {
	t.Helper()
	s := &sidecar{t: t, done: make(chan struct{}), changed: make(chan struct{})}
	s.cmd = exec.Command(binary, append(append([]string(nil), quiet...), args...)...)
	// By default, the race detector sleeps for a second at exit.
	s.cmd.Env = append(
		[]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "GORACE=atexit_sleep_ms=0"},
		env...)
	log, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.read(log)
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.done
		if t.Failed() {
			t.Logf("the sidecar's log:\n%s", s.log())
		}
	})
	return s
}

func (s *sidecar) read(log io.Reader) {
	defer close(s.done)
	for scanner := bufio.NewScanner(log); scanner.Scan(); {
		s.mu.Lock()
		s.lines = append(s.lines, scanner.Text())
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
	}
	_ = s.cmd.Wait() // ProcessState has the result
}

func (s *sidecar) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// count returns the number of log lines that contain text.
func (s *sidecar) count(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, line := range s.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// awaitLog waits until a log line contains text.
func (s *sidecar) awaitLog(text string) {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if s.count(text) > 0 {
			return
		}
		select {
		case <-changed:
		case <-s.done:
			s.t.Fatalf("the sidecar exited without logging %q", text)
		case <-deadline:
			s.t.Fatalf("the sidecar did not log %q in time", text)
		}
	}
}

func (s *sidecar) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatal(err)
	}
}

// wait waits for the sidecar to exit, and returns the exit code.
func (s *sidecar) wait() int {
	s.t.Helper()
	select {
	case <-s.done:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		s.t.Fatal("the sidecar did not exit")
		return 0
	}
}

// terminate sends SIGTERM, and returns the exit code and the time until exit.
func (s *sidecar) terminate() (code int, took time.Duration) {
	s.t.Helper()
	begin := time.Now()
	s.signal(syscall.SIGTERM)
	code = s.wait()
	return code, time.Since(begin)
}
