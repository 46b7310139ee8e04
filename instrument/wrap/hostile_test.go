package wrap_test

import (
	"strings"
	"testing"

	"github.com/poolgauge/poolgauge/instrument/wrap"
)

// A nil pool is refused when it is wrapped, not when it is used or collected.
func TestNothingIsRefused(t *testing.T) {
	_, tasks := wrap.NewTaskPool("nothing", "ants", nil)
	_, pool := wrap.NewSyncPool("nothing", nil)
	for what, err := range map[string]error{"a task pool": tasks, "a sync.Pool": pool} {
		if err == nil || !strings.Contains(err.Error(), `"nothing": the pool is nil`) {
			t.Errorf("%s: error %v, want one that says so", what, err)
		}
	}
}
