package queue

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/collector/otlp"
	"github.com/poolgauge/poolgauge/internal/logtest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		victim(dir)
	}
	goleak.VerifyTestMain(m)
}

// noSync is longer than any test, so a queue with this interval syncs only when it is closed.
const noSync = time.Hour

// config returns a configuration and its log. A slow disk does not count as failing, since slowness
// is tested only in synctest bubbles, where time is exact.
func config(dir string, limit int64, sync time.Duration) (Config, *logtest.Buffer) {
	l := &logtest.Buffer{}
	return Config{
		Dir:       dir,
		Limit:     limit,
		Lanes:     []Lane{Metrics},
		Sync:      sync,
		Log:       slog.New(slog.NewTextHandler(l, nil)),
		slowAfter: noSync,
	}, l
}

func mustOpen(t testing.TB, c Config) *Queue {
	t.Helper()
	q, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// batch returns batch n of a test. It has n%7+1 points and size bytes, the first eight of which
// identify it.
func batch(n, size int) otlp.Batch {
	b := make([]byte, max(size, 8))
	random := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
	_, _ = random.Read(b)
	binary.LittleEndian.PutUint64(b, uint64(n))
	return otlp.Batch{Signal: otlp.Metrics, Points: int64(n%7 + 1), Data: b}
}

// batchesOf returns the batches of f.
func batchesOf(f *Flight) (batches []otlp.Batch) {
	for i := range f.Len() {
		data, points := f.Range(i, i+1)
		batches = append(batches, otlp.Batch{Signal: f.lane.id.Signal(), Points: points, Data: data[0]})
	}
	return batches
}

func number(b otlp.Batch) int { return int(binary.LittleEndian.Uint64(b.Data)) }

func put(t testing.TB, q *Queue, b otlp.Batch) {
	t.Helper()
	if err := q.Put(context.Background(), Metrics, b); err != nil {
		t.Fatal(err)
	}
}

// drain takes and settles all batches in q, and checks that they are unchanged and in order.
func drain(t testing.TB, q *Queue) (numbers []int) {
	t.Helper()
	for {
		f := takeNow(t, q, 3000)
		if f == nil {
			return numbers
		}
		for i, b := range batchesOf(f) {
			n := number(b)
			if want := batch(
				n,
				len(b.Data),
			); b.Signal != want.Signal || b.Points != want.Points ||
				!bytes.Equal(b.Data, want.Data) {
				t.Fatalf("batch %d was changed", n)
			}
			if len(numbers) > 0 && n <= numbers[len(numbers)-1] {
				t.Fatalf("batch %d came after %d", n, numbers[len(numbers)-1])
			}
			numbers = append(numbers, n)
			f.Settle(i)
		}
	}
}

// takeNow takes the batches that are available, or returns nil if there are none.
func takeNow(t testing.TB, q *Queue, maxBytes int64) *Flight {
	t.Helper()
	if a := q.Account(); a.Oldest().IsZero() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	f, err := q.Take(ctx, Metrics, maxBytes)
	if errors.Is(err, context.DeadlineExceeded) && q.Account().Oldest().IsZero() {
		return nil // the rest was damaged; this happens only in bubbles, where waiting takes no time
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mustClose(t testing.TB, q *Queue) {
	t.Helper()
	if err := q.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// total adds up the points of all lanes.
func total(a Account) (sum Points) {
	for _, p := range a.Lanes {
		sum.Queued += p.Queued
		sum.Recovered += p.Recovered
		sum.Resent += p.Resent
		sum.Full += p.Full
		sum.Damaged += p.Damaged
	}
	return sum
}

// snapshot returns a copy of dir, as a kill of the process that uses it would leave it.
func snapshot(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted in the meantime
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, f.Name()), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func segmentsIn(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func equal(t testing.TB, what string, got, want []int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d batches %v, want %d %v", what, len(got), got, len(want), want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
}

func numbers(from, to int) (out []int) {
	for n := from; n < to; n++ {
		out = append(out, n)
	}
	return out
}
