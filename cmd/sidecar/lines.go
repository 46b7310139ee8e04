package main

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"
)

const (
	linesKept    = 256                    // that wait to be written
	longestClose = 200 * time.Millisecond // for what waits to be written, at the end
)

// lines is a writer of the log that never blocks: a goroutine writes, and what it cannot write in
// time is dropped and counted. So a reader of standard error that hangs stops nothing but the log.
type lines struct {
	next    chan []byte
	stop    chan struct{}
	ended   chan struct{}
	dropped atomic.Int64
}

// newLines writes to w until close. After lines were dropped it has tell say so, to w.
func newLines(w io.Writer, tell func(dropped int64)) *lines {
	l := &lines{next: make(chan []byte, linesKept), stop: make(chan struct{}), ended: make(chan struct{})}
	go l.run(w, tell)
	return l
}

// Write implements io.Writer. It keeps a copy, and never fails.
func (l *lines) Write(line []byte) (int, error) {
	select {
	case l.next <- bytes.Clone(line):
	default:
		l.dropped.Add(1)
	}
	return len(line), nil
}

func (l *lines) run(w io.Writer, tell func(dropped int64)) {
	defer close(l.ended)
	told := int64(0)
	for {
		select {
		case line := <-l.next:
			_, _ = w.Write(line) // there is nowhere to say that it failed
		case <-l.stop:
			select {
			case line := <-l.next:
				_, _ = w.Write(line)
				continue
			default:
				return
			}
		}
		if n := l.dropped.Load(); n > told {
			tell(n - told)
			told = n
		}
	}
}

// close writes what waits, for a moment at most. Nothing is written to l any more.
func (l *lines) close() {
	close(l.stop)
	select {
	case <-l.ended:
	case <-time.After(longestClose):
	}
}
