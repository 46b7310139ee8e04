package main

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipe is a writer whose writes block until unblock is closed.
type pipe struct {
	unblock chan struct{}

	mu   sync.Mutex // guards text
	text strings.Builder
}

func (p *pipe) Write(b []byte) (int, error) {
	<-p.unblock
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// While nothing reads the log, Write does not block, and close blocks only for closeTimeout.
// Dropped lines are counted, and reported when the log is read again.
func TestUnreadLogDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipe{unblock: make(chan struct{})}
		reported := int64(0)
		l := newLineWriter(p, func(dropped int64) { reported += dropped })
		for range lineBuffer + 100 {
			if n, err := l.Write([]byte("line\n")); n != 5 || err != nil {
				t.Fatalf("Write returned %d, %v, want 5, nil", n, err)
			}
			synctest.Wait()
		}
		if got := l.dropped.Load(); got != 99 { // one more than the buffer holds is being written
			t.Errorf("%d lines dropped, want 99", got)
		}
		close(p.unblock)
		synctest.Wait()
		if want := 5 * (lineBuffer + 1); p.text.Len() != want || reported != 99 {
			t.Errorf("%d bytes written, %d lines reported as dropped, want %d and 99", p.text.Len(), reported, want)
		}
		l.close()

		p = &pipe{unblock: make(chan struct{})}
		l = newLineWriter(p, func(int64) {})
		_, _ = l.Write([]byte("never read\n"))
		start := time.Now()
		l.close()
		if took := time.Since(start); took != closeTimeout {
			t.Errorf("close took %v, want %v", took, closeTimeout)
		}
		close(p.unblock)
	})
}

// Buffered lines are written before close returns, and Write does not retain the caller's slice.
func TestCloseWritesBufferedLines(t *testing.T) {
	p := &pipe{unblock: make(chan struct{})}
	l := newLineWriter(p, func(int64) {})
	line := []byte("one\n")
	_, _ = l.Write(line)
	copy(line, "two\n")
	_, _ = l.Write(line)
	close(p.unblock)
	l.close()
	if got, want := p.text.String(), "one\ntwo\n"; got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
}
