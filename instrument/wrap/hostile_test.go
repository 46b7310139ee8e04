package wrap_test

import (
	"strings"
	"testing"

	"github.com/poolgauge/poolgauge/instrument/wrap"
)

// A nil pool is rejected when it is wrapped, not when it is used or collected.
func TestNilPoolIsRejected(t *testing.T) {
	_, taskPoolErr := wrap.NewTaskPool("nothing", "ants", nil)
	_, syncPoolErr := wrap.NewSyncPool("nothing", nil)
	for function, err := range map[string]error{"NewTaskPool": taskPoolErr, "NewSyncPool": syncPoolErr} {
		if err == nil || !strings.Contains(err.Error(), `"nothing": the pool is nil`) {
			t.Errorf(`%s: got error %v, want one with "the pool is nil"`, function, err)
		}
	}
}
