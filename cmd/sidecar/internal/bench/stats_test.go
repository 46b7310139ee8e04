package bench

import (
	"math"
	"os"
	"testing"
)

func TestMedianAndSpread(t *testing.T) {
	for _, c := range []struct {
		values         []float64
		median, spread float64
	}{
		{nil, 0, 0},
		{[]float64{7}, 7, 0},
		{[]float64{3, 1}, 2, 0.5},
		{[]float64{4, 1, 2}, 2, 0.75},
		{[]float64{5, 1, 2, 4}, 3, 0.5},
		{[]float64{50, 10, 20, 30, 40}, 30, 1.0 / 3},
		{[]float64{-1, 0, 1}, 0, 0},
	} {
		if got := median(c.values); got != c.median {
			t.Errorf("median of %v: %v, want %v", c.values, got, c.median)
		}
		if got := spread(c.values); math.Abs(got-c.spread) > 1e-9 {
			t.Errorf("spread of %v: %v, want %v", c.values, got, c.spread)
		}
	}
}

// Concurrent tasks have different files. The most recently used file is reused first.
func TestTasksDoNotShareFiles(t *testing.T) {
	s := &files{dir: t.TempDir()}
	t.Cleanup(s.remove)
	var taken [2]*os.File
	var names []string
	for i := range taken {
		f, err := s.take()
		if err != nil {
			t.Fatal(err)
		}
		taken[i], names = f, append(names, f.Name())
	}
	defer func() {
		for _, f := range taken {
			s.put(f)
		}
	}()
	if names[0] == names[1] {
		t.Error("two concurrent tasks have the same file")
	}
	f, err := s.take()
	if err != nil {
		t.Fatal(err)
	}
	s.put(f)
	if again, err := s.take(); err != nil || again != f || len(s.free) != 0 {
		t.Errorf("take returned %v, %v and left %d files; want the last used file and 0", again, err, len(s.free))
	}
	s.put(f)
}
