package main

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipe is a writer that blocks until read is closed.
type pipe struct {
	read chan struct{}

	mu   sync.Mutex // guards text
	text strings.Builder
}

func (p *pipe) Write(b []byte) (int, error) {
	<-p.read
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// While nothing reads the log, neither a line nor close blocks. Dropped lines are counted, and
// reported when the log is read again.
func TestAnUnreadLogBlocksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipe{read: make(chan struct{})}
		reported := int64(0)
		l := newLines(p, func(dropped int64) { reported += dropped })
		for range lineBuffer + 100 {
			if n, err := l.Write([]byte("line\n")); n != 5 || err != nil {
				t.Fatal(n, err)
			}
			synctest.Wait()
		}
		if got := l.dropped.Load(); got != 99 { // one is being written
			t.Errorf("%d lines dropped, want 99", got)
		}
		close(p.read)
		synctest.Wait()
		if p.text.Len() != 5*(lineBuffer+1) || reported != 99 {
			t.Errorf("%d bytes written, %d lines reported as dropped", p.text.Len(), reported)
		}
		l.close()

		p = &pipe{read: make(chan struct{})}
		l = newLines(p, func(int64) {})
		_, _ = l.Write([]byte("never read\n"))
		begun := time.Now()
		l.close()
		if took := time.Since(begun); took != closeTimeout {
			t.Errorf("close took %v, want %v", took, closeTimeout)
		}
		close(p.read)
	})
}

// Close writes what is buffered, and the caller may reuse a line that it wrote.
func TestCloseWritesWhatIsBuffered(t *testing.T) {
	p := &pipe{read: make(chan struct{})}
	l := newLines(p, func(int64) {})
	line := []byte("one\n")
	_, _ = l.Write(line)
	copy(line, "two\n")
	_, _ = l.Write(line)
	close(p.read)
	l.close()
	if got := p.text.String(); got != "one\ntwo\n" {
		t.Errorf("%q", got)
	}
}
