package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// filled returns a directory as a killed process would leave it. It has batches 0 to n; the first
// is settled, and the next ones are in flight.
func filled(t testing.TB, n int) (dir string, settled, flying int) {
	t.Helper()
	c, _ := config(t.TempDir(), 1<<20, noSync)
	q := mustOpen(t, c)
	defer mustClose(t, q)
	for i := range n {
		put(t, q, batch(i, 100+i))
	}
	f := takeNow(t, q, 0)
	f.Settle(0)
	f = takeNow(t, q, 1000)
	put(t, q, batch(n, 100)) // when it is on disk, so are the marks
	return snapshot(t, c.Dir), 1, len(batchesOf(f))
}

// damage returns a copy of dir in which change has been applied to the only segment.
func damage(t testing.TB, dir string, change func(b []byte) []byte) string {
	t.Helper()
	dir = snapshot(t, dir)
	name := segmentsIn(t, dir)[0]
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A flipped bit costs at most one batch. The loss is counted, or only logged if the number of
// points is unknown.
func TestFlippedBit(t *testing.T) {
	const n = 30
	dir, settled, _ := filled(t, n)
	random := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		where := ""
		c, log := config(damage(t, dir, func(b []byte) []byte {
			at := random.IntN(len(b))
			b[at] ^= 1 << random.IntN(8)
			where = fmt.Sprintf("byte %d of %d", at, len(b))
			return b
		}), 1<<20, noSync)
		q := mustOpen(t, c)
		p := total(q.Account())
		got := make(map[int]bool)
		for _, i := range drain(t, q) {
			got[i] = true
		}
		missing, points := 0, int64(0)
		for i := settled; i <= n; i++ {
			if !got[i] {
				missing++
				points += batch(i, 8).Points
			}
		}
		reported := p.Damaged == points ||
			p.Damaged == 0 && strings.Contains(log.String(), "unknown_bytes=") &&
				!strings.Contains(log.String(), "unknown_bytes=0")
		if missing > 1 || !reported {
			t.Errorf("%s: %d batches with %d points are missing, account %+v\n%s", where, missing, points, p, log)
		}
		mustClose(t, q)
	}
}

// A truncated tail costs only the batches in it.
func TestTornTail(t *testing.T) {
	const n = 30
	dir, settled, _ := filled(t, n)
	random := rand.New(rand.NewPCG(2, 1))
	for i := range 200 {
		var complete int
		c, log := config(damage(t, dir, func(b []byte) []byte {
			cut := b[:random.IntN(len(b)+1)]
			for f := range scan(b[segmentHeader:]) {
				if segmentHeader+f.offset+f.length <= len(cut) {
					complete++
				}
			}
			if i%2 == 0 { // with zeros at the end, as file systems may leave it after power loss
				cut = append(bytes.Clone(cut), make([]byte, len(b)-len(cut))...)
			}
			return cut
		}), 1<<20, noSync)
		q := mustOpen(t, c)
		want := numbers(min(settled, complete), complete)
		equal(t, "remaining", drain(t, q), want)
		if p := total(q.Account()); p.Recovered != p.Damaged+points(want) {
			t.Errorf("account %+v, want batches %v\n%s", p, want, log)
		}
		mustClose(t, q)
	}
}

func points(numbers []int) (sum int64) {
	for _, n := range numbers {
		sum += batch(n, 8).Points
	}
	return sum
}

// Damage is counted only at the first start, even if later starts still need the damaged file.
func TestDamageIsCountedOnce(t *testing.T) {
	dir, settled, flying := filled(t, 10)
	last := 0
	dir = damage(t, dir, func(b []byte) []byte {
		for f := range scan(b[segmentHeader:]) {
			last = segmentHeader + f.offset
		}
		b[last+recordSize+20] ^= 1 // in the data
		return b
	})
	for i := range 2 {
		c, log := config(dir, 1<<20, noSync)
		q := mustOpen(t, c)
		p := total(q.Account())
		if want := batch(
			10,
			8,
		).Points * int64(
			1-i,
		); p.Damaged != want || p.Queued != points(numbers(settled, 10)) ||
			p.Recovered != p.Queued+p.Damaged {
			t.Errorf("start %d: account %+v, want %d damaged points", i, p, want)
		}
		if want := points(numbers(settled, settled+flying)); p.Resent != want {
			t.Errorf("start %d: %d points resent, want %d", i, p.Resent, want)
		}
		if strings.Count(log.String(), "damaged") != 1-i {
			t.Errorf("start %d: damage was not logged exactly once, at the first start:\n%s", i, log)
		}
		mustClose(t, q)
	}
}

// Damage that occurs while the queue is open is detected when the data is read.
func TestDamageFoundLater(t *testing.T) {
	c, log := config(t.TempDir(), 1<<20, noSync)
	q := mustOpen(t, c)
	for i := range 40 {
		put(t, q, batch(i, 20_000)) // only the first few are kept in memory
	}
	name := segmentsIn(t, c.Dir)[0]
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(b, batch(9, 20_000).Data)
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("damage"), int64(at)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	equal(t, "remaining", drain(t, q), append(numbers(0, 9), numbers(10, 40)...))
	p := total(q.Account())
	if p.Damaged != batch(9, 8).Points || p.Queued != 0 || !strings.Contains(log.String(), "unreadable batch") {
		t.Errorf("account %+v, want only batch 9 damaged, and that logged\n%s", p, log)
	}
	mustClose(t, q)
	if left := segmentsIn(t, c.Dir); len(left) > 0 {
		t.Errorf("segments left behind: %v", left)
	}
}

