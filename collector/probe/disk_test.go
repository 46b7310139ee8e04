package probe

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// diskDir returns a temporary directory, and skips the test if it is not on a disk.
func diskDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := CheckDir(dir); errors.Is(err, errMemoryFS) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	return dir
}

func probeFiles(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, filePrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestDiskProbeWritesSyncsAndReads(t *testing.T) {
	p := &diskProbe{dir: diskDir(t)}
	for range 3 {
		r := p.run(t.Context())
		want := []string{"write", "sync", "read"}
		if !canDropCache {
			want = want[:2]
		}
		if got := phases(r); r.err != nil || !slices.Equal(got, want) {
			t.Fatalf("got %v, %v, want %v", got, r.err, want)
		}
		for _, pt := range r.points {
			if pt.metric != catalog.ProbeDuration || pt.value <= 0 {
				t.Errorf("phase %s took %v s", pt.phase, pt.value)
			}
		}
	}
	files := probeFiles(t, p.dir)
	if len(files) != 1 {
		t.Fatalf("got the files %v, want one", files)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() != 0 || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf(
			"between runs, the file has %d bytes and mode %v; want 0 bytes and no access for group and others",
			info.Size(),
			info.Mode(),
		)
	}
	p.close()
	p.close()
	if files := probeFiles(t, p.dir); len(files) != 0 {
		t.Errorf("files left behind: %v", files)
	}
}

func TestDiskProbeRemovesLeftovers(t *testing.T) {
	dir := diskDir(t)
	leftover := filepath.Join(dir, filePrefix+"123")
	unrelated := filepath.Join(dir, "data")
	for _, name := range []string{leftover, unrelated} {
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	running := &diskProbe{dir: dir} // as if in another process
	running.run(t.Context())
	defer running.close()
	if _, err := os.Stat(leftover); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the leftover still exists: %v", err)
	}
	p := &diskProbe{dir: dir}
	p.run(t.Context())
	defer p.close()
	if got := probeFiles(t, dir); len(got) != 2 {
		t.Errorf("got %v, want the files of two running probes", got)
	}
	if _, err := os.Stat(unrelated); err != nil {
		t.Error(err)
	}
}

func TestDiskProbeFailsUntilItsDirectoryExists(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	p := &diskProbe{dir: dir}
	r := p.run(t.Context())
	if got := phases(r); !slices.Equal(got, []string{"write:ENOENT"}) {
		t.Errorf("got phases %v, want write:ENOENT", got)
	}
	if err := CheckDir(dir); err == nil || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want an error of one line that names %s", err, dir)
	}
	// The probe recovers when the directory appears.
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if r := p.run(t.Context()); r.err != nil && !errors.Is(r.err, errMemoryFS) {
		t.Error(r.err)
	}
	p.close()
}

func TestErrorTypesOfDisks(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.ENOSPC: "ENOSPC", syscall.EROFS: "EROFS", syscall.EIO: "EIO", syscall.EACCES: "EACCES",
	} {
		if got := errorType(&fs.PathError{Op: "write", Path: "/x", Err: errno}, otherError); got != want {
			t.Errorf("%v: got error type %q, want %q", errno, got, want)
		}
	}
	if got := errorType(errors.New("?"), otherError); got != otherError {
		t.Errorf("unknown error: got error type %q, want %q", got, otherError)
	}
}
