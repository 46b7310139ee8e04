package main

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
)

// neighbors is the number of spinning processes.
const neighbors = 4

// helperSpin is the argument that makes this program use one CPU until its standard input is
// closed.
const helperSpin = "spin"

// setting is the load on the machine while the tasks are profiled.
type setting struct {
	name   string
	target float64 // minimum share of right answers
	start  func(context.Context) (stop func(), err error)
}

func settings() []setting {
	return []setting{
		{"alone", 0.9, func(context.Context) (func(), error) { return func() {}, nil }},
		{"4 processes spin", 0.9, startProcesses},
		{"twice as many goroutines spin as there are processors", 0, startGoroutines},
	}
}

// startProcesses starts copies of this program that spin. They exit when their standard input is
// closed, which also happens if this process is killed.
func startProcesses(ctx context.Context) (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var started []*exec.Cmd
	var inputs []func() error
	stop = func() {
		for _, closeInput := range inputs {
			_ = closeInput()
		}
		cancel()
		for _, cmd := range started {
			_ = cmd.Wait() // it was killed
		}
	}
	for range neighbors {
		cmd := exec.CommandContext(ctx, self, helperSpin)
		input, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			stop()
			return nil, err
		}
		started, inputs = append(started, cmd), append(inputs, input.Close)
	}
	return stop, nil
}

func spinForever() {
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1)) // returns when the parent closes the pipe or exits
		os.Exit(0)
	}()
	for n := uint64(0); ; n++ {
		sink.Store(n)
	}
}

// startGoroutines starts twice as many spinning goroutines as there are processors.
func startGoroutines(context.Context) (stop func(), err error) {
	var stopped atomic.Bool
	var all sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for n := uint64(0); !stopped.Load(); n++ {
				sink.Store(n)
			}
		})
	}
	return func() {
		stopped.Store(true)
		all.Wait()
	}, nil
}

// sink keeps the compiler from removing loops that only use CPU time.
var sink atomic.Uint64
