package source

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/poolgauge/poolgauge/collector/proc"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// interfaceReader reads /proc/net/dev and keeps it open.
type interfaceReader struct {
	reader kernfile.Reader
	file   kernfile.File
	all    []interfaceStats
}

func newInterfaceReader() *interfaceReader {
	r := &interfaceReader{file: kernfile.NewFile(proc.NewFS(os.Getenv("HOST_PROC")).Path("net", "dev"))}
	r.file.Chunked = true
	return r
}

// read returns the counters of all interfaces. The result is valid until the next call.
func (r *interfaceReader) read(context.Context) ([]interfaceStats, error) {
	data, err := r.reader.ReadFile(&r.file)
	if err != nil {
		if kernfile.Absent(err) {
			err = nil
		}
		return nil, err
	}
	r.all = r.all[:0]
	for line := range bytes.Lines(data) {
		at := bytes.LastIndexByte(line, ':') // the two header lines have no colon
		if at < 0 {
			continue
		}
		one, err := parseInterface(line[at+1:])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.file.Path, err)
		}
		one.name = bytes.TrimSpace(line[:at])
		r.all = append(r.all, one)
	}
	return r.all, nil
}

// parseInterface parses the columns of one interface: 8 for received and 8 for transmitted traffic.
// See proc_pid_net(5).
func parseInterface(columns []byte) (one interfaceStats, err error) {
	to := [...]*int64{
		0: &one.in.bytes, 1: &one.in.packets, 2: &one.in.errors, 3: &one.in.dropped,
		8: &one.out.bytes, 9: &one.out.packets, 10: &one.out.errors, 11: &one.out.dropped,
	}
	n := 0
	for field := range bytes.FieldsSeq(columns) {
		if n < len(to) && to[n] != nil {
			if *to[n], err = kernfile.ParseInt(field); err != nil {
				return one, err
			}
		}
		n++
	}
	if n < len(to) {
		return one, fmt.Errorf("expected at least %d columns, got %d", len(to), n)
	}
	return one, nil
}
