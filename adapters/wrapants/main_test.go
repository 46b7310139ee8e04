package wrapants_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// ants has a default pool, which never ends
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
