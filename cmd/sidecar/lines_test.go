package main

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipe is a writer that blocks until it is read.
type pipe struct {
	read chan struct{} // closed when it is

	mu   sync.Mutex // guards what follows
	text strings.Builder
}

func (p *pipe) Write(b []byte) (int, error) {
	<-p.read
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// A log that is not read blocks nothing, neither a line nor the end; what was dropped is counted,
// and said as soon as it is read again.
func TestLinesNeverBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipe{read: make(chan struct{})}
		told := int64(0)
		l := newLines(p, func(dropped int64) { told += dropped })
		for range linesKept + 100 {
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
		if p.text.Len() != 5*(linesKept+1) || told != 99 {
			t.Errorf("%d bytes written, %d told", p.text.Len(), told)
		}
		l.close()

		p = &pipe{read: make(chan struct{})}
		l = newLines(p, func(int64) {})
		_, _ = l.Write([]byte("never read\n"))
		begun := time.Now()
		l.close()
		if took := time.Since(begun); took != longestClose {
			t.Errorf("the end took %v, want %v", took, longestClose)
		}
		close(p.read)
	})
}

// What is written before the end is there, and a line may be changed after it was written.
func TestLinesAreWritten(t *testing.T) {
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
