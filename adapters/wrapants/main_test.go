package wrapants_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// ants creates a default pool at import, and its goroutines never end
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
