// Package logtest provides a log buffer for tests.
package logtest

import (
	"bytes"
	"sync"
)

// Buffer keeps what is written to it. It is safe for concurrent use. The zero Buffer is empty and
// ready to use.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns everything written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
