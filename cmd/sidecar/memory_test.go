package main

import "testing"

func TestMemoryLimit(t *testing.T) {
	const mebibyte, needed = 1 << 20, 48 << 20
	for _, c := range []struct {
		container int64
		limited   bool
		want      int64
	}{
		{0, false, needed},
		{64 * mebibyte, true, 48 * mebibyte}, // the manifests'
		{32 * mebibyte, true, 24 * mebibyte},
		{4096 * mebibyte, true, needed},
	} {
		if got := memoryLimit(c.container, c.limited, needed); got != c.want {
			t.Errorf("%d, %t: %d, want %d", c.container, c.limited, got, c.want)
		}
	}
}
