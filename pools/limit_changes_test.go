package pools

import (
	"context"
	"testing"

	"github.com/poolgauge/poolgauge/instrument"
)

// Each change of a pool's limit is counted. A resize to the same limit, or one that fails, is not.
func TestLimitChangesAreCounted(t *testing.T) {
	s, err := NewSemaphore(t.Name()+" semaphore", 3, SemaphoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w, err := NewWorkers(t.Name()+" workers", 3, WorkersConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	construct := func(context.Context) (int, error) { return 0, nil }
	r, err := NewResources(t.Name()+" resources", 3, construct, ResourcesConfig[int]{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for kind, pool := range map[string]struct {
		resize func(n int) error
		stats  func() instrument.Stats
	}{
		"semaphore": {func(n int) error { return s.Resize(int64(n)) }, s.Stats},
		"workers":   {w.Resize, w.Stats},
		"resources": {r.Resize, r.Stats},
	} {
		for _, n := range []int{3, 5, 5, 2, -1} {
			if err := pool.resize(n); (err == nil) != (n > 0) {
				t.Errorf("%s: Resize(%d): error %v", kind, n, err)
			}
		}
		if n, ok := pool.stats().LimitChanges.Get(); n != 2 || !ok {
			t.Errorf("%s: %d limit changes (reported: %t), want 2", kind, n, ok)
		}
	}
}
