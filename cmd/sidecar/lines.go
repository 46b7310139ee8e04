package main

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"
)

const (
	lineBuffer   = 256 // lines
	closeTimeout = 200 * time.Millisecond
)

// lines is a log writer that never blocks. Its goroutine writes the lines; lines that do not fit in
// its buffer are dropped and counted. If nothing reads standard error, only the log stops.
type lines struct {
	next    chan []byte
	stop    chan struct{}
	ended   chan struct{}
	dropped atomic.Int64
}

// newLines returns a lines that writes to w. When it can write again after dropping lines, it calls
// report, which may write to w. The caller must call close.
func newLines(w io.Writer, report func(dropped int64)) *lines {
	l := &lines{next: make(chan []byte, lineBuffer), stop: make(chan struct{}), ended: make(chan struct{})}
	go l.run(w, report)
	return l
}

// Write implements io.Writer. It never fails.
func (l *lines) Write(line []byte) (int, error) {
	select {
	case l.next <- bytes.Clone(line):
	default:
		l.dropped.Add(1)
	}
	return len(line), nil
}

func (l *lines) run(w io.Writer, report func(dropped int64)) {
	defer close(l.ended)
	reported := int64(0)
	for {
		select {
		case line := <-l.next:
			_, _ = w.Write(line) // there is nowhere to report a failure
		case <-l.stop:
			select {
			case line := <-l.next:
				_, _ = w.Write(line)
				continue
			default:
				return
			}
		}
		if n := l.dropped.Load(); n > reported {
			report(n - reported)
			reported = n
		}
	}
}

// close writes the buffered lines, but takes at most closeTimeout. The caller must not call Write
// afterwards.
func (l *lines) close() {
	close(l.stop)
	select {
	case <-l.ended:
	case <-time.After(closeTimeout):
	}
}
