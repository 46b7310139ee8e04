package pools

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	batchVariable = "POOLGAUGE_TEST_BATCH"
	batchLimit    = 128 << 20 // memory limit of the cgroup, in bytes
	batchTask     = 16 << 20  // memory of one task, in bytes
)

// A batch that needs almost four times the memory of its cgroup is killed without a budget, and
// completes with one.
func TestMemoryBudgetKeepsABatchAlive(t *testing.T) {
	if how := os.Getenv(batchVariable); how != "" {
		runBatch(how)
	}
	group := memoryGroup(t)
	if out, err := batch(t, group, "unbounded"); !wasKilled(err) {
		t.Skipf("without a budget the batch is not killed, so this test would prove nothing: error %v\n%s", err, out)
	}
	out, err := batch(t, group, "budget")
	if err != nil {
		t.Fatalf("batch with a budget: %v\n%s", err, out)
	}
	if peak, err := strconv.Atoi(strings.TrimSpace(out)); err != nil || peak < 2 {
		t.Errorf("batch printed %q concurrent tasks, want at least 2", out)
	}
}

// memoryGroup creates a cgroup (version 1) with a memory limit, or skips the test.
func memoryGroup(t *testing.T) string {
	group := fmt.Sprintf("/sys/fs/cgroup/memory/poolgauge-test-%d", os.Getpid())
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skipf("cannot create a cgroup: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Errorf("removing the cgroup: %v", err)
		}
	})
	if err := os.WriteFile(
		filepath.Join(group, "memory.limit_in_bytes"),
		[]byte(strconv.Itoa(batchLimit)),
		0o644,
	); err != nil {
		t.Skipf("cannot limit the memory of the cgroup: %v", err)
	}
	return group
}

// batch runs this test in a new process in the given cgroup, where it acts as the batch. how is
// "budget" or "unbounded".
func batch(t *testing.T, group, how string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	run := exec.CommandContext(
		ctx,
		"/bin/sh",
		"-c",
		`echo $$ > "$0/cgroup.procs" && exec "$@"`,
		group,
		os.Args[0],
		"-test.run=^"+t.Name()+"$",
	)
	run.Env = append(os.Environ(), batchVariable+"="+how)
	var stderr strings.Builder
	run.Stderr = &stderr
	out, err := run.Output()
	if err != nil {
		return stderr.String(), err
	}
	return string(out), nil
}

func wasKilled(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// runBatch is the batch: 30 concurrent tasks, each of which holds its memory for a while. It prints
// the maximum number of tasks that ran concurrently.
func runBatch(how string) {
	budget, err := NewMemoryBudget("batch", batchTask, MemoryConfig{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var running, peak atomic.Int64
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if how == "budget" {
				_ = budget.Acquire(context.Background(), batchTask)
				defer budget.Release(batchTask)
			}
			now := running.Add(1)
			for m := peak.Load(); now > m && !peak.CompareAndSwap(m, now); m = peak.Load() {
				continue
			}
			block := mustMap(batchTask)
			time.Sleep(100 * time.Millisecond) // the task works on the block
			_ = syscall.Munmap(block)          // cannot fail: the block is mapped
			running.Add(-1)
		})
	}
	wg.Wait()
	fmt.Println(peak.Load())
	os.Exit(0)
}

// mustMap returns resident memory outside the Go heap, because the heap needs more memory under the
// race detector.
func mustMap(bytes int) []byte {
	block, err := syscall.Mmap(-1, 0, bytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	return block
}
