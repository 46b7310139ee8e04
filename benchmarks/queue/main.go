// Command queue compares the sidecar's durable queue with alternatives: bbolt, as the Collector's
// file_storage uses it, and tidwall/wal. Four goroutines put batches while a fifth takes and
// removes them, oldest first. Each contender runs in its own process, in random order. The command
// prints medians.
//
//	go run .            # from benchmarks/queue/
//	go run . -rounds 5 -dir /some/disk
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	putters = 4
	backlog = 256 // maximum number of batches in the queue
)

// scenario is one row of the table: the store, the size of batches in bytes, and whether put syncs
// before it returns.
type scenario struct {
	store string
	size  int
	sync  bool
}

func (s scenario) String() string { return fmt.Sprintf("%s,%d,%t", s.store, s.size, s.sync) }

// result holds the measurements of one process.
type result struct {
	Rate    float64 // batches/s
	CPU     float64 // µs per batch
	Peak    float64 // MiB of resident memory
	Written float64 // bytes written to disk per byte of batch
	Left    float64 // MiB on disk after all batches were taken
}

func (r *result) fields() []*float64 {
	return []*float64{&r.Rate, &r.CPU, &r.Peak, &r.Written, &r.Left}
}

func main() {
	rounds := flag.Int("rounds", 3, "rounds to take the median of")
	dir := flag.String("dir", "", "directory for the queues; empty means the system's temporary directory")
	one := flag.String("one", "", "measure only this scenario (store,size,sync), in this process")
	flag.Parse()
	run := func() error { return compare(context.Background(), *rounds, *dir) }
	if *one != "" {
		run = func() error { return measure(*one, *dir) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "queue:", err)
		os.Exit(1)
	}
}

func compare(ctx context.Context, rounds int, dir string) error {
	var all []scenario
	for _, sync := range []bool{false, true} {
		for _, size := range []int{1 << 10, 10 << 10} {
			for _, name := range []string{"ours", "bbolt", "wal"} {
				all = append(all, scenario{name, size, sync})
			}
		}
	}
	results := make(map[scenario][]result)
	for range rounds {
		for _, i := range rand.Perm(len(all)) {
			r, err := measureInChild(ctx, all[i], dir)
			if err != nil {
				return fmt.Errorf("%s: %w", all[i], err)
			}
			results[all[i]] = append(results[all[i]], r)
		}
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(
		table,
		"synced\tbatch\tstore\tbatches/s\tCPU µs\tpeak RSS MiB\tdisk bytes/byte\tleft MiB\tCPU, ours ÷ peer\t",
	)
	for _, s := range all {
		r, own := median(results[s]), median(results[scenario{"ours", s.size, s.sync}])
		fmt.Fprintf(
			table,
			"%t\t%d\t%s\t%.0f\t%.1f\t%.1f\t%.2f\t%.1f\t%.2f\t\n",
			s.sync,
			s.size,
			s.store,
			r.Rate,
			r.CPU,
			r.Peak,
			r.Written,
			r.Left,
			own.CPU/r.CPU,
		)
	}
	return table.Flush()
}

func median(results []result) (m result) {
	for i, f := range m.fields() {
		var values []float64
		for _, r := range results {
			values = append(values, *r.fields()[i])
		}
		slices.Sort(values)
		*f = values[len(values)/2]
	}
	return m
}

func measureInChild(ctx context.Context, s scenario, dir string) (r result, err error) {
	out, err := exec.CommandContext(ctx, os.Args[0], "-one", s.String(), "-dir", dir).Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			return r, fmt.Errorf("%w: %s", err, failed.Stderr)
		}
		return r, err
	}
	f := r.fields()
	_, err = fmt.Sscan(string(out), f[0], f[1], f[2], f[3], f[4])
	return r, err
}

// measure runs the scenario named by text and prints its result.
func measure(text, parent string) error {
	var s scenario
	parts := strings.Split(text, ",")
	if len(parts) != 3 || stores[parts[0]] == nil {
		return fmt.Errorf("unknown scenario %q, want store,size,sync", text)
	}
	s.store, s.sync = parts[0], parts[2] == "true"
	var err error
	if s.size, err = strconv.Atoi(parts[1]); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(parent, "queue")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	batches := 20_000
	if s.sync {
		batches = 2_000
	}
	r, err := load(s, dir, batches)
	if err != nil {
		return err
	}
	for _, f := range r.fields() {
		fmt.Print(*f, " ")
	}
	return nil
}

func load(s scenario, dir string, batches int) (r result, err error) {
	st, err := stores[s.store](dir, s.sync)
	if err != nil {
		return r, err
	}
	cpu, written, begun := cpuTime(), bytesWritten(), time.Now()
	if err := pump(st, s.size, batches); err != nil {
		return r, err
	}
	r.Rate = float64(batches) / time.Since(begun).Seconds()
	r.CPU = float64((cpuTime() - cpu).Microseconds()) / float64(batches)
	r.Left = directorySize(dir) / (1 << 20)
	if err := st.close(); err != nil {
		return r, err
	}
	r.Written = (bytesWritten() - written) / float64(batches*s.size)
	r.Peak = status("VmHWM:") / 1024
	return r, nil
}

// pump puts batches from several goroutines and takes them in another. At most backlog batches are
// queued at any time.
func pump(st store, size, batches int) error {
	var g errgroup.Group
	slots := make(chan struct{}, backlog)
	for range putters {
		g.Go(func() error { return putAll(st, size, batches/putters, slots) })
	}
	g.Go(func() error { return takeAll(st, size, batches/putters*putters, slots) })
	return g.Wait()
}

func putAll(st store, size, batches int, slots chan<- struct{}) error {
	for range batches {
		slots <- struct{}{}
		if err := st.put(bytes.Repeat([]byte("x"), size)); err != nil {
			return err
		}
	}
	return nil
}

func takeAll(st store, size, batches int, slots <-chan struct{}) error {
	for range batches {
		data, err := st.take()
		if err != nil {
			return err
		}
		if len(data) != size {
			return fmt.Errorf("took a batch of %d bytes, want %d", len(data), size)
		}
		if err := st.done(); err != nil {
			return err
		}
		<-slots
	}
	return nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail with these arguments
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func bytesWritten() float64 { return field("/proc/self/io", "write_bytes:") }

func status(name string) float64 { return field("/proc/self/status", name) }

// field returns the number after name in the file at path, or 0 if there is none.
func field(path, name string) float64 {
	b, _ := os.ReadFile(path)
	_, rest, _ := strings.Cut(string(b), "\n"+name)
	value, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 64)
	return n
}

func directorySize(dir string) (sum float64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // it was deleted in the meantime
		}
		if info, err := d.Info(); err == nil {
			sum += float64(info.Size())
		}
		return nil
	})
	return sum
}
