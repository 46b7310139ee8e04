// Command memory compares the memory use of worker pools that run a million tasks, each of which
// sleeps 10 ms, on 10,000 workers. Each pool runs in its own process, in random order. The command
// prints by how much the peak resident memory exceeds that at the start of the process.
//
//	go run ./pools/memory            # from benchmarks/
//	go run ./pools/memory -rounds 9
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/peers"
)

const (
	workers   = 10_000
	tasks     = 1_000_000
	sleepTime = 10 * time.Millisecond
	ours      = "ours"
)

func main() {
	rounds := flag.Int("rounds", 5, "rounds to take the median of")
	one := flag.String("one", "", "measure only this pool, in this process")
	flag.Parse()
	run := func() error { return compare(*rounds) }
	if *one != "" {
		run = func() error { return measure(*one) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
}

// pools returns the constructors of all pools, by name.
func pools() map[string]peers.NewWorkers {
	all := map[string]peers.NewWorkers{ours: peers.Ours()}
	for name, open := range peers.WorkerPools {
		all[name] = open
	}
	return all
}

// measure runs the tasks on the pool called name and prints the memory that they used, in KiB.
func measure(name string) error {
	open, known := pools()[name]
	if !known {
		return fmt.Errorf("unknown pool %q", name)
	}
	before, err := status("VmRSS:")
	if err != nil {
		return err
	}
	p := open(workers)
	var done sync.WaitGroup
	done.Add(tasks)
	task := peers.NewTask(func() {
		time.Sleep(sleepTime)
		done.Done()
	})
	for range tasks {
		p.Submit(task)
	}
	done.Wait()
	p.Stop()
	peak, err := status("VmHWM:")
	if err != nil {
		return err
	}
	fmt.Println(peak - before)
	return nil
}

// status returns the value of the line of /proc/self/status that starts with key, in KiB.
func status(key string) (int, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == key {
			return strconv.Atoi(fields[1])
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no %s", key)
}

// compare prints the table, and fails if a peer uses less memory than our pool.
func compare(rounds int) error {
	names := []string{ours}
	for name := range peers.WorkerPools {
		names = append(names, name)
	}
	slices.Sort(names[1:])
	kib := map[string][]int{}
	for range rounds {
		for _, i := range rand.Perm(len(names)) {
			out, err := exec.CommandContext(context.Background(), os.Args[0], "-one", names[i]).Output()
			if err != nil {
				return fmt.Errorf("%s: %w", names[i], err)
			}
			n, err := strconv.Atoi(string(bytes.TrimSpace(out)))
			if err != nil {
				return err
			}
			kib[names[i]] = append(kib[names[i]], n)
		}
	}
	fmt.Println("| pool | peak, MiB (min–max) | ours ÷ peer |\n|---|---|---|")
	maxRatio := 0.0
	median := func(name string) float64 { return float64(slices.Sorted(slices.Values(kib[name]))[rounds/2]) / 1024 }
	for _, name := range names {
		ratio := median(ours) / median(name)
		maxRatio = max(maxRatio, ratio)
		fmt.Printf("| %s | %.1f (%.1f–%.1f) | %.2f |\n", name, median(name),
			float64(slices.Min(kib[name]))/1024, float64(slices.Max(kib[name]))/1024, ratio)
	}
	if maxRatio > 1 {
		return errors.New("a peer uses less memory than ours")
	}
	return nil
}
