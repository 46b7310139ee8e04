package main

import (
	"bytes"
	"os"
	"testing"
)

func TestPolicyIsUpToDate(t *testing.T) {
	component, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	want, err := policy(component)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is stale: run make generate (%v)", target, err)
	}
}
