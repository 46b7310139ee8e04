package probe

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const canDropCache = true

func TestMemoryFileSystemIsRejected(t *testing.T) {
	var st unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &st); err != nil || st.Type != unix.TMPFS_MAGIC {
		t.Skip("/dev/shm is not a tmpfs here")
	}
	err := CheckDir("/dev/shm")
	if !errors.Is(err, errMemoryFS) || !strings.Contains(err.Error(), "/dev/shm") ||
		errorType(err, otherError) != "memory_filesystem" {
		t.Errorf("got %v, want an error of type memory_filesystem that names /dev/shm", err)
	}
	if left := probeFiles(t, "/dev/shm"); len(left) != 0 {
		t.Errorf("files left behind: %v", left)
	}
	p := &diskProbe{dir: "/dev/shm"}
	defer p.close()
	// the write and sync phases are not reported either
	wantPhases(t, p.run(t.Context()), "read:memory_filesystem")
}
