package main

import (
	"bytes"
	"os"
	"testing"
)

func TestManifestsAreUpToDate(t *testing.T) {
	files, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if got, err := os.ReadFile(manifests + name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run make generate (error: %v)", name, err)
		}
	}
}
