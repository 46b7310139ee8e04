package queue

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/collector/otlp"
)

var kills = flag.Int("kills", 20, "number of processes that TestKill kills")

// Environment variables of the process to be killed: its directory, its sync interval, and the
// number of its first batch.
const (
	victimDir   = "QUEUE_VICTIM_DIR"
	victimSync  = "QUEUE_VICTIM_SYNC"
	victimFirst = "QUEUE_VICTIM_FIRST"
)

// victim puts and sends batches and reports that on standard output. It exits only when it is
// killed, when nothing reads its output, or on an error. It prints "a number" for a batch that was
// accepted, "s number" for a batch that was sent, just before settling it, "r points" for resent
// points, and "d points" for damaged points.
func victim(dir string) {
	interval, _ := time.ParseDuration(os.Getenv(victimSync))
	first, _ := strconv.Atoi(os.Getenv(victimFirst))
	q, err := Open(
		Config{Dir: dir, Limit: 64 << 20, Sync: interval, Log: slog.New(slog.DiscardHandler), slowAfter: noSync},
	)
	if err != nil {
		fmt.Println("e", err)
		os.Exit(1)
	}
	report := func(what string, n int64) {
		// one unbuffered write per line, so that a kill loses no line that was reported
		if _, err := fmt.Fprintf(os.Stdout, "%s %d\n", what, n); err != nil {
			os.Exit(1)
		}
	}
	p := total(q.Account())
	report("r", p.Resent)
	if p.Damaged > 0 {
		report("d", p.Damaged)
	}
	for putter := range 2 {
		go func() {
			for n := first + putter; ; n += 2 {
				if err := q.Put(context.Background(), Metrics, onePoint(n)); err != nil {
					os.Exit(1)
				}
				report("a", int64(n))
			}
		}()
	}
	random := rand.New(rand.NewPCG(uint64(first), 5))
	for {
		f, err := q.Take(context.Background(), Metrics, 20_000)
		if err != nil {
			os.Exit(1)
		}
		for i, b := range batchesOf(f) {
			if random.IntN(4) > 0 {
				report("s", int64(number(b)))
				f.Settle(i)
			}
		}
		f.Return()
	}
}

// onePoint returns batch n with one point.
func onePoint(n int) (b otlp.Batch) {
	b = batch(n, 50+n%3000)
	b.Points = 1
	return b
}

// witness records what the test has observed of all victims.
type witness struct {
	accepted, sent map[int]bool
	duplicates     int64 // sent again
	resent         int64 // reported as possibly sent again
	damaged        int64
	next           int
}

// run starts a victim and kills it after the given number of lines.
func (w *witness) run(t *testing.T, dir string, sync time.Duration, lines int) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), victimDir+"="+dir, victimSync+"="+sync.String(), victimFirst+"="+strconv.Itoa(w.next))
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	again, resent := int64(0), int64(0)
	for output := bufio.NewScanner(out); output.Scan(); lines-- {
		var what string
		var n int64
		if _, err := fmt.Sscan(output.Text(), &what, &n); err != nil {
			t.Fatalf("unexpected output of the victim: %q", output.Text())
		}
		switch what {
		case "r":
			resent = n
		case "d":
			w.damaged += n
		case "a":
			w.accepted[int(n)] = true
		case "s":
			if w.sent[int(n)] {
				again++
			}
			w.sent[int(n)] = true
		}
		if lines == 0 {
			if err := c.Process.Kill(); err != nil { // the loop still reads what the victim printed until then
				t.Fatal(err)
			}
		}
	}
	_ = c.Wait() // killed
	if again > resent {
		t.Errorf("%d batches were sent again, but only %d were reported as resent", again, resent)
	}
	w.next += 1_000_000 // batches put but not reported keep their numbers
	w.duplicates += again
	w.resent += resent
}

// A process that is killed at any time loses nothing that it accepted. Batches that are sent twice
// were in flight and are counted.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	w := &witness{accepted: make(map[int]bool), sent: make(map[int]bool)}
	random := rand.New(rand.NewPCG(7, 7))
	for i := range *kills {
		w.run(t, dir, []time.Duration{0, time.Second}[i%2], 1+random.IntN(400))
	}
	c, log := config(dir, 64<<20, time.Second)
	q := mustOpen(t, c)
	p := total(q.Account())
	w.damaged += p.Damaged
	for f := takeNow(t, q, 1<<20); f != nil; f = takeNow(t, q, 1<<20) {
		for i, b := range batchesOf(f) {
			w.sent[number(b)] = true
			f.Settle(i)
		}
	}
	mustClose(t, q)
	lost := 0
	for n := range w.accepted {
		if !w.sent[n] {
			lost++
		}
	}
	t.Logf(
		"%d kills: %d accepted, %d lost, %d sent again (%d reported as resent), %d damaged",
		*kills,
		len(w.accepted),
		lost,
		w.duplicates,
		w.resent,
		w.damaged,
	)
	if lost > 0 || len(w.accepted) == 0 {
		t.Errorf("%d of %d accepted batches were lost\n%s", lost, len(w.accepted), log)
	}
}
