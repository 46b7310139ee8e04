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

// lineWriter is an io.Writer for log lines that never blocks, so that nothing but the log stalls if
// nothing reads standard error. A goroutine writes the lines. Lines that do not fit in the buffer
// are dropped and counted.
type lineWriter struct {
	buffered chan []byte
	stop     chan struct{}
	done     chan struct{}
	dropped  atomic.Int64
}

// newLineWriter returns a lineWriter that writes to w. Once it can write again after dropping
// lines, it calls report, which may write to w. The caller must call close.
func newLineWriter(w io.Writer, report func(dropped int64)) *lineWriter {
	l := &lineWriter{
		buffered: make(chan []byte, lineBuffer), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go l.run(w, report)
	return l
}

// Write implements io.Writer. It never fails.
func (l *lineWriter) Write(line []byte) (int, error) {
	select {
	case l.buffered <- bytes.Clone(line):
	default:
		l.dropped.Add(1)
	}
	return len(line), nil
}

func (l *lineWriter) run(w io.Writer, report func(dropped int64)) {
	defer close(l.done)
	reported := int64(0)
	for {
		select {
		case line := <-l.buffered:
			_, _ = w.Write(line) // there is nowhere to report a failure
		case <-l.stop:
			select {
			case line := <-l.buffered:
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

// close waits until the buffered lines are written, but at most closeTimeout. The caller must not
// call Write afterwards.
func (l *lineWriter) close() {
	close(l.stop)
	select {
	case <-l.done:
	case <-time.After(closeTimeout):
	}
}
