package thread

import (
	"bytes"
	"strconv"
	"syscall"
	"time"
)

// Delay is how long the thread that opened it has waited for a CPU. The nil Delay knows nothing.
type Delay struct{ fd int }

// OpenDelay opens the schedstat file of the calling thread. It takes about 3 µs; reading takes 1
// µs.
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
		_ = syscall.Close(d.fd) // it was read only
	}
}

// Total returns how long the thread has been ready to run without a CPU, since it exists; not ok if
// the kernel does not keep that.
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
// slices>". Kernels that do not keep these figures show zeros, which is not a delay of 0: a thread
// that runs is in its first time slice at least. Its time on the CPU may still be 0 then.
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
