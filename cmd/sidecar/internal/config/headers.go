package config

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"time"
)

// headersOf returns a function that returns the headers of a request: the given ones, and those in
// file, which is reread if the last successful read is more than a second old.
func headersOf(given map[string]string, file string) func() (map[string]string, error) {
	if file == "" {
		return func() (map[string]string, error) { return given, nil }
	}
	return (&headerFile{given: given, path: file}).headers
}

// rereadAfter is how long the contents of a headers file are used before the file is read again.
const rereadAfter = time.Second

// headerFile adds the headers in a file to the given ones. It is safe for concurrent use.
type headerFile struct {
	given map[string]string
	path  string

	mu   sync.Mutex // guards everything below
	read time.Time
	all  map[string]string
}

// headers returns all headers. While the file is unreadable or malformed, it uses the headers that
// were last read from the file.
func (h *headerFile) headers() (map[string]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.read) < rereadAfter {
		return h.all, nil
	}
	more, err := readHeaders(h.path)
	if err != nil {
		if h.all == nil {
			return nil, err
		}
		return h.all, nil
	}
	h.all, h.read = maps.Clone(h.given), time.Now()
	if h.all == nil {
		h.all = map[string]string{}
	}
	maps.Copy(h.all, more)
	return h.all, nil
}

// readHeaders reads a file of key=value lines. Its errors never contain a value, which may be a
// secret.
func readHeaders(path string) (map[string]string, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, fmt.Errorf("cannot read the headers file: %w", err)
	}
	headers := map[string]string{}
	n := 0
	for line := range bytes.Lines(content) {
		n++
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		name, value, found := strings.Cut(text, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !found || !isHeader(name, value) {
			return nil, fmt.Errorf("%s:%d: expected key=value", path, n)
		}
		headers[name] = value
	}
	if len(headers) == 0 {
		return nil, fmt.Errorf("%s: expected lines of key=value, found none", path)
	}
	return headers, nil
}
