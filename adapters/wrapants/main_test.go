package wrapants_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// ants creates a default pool when it is imported, and that pool's goroutines never exit
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
