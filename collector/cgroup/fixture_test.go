package cgroup

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/poolgauge/poolgauge/internal/fixture"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

var update = flag.Bool("update", false, "rewrite the want sections of the fixtures")

// TestFixtures reads the cgroups of every fixture in testdata, a file tree that represents one
// kernel and container runtime, and compares the values with the fixture's "want" section.
func TestFixtures(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) < 27 {
		t.Fatalf("found %d fixtures, want at least 27", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			dir := fixture.Lay(t, file)
			below, _ := os.ReadFile(filepath.Join(dir, "below"))
			got := strings.ReplaceAll(describe(Config{
				ProcRoot: dir + "/proc", Prefix: dir, Below: strings.TrimSpace(string(below)),
			}), dir, "")
			if *update {
				rewrite(t, file, got)
				return
			}
			want, err := os.ReadFile(filepath.Join(dir, "want"))
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// describe returns all values and errors, one per line.
func describe(cfg Config) string {
	var b strings.Builder
	fail := func(err error) {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(&b, "error %s\n", strings.TrimSpace(line))
		}
	}
	tree, err := Open(cfg)
	if err != nil {
		fail(err)
	}
	if tree == nil {
		return b.String()
	}
	m, err := readMembership(cfg)
	if err != nil {
		fail(err)
	}
	fmt.Fprintf(&b, "container %q\n", tree.ContainerID(m))
	_, m = m.Container()
	groups, err := tree.Lineage(m)
	if err != nil {
		fail(err)
	}
	limit, err := MemoryLimit(cfg)
	if err == nil && limit.Defined {
		fmt.Fprintf(&b, "memory limit %d\n", limit.Value)
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "group %s\n", g.Path)
		var r kernfile.Reader
		writeValues(&b, "cpu", reflect.ValueOf(g.CPU(&r, fail)))
		writeValues(&b, "memory", reflect.ValueOf(g.Memory(&r, fail)))
		writeValues(&b, "processes", reflect.ValueOf(g.Processes(&r, fail)))
		for _, io := range g.IO(&r, nil, fail) {
			fmt.Fprintf(&b, "  io %s read %d written %d\n", io.Device, io.Read, io.Write)
		}
		for _, resource := range []Resource{PressureCPU, PressureMemory, PressureIO} {
			writeValues(&b, "pressure "+resource.String(), reflect.ValueOf(g.Pressure(&r, resource, fail)))
		}
	}
	return b.String()
}

// writeValues writes the defined fields of v, a struct of optional values.
func writeValues(b *strings.Builder, what string, v reflect.Value) {
	for i := range v.NumField() {
		name := what + " " + v.Type().Field(i).Name
		if defined := v.Field(i).FieldByName("Defined"); !defined.IsValid() {
			writeValues(b, name, v.Field(i))
		} else if defined.Bool() {
			fmt.Fprintf(b, "  %s %v\n", name, v.Field(i).FieldByName("Value"))
		}
	}
}

// rewrite replaces the "want" section of the fixture file.
func rewrite(t *testing.T, file, want string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(data), "-- want --\n")
	if err := os.WriteFile(file, []byte(before+"-- want --\n"+want), 0o644); err != nil {
		t.Fatal(err)
	}
}
