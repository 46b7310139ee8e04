package thread

import (
	"bytes"
	"strconv"
	"syscall"
	"time"
)

// Delay measures how long the thread that opened it has waited for a CPU. The total of a nil Delay
// is unknown.
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

// Close closes the file. Total must not be called afterwards.
func (d *Delay) Close() {
	if d != nil {
		_ = syscall.Close(d.fd) // read only
	}
}

// Total returns how long the thread has been ready to run without having a CPU, since it started.
// It returns false if the kernel does not account for that.
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

// parseSchedstat returns the run delay of a schedstat file: "<on CPU, ns> <run delay, ns> <time
// slices>". Kernels without this accounting show zeros. A running thread has had at least one time
// slice, though its time on the CPU may still be 0.
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