func TestRefusedFiles(t *testing.T) {
	segment := segmentName(3)
	for name, test := range map[string]struct {
		file, content string
		want          string
	}{
		"newer format":    {segment, string(newHeader(2)) + "unknown data", "format is 2, expected 1"},
		"foreign content": {segment, "another program's file under this name", "not a queue file"},
		"foreign name":    {"exporter_otlp__metrics", "bbolt", "not a queue file"},
		"short number":    {"3" + segmentSuffix, "", "not a queue file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _, _ := filled(t, 3)
			path := filepath.Join(dir, test.file)
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			c, _ := config(dir, 1<<20, 0)
			_, err := Open(c)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.file) ||
				!strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "another directory") {
				t.Errorf("Open: error %v, want %q with the file, its directory and advice", err, test.want)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != test.content {
				t.Errorf("the file is now %q (%v), want %q", b, err, test.content)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			q := mustOpen(t, c) // the lock is free, and nothing else has changed
			equal(t, "remaining", drain(t, q), numbers(1, 4))
			mustClose(t, q)
		})
	}
}

// Segments that a kill left without a complete header are harmless.
func TestUnfinishedSegments(t *testing.T) {
	dir, _, _ := filled(t, 3)
	for i, content := range []string{"", "pgq", string(newHeader(version)), strings.Repeat("\x00", 5000)} {
		if err := os.WriteFile(filepath.Join(dir, segmentName(uint64(i+5))), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, _ := config(dir, 1<<20, 0)
	q := mustOpen(t, c)
	equal(t, "remaining", drain(t, q), numbers(1, 4))
	mustClose(t, q)
	if left := segmentsIn(t, dir); len(left) > 0 {
		t.Errorf("segments left behind: %v", left)
	}
}

func TestOneOwner(t *testing.T) {
	c, _ := config(filepath.Join(t.TempDir(), "a", "b"), 1<<20, 0)
	q := mustOpen(t, c)
	if _, err := Open(
		c,
	); !errors.Is(err, errInUse) || strings.Contains(err.Error(), "%!") ||
		!strings.Contains(err.Error(), c.Dir+": in use by another sidecar") {
		t.Errorf("second Open: error %v, want %v", err, errInUse)
	}
	put(t, q, batch(0, 8))
	for path, want := range map[string]os.FileMode{c.Dir: 0o700, segmentsIn(t, c.Dir)[0]: 0o600, filepath.Join(c.Dir, lockName): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v (%v), want %v", path, info.Mode(), err, want)
		}
	}
	mustClose(t, q)
	q = mustOpen(t, c)
	equal(t, "remaining", drain(t, q), []int{0})
	mustClose(t, q)
}

func TestRefusedBatches(t *testing.T) {
	c, _ := config("", 1000, 0)
	q := mustOpen(t, c)
	var large *TooLargeError
	if err := q.Put(
		context.Background(),
		Metrics,
		batch(0, 1001-Overhead),
	); !errors.As(err, &large) || large.Size != 1001 ||
		large.Limit != 1000 {
		t.Errorf("Put of 1001 bytes: error %v, want a TooLargeError with limit 1000", err)
	}
	put(t, q, batch(1, 1000-Overhead))
	if err := q.Put(context.Background(), 9, batch(2, 8)); err == nil {
		t.Error("Put accepted a batch for an unknown lane")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := q.Put(ctx, Metrics, batch(3, 8)); !errors.Is(err, context.Canceled) {
		t.Errorf("Put with a canceled context: error %v, want %v", err, context.Canceled)
	}
	equal(t, "remaining", drain(t, q), []int{1})
	if _, err := q.Take(ctx, Metrics, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Take with a canceled context: error %v, want %v", err, context.Canceled)
	}
	put(t, q, batch(4, 8))
	if err := q.Close(context.Background()); err == nil || !strings.Contains(err.Error(), "lost 5 item(s)") {
		t.Errorf("Close: error %v, want the loss of 5 items", err)
	}
	if err := q.Put(context.Background(), Metrics, batch(5, 8)); !errors.Is(err, ErrClosed) {
		t.Errorf("Put after Close: error %v, want %v", err, ErrClosed)
	}
	if _, err := q.Take(context.Background(), Metrics, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("Take after Close: error %v, want %v", err, ErrClosed)
	}
	if _, err := Open(Config{}); err == nil {
		t.Error("Open accepted a limit of 0")
	}
}

func TestOpenReportsLockError(t *testing.T) {
	c, _ := config(t.TempDir(), 1<<20, 0)
	f := faulty(c.Dir)
	f.fail(syscall.EACCES, "lock")
	c.files = f
	if _, err := Open(c); !errors.Is(err, syscall.EACCES) ||
		!strings.Contains(err.Error(), c.Dir+": cannot create or lock the directory") {
		t.Errorf("Open: error %v, want %v with the directory", err, syscall.EACCES)
	}
}
