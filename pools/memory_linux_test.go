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
	batchLimit    = 128 << 20 // limit of the cgroup
	batchTask     = 16 << 20
)

// Without a budget, a batch that would use four times its container's memory is killed. With a
// budget, it completes.
func TestMemoryBudgetKeepsABatchAlive(t *testing.T) {
	if how := os.Getenv(batchVariable); how != "" {
		runBatch(how)
	}
	group := memoryGroup(t)
	if out, err := batch(t, group, "unbounded"); !killed(err) {
		t.Skipf("without a budget the batch is not killed, so nothing can be shown here: %v\n%s", err, out)
	}
	out, err := batch(t, group, "budget")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if most, err := strconv.Atoi(strings.TrimSpace(out)); err != nil || most < 2 {
		t.Errorf("%q tasks at a time, want 2 at least", out)
	}
}

// memoryGroup creates a version 1 cgroup that limits memory, or skips the test.
func memoryGroup(t *testing.T) string {
	group := fmt.Sprintf("/sys/fs/cgroup/memory/poolgauge-test-%d", os.Getpid())
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skipf("no cgroup: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Errorf("the cgroup is left: %v", err)
		}
	})
	if err := os.WriteFile(
		filepath.Join(group, "memory.limit_in_bytes"),
		[]byte(strconv.Itoa(batchLimit)),
		0o644,
	); err != nil {
		t.Skipf("no limit: %v", err)
	}
	return group
}

// batch runs this test again in a new process in the given cgroup, where it acts as the batch.
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

func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// runBatch is the batch: 30 concurrent tasks, each of which holds its memory for a while. It prints
// how many tasks ran at the same time at most.
func runBatch(how string) {
	budget, err := NewMemoryBudget("batch", batchTask, MemoryConfig{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var running, most atomic.Int64
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if how == "budget" {
				_ = budget.Acquire(context.Background(), batchTask)
				defer budget.Release(batchTask)
			}
			now := running.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
				continue
			}
			block := mustMap(batchTask)
			time.Sleep(100 * time.Millisecond) // the task works on the block
			_ = syscall.Munmap(block)          // cannot fail: the block is mapped
			running.Add(-1)
		})
	}
	wg.Wait()
	fmt.Println(most.Load())
	os.Exit(0)
}

// mustMap returns resident memory outside the Go heap, since the heap needs more memory under the
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
