package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// The first argument with which this program starts itself as a helper process.
const (
	// enters cgroups, binds to a CPU and executes a command; the arguments are the cgroup.procs
	// files, separated by colons, a CPU or "-", and the command
	helperEnter = "enter"
	helperBurn  = "burn" // uses one CPU until killed
)

// anyCPU means that a process may run on any CPU.
const anyCPU = -1

// command returns a command that runs args in the cgroups given by procs and on the given CPU. It
// is killed when this process exits.
func (b *bench) command(ctx context.Context, procs string, cpu int, args ...string) *exec.Cmd {
	where := "-"
	if cpu != anyCPU {
		where = strconv.Itoa(cpu)
	}
	cmd := exec.CommandContext(ctx, b.self, append([]string{helperEnter, procs, where}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// enter moves this process into the cgroups given by procs, binds it to the CPU in args and then
// executes the command in args in its place. So the command never runs outside the cgroups or on
// another CPU.
func enter(procs string, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("enter: expected cgroup.procs files, a CPU or \"-\", and a command")
	}
	for file := range strings.SplitSeq(procs, ":") {
		if file == "" {
			continue
		}
		if err := os.WriteFile(file, []byte("0"), 0); err != nil {
			return err
		}
	}
	if args[0] != "-" {
		cpu, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		var set unix.CPUSet
		set.Set(cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return err
		}
	}
	return unix.Exec(args[1], args[1:], os.Environ())
}

// burn uses one CPU until the process is killed.
func burn() {
	for n := uint64(0); ; n++ {
		sink.Store(n)
	}
}

// sink prevents the compiler from removing burn's loop.
var sink atomic.Uint64

// hogs starts n processes that each use as much CPU time as they can get, in the cgroups given by
// procs and on the given CPU. stop kills them.
func (b *bench) hogs(ctx context.Context, n int, procs string, cpu int) (stop func(), err error) {
	var started []*exec.Cmd
	stop = func() {
		for _, cmd := range started {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	for range n {
		cmd := b.command(ctx, procs, cpu, b.self, helperBurn)
		cmd.Stderr = io.Discard
		if err := cmd.Start(); err != nil {
			stop()
			return nil, err
		}
		started = append(started, cmd)
	}
	return stop, nil
}
