package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestDashboardsAreUpToDate(t *testing.T) {
	for name, d := range dashboards() {
		want, err := render(d)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(directory, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run make generate", name)
		}
	}
}

func TestPanelsDoNotOverlap(t *testing.T) {
	for name, d := range dashboards() {
		taken := map[[2]uint32]string{}
		for _, p := range d.Panels {
			if p.Panel == nil {
				continue
			}
			pos := p.Panel.GridPos
			for x := pos.X; x < pos.X+pos.W; x++ {
				for y := pos.Y; y < pos.Y+pos.H; y++ {
					if other, ok := taken[[2]uint32{x, y}]; ok {
						t.Fatalf("%s: %q overlaps %q", name, *p.Panel.Title, other)
					}
					if x >= 24 {
						t.Fatalf("%s: %q extends beyond the 24 columns of the grid", name, *p.Panel.Title)
					}
					taken[[2]uint32{x, y}] = *p.Panel.Title
				}
			}
		}
	}
}
