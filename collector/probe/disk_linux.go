package probe

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syncData makes the data of f durable, with the metadata needed to read it.
func syncData(f *os.File) error {
	return unix.Fdatasync(int(f.Fd()))
}

// readUncached drops the block at the start of f from the page cache and reads it. If the block is
// still in memory after being dropped, f is not on a disk but, for example, on tmpfs, and the error
// wraps errMemoryFS.
func readUncached(f *os.File, block []byte) error {
	fd := int(f.Fd())
	if err := unix.Fadvise(fd, 0, blockSize, unix.FADV_DONTNEED); err != nil {
		return err
	}
	if inMemory(fd) {
		return fmt.Errorf("probe directory %s is %w: use a directory on a disk, or turn the disk probe off",
			filepath.Dir(f.Name()), errMemoryFS)
	}
	_, err := io.ReadFull(io.NewSectionReader(f, 0, blockSize), block)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return unix.EIO
	}
	return err
}

// inMemory reports whether the first page of fd is in the page cache. It returns false if that is
// unknown. It uses mincore, since a read with RWF_NOWAIT would make the kernel start to read the
// page.
func inMemory(fd int) bool {
	page, err := unix.Mmap(fd, 0, blockSize, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Munmap(page) }()
	var resident [1]byte
	_, _, errno := unix.Syscall(
		unix.SYS_MINCORE,
		uintptr(unsafe.Pointer(&page[0])),
		blockSize,
		uintptr(unsafe.Pointer(&resident[0])),
	)
	return errno == 0 && resident[0]&1 == 1
}

// lockFile locks f until it is closed, and reports whether it succeeded.
func lockFile(f *os.File) bool {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
