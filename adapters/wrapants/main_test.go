package wrapants_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// ants has a pool of its own, which never ends
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
