package kernfile

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// A file that is not in a kernel file system may be replaced, so it is opened for each read.
func TestReplacedFileIsReopened(t *testing.T) {
	dir := t.TempDir()
	f := NewFile(filepath.Join(dir, "file"))
	var r Reader
	for _, want := range []string{"first", "second, and longer", "3"} {
		if err := os.WriteFile(filepath.Join(dir, "new"), []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "new"), f.Path); err != nil {
			t.Fatal(err)
		}
		if got, err := r.ReadFile(&f); err != nil || string(got) != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	if f.kept != nil {
		t.Error("the file stays open")
	}
}

// A file in a kernel file system stays open, and each read returns the current content.
func TestKernelFileStaysOpen(t *testing.T) {
	var r Reader
	for _, c := range []struct {
		path    string
		chunked bool
	}{{"/proc/self/limits", false}, {"/proc/cpuinfo", true}, {"/proc/self/mountinfo", true}} {
		f := NewFile(c.path)
		f.Chunked = c.chunked
		want, err := os.ReadFile(c.path)
		if err != nil {
			t.Skip(err)
		}
		for range 3 {
			if got, err := r.ReadFile(&f); err != nil || len(got) < len(want)*9/10 {
				t.Errorf("%s: got %d bytes, %v; want %d", c.path, len(got), err, len(want))
			}
		}
		if f.kept == nil {
			t.Errorf("%s does not stay open", c.path)
		}
	}
	f := NewFile("/proc/self/comm")
	before, err := r.ReadFile(&f)
	if err != nil {
		t.Skip(err)
	}
	name := bytes.Clone(before)
	defer func() { _ = os.WriteFile(f.Path, name, 0o600) }()
	if err := os.WriteFile(f.Path, []byte("renamed"), 0o600); err != nil {
		t.Skip(err)
	}
	if got, err := r.ReadFile(&f); err != nil || string(got) != "renamed\n" {
		t.Errorf("got %q, %v; want the new name", got, err)
	}
}

// Once a process has ended, its file is reported as absent.
func TestFileOfAnEndedProcessIsAbsent(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	f := NewFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/stat")
	var r Reader
	if _, err := r.ReadFile(&f); err != nil || f.kept == nil {
		t.Errorf("while the process runs: got error %v, descriptor %v; want an open file", err, f.kept)
	}
	_ = in.Close()
	_ = cmd.Wait()
	if got, err := r.ReadFile(&f); !Absent(err) || f.kept != nil {
		t.Errorf("got %q, %v; want no descriptor, and an error for which Absent is true", got, err)
	}
}

// The number of open descriptors is bounded, and files beyond the bound can still be read.
// Descriptors are closed when they are garbage-collected, even if small objects that were allocated
// at the same time are still in use.
func TestDescriptorsAreBounded(t *testing.T) {
	var others [maxKept]*int
	defer runtime.KeepAlive(&others)
	func() {
		files := make([]File, maxKept+20)
		var r Reader
		for i := range files {
			files[i] = NewFile("/proc/self/stat")
			if _, err := r.ReadFile(&files[i]); err != nil {
				t.Fatal(err)
			}
			if i < len(others) {
				others[i] = new(int)
			}
		}
		if n := keptNow.Load(); n != maxKept {
			t.Errorf("%d descriptors are open, want %d", n, maxKept)
		}
		runtime.KeepAlive(files)
	}()
	deadline := time.Now().Add(30 * time.Second)
	for keptNow.Load() > 0 {
		runtime.GC()
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors are still open", keptNow.Load())
		}
		runtime.Gosched()
	}
}

// A rare file that was not found is not opened for the next rareSkip reads, and then again.
func TestRareFileIsRetried(t *testing.T) {
	f := NewFile(filepath.Join(t.TempDir(), "file"))
	f.Rare = true
	var r Reader
	if _, err := r.ReadFile(&f); !Absent(err) {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range rareSkip {
		if _, err := r.ReadFile(&f); !Absent(err) {
			t.Fatalf("read %d: got error %v, want the file reported as absent", i, err)
		}
	}
	if got, err := r.ReadFile(&f); err != nil || string(got) != "x" {
		t.Errorf("got %q, %v; want %q", got, err, "x")
	}
}

// Reopened counts how often a file was opened again because it could no longer be read.
func TestReopenedFileIsCounted(t *testing.T) {
	f := NewFile(filepath.Join(t.TempDir(), "file"))
	if err := os.WriteFile(f.Path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var r Reader
	for want := range 3 {
		if got, err := r.ReadFile(&f); err != nil || string(got) != "x" || f.Reopened() != want {
			t.Errorf("got %q, %v, reopened %d times; want %d", got, err, f.Reopened(), want)
		}
		f.kept = &descriptor{fd: -1} // makes the next read fail, as if the cgroup were gone
	}
}
