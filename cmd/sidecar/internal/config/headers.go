package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"time"
)

// tokens are headers of which some come from a file. It is safe for concurrent use.
type tokens struct {
	given map[string]string
	file  string

	mu   sync.Mutex // guards what follows
	read time.Time
	all  map[string]string
}

// headers returns all headers. While the file cannot be read, or is half written, the last good
// ones hold; there were some at the start.
func (t *tokens) headers() (map[string]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.read) < rereadAfter {
		return t.all, nil
	}
	more, err := readHeaders(t.file)
	if err != nil {
		if t.all == nil {
			return nil, err
		}
		return t.all, nil
	}
	t.all, t.read = maps.Clone(t.given), time.Now()
	if t.all == nil {
		t.all = map[string]string{}
	}
	maps.Copy(t.all, more)
	return t.all, nil
}

// readHeaders reads a file of lines key=value. Errors do not show values.
func readHeaders(path string) (map[string]string, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, fmt.Errorf("expected a file of headers: %w", err)
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
			return nil, fmt.Errorf("expected lines key=value; line %d is not one", n)
		}
		headers[name] = value
	}
	if len(headers) == 0 {
		return nil, errors.New("expected lines key=value, found none")
	}
	return headers, nil
}

func headersFile(path string) error {
	_, err := readHeaders(path)
	return err
}
