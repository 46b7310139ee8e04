package cgroup

import (
	"bytes"
	"cmp"
	"fmt"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// Processes holds the number of tasks (processes and their threads) in a cgroup, and the limit on
// that number.
type Processes struct {
	Count, Limit kernfile.Optional[int64]
}

// Processes reads the values of the pids controller.
func (g *Group) Processes(r *kernfile.Reader, fail func(error)) Processes {
	return Processes{Count: number(r, fail, &g.file.pids), Limit: number(r, fail, &g.file.pidsMax)}
}

// DiskIO holds the numbers of bytes that a cgroup has read from and written to one block device.
type DiskIO struct {
	Device      string // "major:minor"
	Read, Write int64
}

// IO appends a DiskIO for each block device to dst and returns the extended slice. It passes errors
// to fail. Stacked devices, such as dm on a disk, are counted separately.
func (g *Group) IO(r *kernfile.Reader, dst []DiskIO, fail func(error)) []DiskIO {
	f := &g.file.io
	if f.Path == "" || g.host {
		return dst
	}
	data, err := r.ReadFile(f)
	if err != nil {
		report(fail, err)
		return dst
	}
	dst, err = parseIO(data, dst)
	if err != nil {
		fail(fmt.Errorf("%s: %w", f.Path, err))
	}
	return dst
}

// parseIO parses v2's io.stat ("8:0 rbytes=1 wbytes=2 …") and v1's blkio.throttle.io_service_bytes
// ("8:0 Read 1"). In v2, the line of a device without reads and writes may be just "8:0". See
// https://docs.kernel.org/admin-guide/cgroup-v2.html.
func parseIO(data []byte, dst []DiskIO) ([]DiskIO, error) {
	var first error
	begin := len(dst)
	for line := range bytes.Lines(data) {
		device, rest, ok := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if !ok || bytes.IndexByte(device, ':') < 0 {
			continue // v1 ends with "Total 12"
		}
		if len(dst) == begin || dst[len(dst)-1].Device != string(device) {
			dst = append(dst, DiskIO{Device: string(device)})
		}
		if err := dst[len(dst)-1].parse(rest); err != nil {
			dst = dst[:len(dst)-1]
			first = cmp.Or(first, fmt.Errorf("device %s: %w", clip(device), err))
		}
	}
	return dst, first
}

// parse parses values, the part of a line after the device.
func (d *DiskIO) parse(values []byte) error {
	legacy := bytes.IndexByte(values, '=') < 0
	if legacy {
		kind, value, _ := bytes.Cut(values, []byte(" "))
		return d.set(string(kind), value)
	}
	for value := range bytes.FieldsSeq(values) {
		name, number, _ := bytes.Cut(value, []byte("="))
		if err := d.set(string(name), number); err != nil {
			return err
		}
	}
	return nil
}

func (d *DiskIO) set(name string, value []byte) error {
	var to *int64
	switch name {
	case "rbytes", "Read":
		to = &d.Read
	case "wbytes", "Write":
		to = &d.Write
	default:
		return nil
	}
	v, err := kernfile.ParseInt(bytes.TrimSpace(value))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	*to = v
	return nil
}

// clip shortens b for use in an error message.
func clip(b []byte) []byte { return b[:min(len(b), 40)] }
