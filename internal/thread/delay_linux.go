package thread

import (
	"bytes"
	"strconv"
	"syscall"
	"time"
)

// Delay measures how long the thread that opened it has waited for a CPU. A nil Delay is valid; its
// Total returns false.
type Delay struct{ fd int }

// OpenDelay opens the schedstat file of the calling thread.
func OpenDelay() (*Delay, error) {
	fd, err := openSchedstat()
	if err != nil {
		return nil, err
	}
	return &Delay{fd}, nil
}

func openSchedstat() (fd int, err error) {
	return syscall.Open("/proc/thread-self/schedstat", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
}

// Close closes the schedstat file. Total must not be called afterwards.
func (d *Delay) Close() {
	if d != nil {
		_ = syscall.Close(d.fd) // opened for reading only
	}
}

// Total returns how long the thread has been ready to run but had no CPU since it started. ok is
// false if the kernel does not record run-queue delay.
func (d *Delay) Total() (delay time.Duration, ok bool) {
	if d == nil {
		return 0, false
	}
	return readSchedstat(d.fd)
}

func readSchedstat(fd int) (time.Duration, bool) {
	var buf [64]byte
	n, err := syscall.Pread(fd, buf[:], 0)
	if err != nil {
		return 0, false
	}
	return parseSchedstat(buf[:n])
}

// parseSchedstat returns the run-queue delay from a schedstat file: "<on CPU, ns> <run delay, ns>
// <time slices>". Kernels that do not record the delay report zeros. A running thread has had at
// least one time slice, although its time on a CPU may still be 0, so a count of 0 time slices
// means that the delay is not recorded.
func parseSchedstat(b []byte) (time.Duration, bool) {
	f := bytes.Fields(b)
	if len(f) != 3 {
		return 0, false
	}
	slices, err := strconv.ParseInt(string(f[2]), 10, 64)
	if err != nil || slices <= 0 {
		return 0, false
	}
	delay, err := strconv.ParseInt(string(f[1]), 10, 64)
	if err != nil || delay < 0 {
		return 0, false
	}
	return time.Duration(delay), true
}
