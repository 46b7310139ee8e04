package probe

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const canDropCache = true

func TestMemoryIsNoDisk(t *testing.T) {
	var st unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &st); err != nil || st.Type != unix.TMPFS_MAGIC {
		t.Skip("/dev/shm is no tmpfs here")
	}
	err := CheckDir("/dev/shm")
	if !errors.Is(err, errMemory) || !strings.Contains(err.Error(), "/dev/shm") || errorType(err, otherError) != "memory_filesystem" {
		t.Errorf("got %v", err)
	}
	if left := probeFiles(t, "/dev/shm"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}

	// What an overlay on tmpfs looks like: the kind of file system does not tell, the block does.
	f, err := os.CreateTemp("/dev/shm", "poolgauge-test-")
	if err != nil {
		t.Skip(err)
	}
	defer func() { _ = f.Close(); _ = os.Remove(f.Name()) }()
	block := make([]byte, blockSize)
	if _, err := f.WriteAt(block, 0); err != nil {
		t.Fatal(err)
	}
	if err := readUncached(f, block); !errors.Is(err, errMemory) {
		t.Errorf("reading from memory passed for reading from a disk: %v", err)
	}
}
