package cgroup

import (
	"bytes"
	"fmt"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// table, number and text read the file f. If f.Path is empty, the cgroup has no such file, and they
// return no value.

func table(r *kernfile.Reader, fail func(error), f *kernfile.File, keys ...kernfile.Key) {
	if f.Path == "" {
		return
	}
	data, err := r.ReadFile(f)
	if err != nil {
		report(fail, err)
		return
	}
	kernfile.Table(data, func(err error) { fail(fmt.Errorf("%s: %w", f.Path, err)) }, keys...)
}

func number(r *kernfile.Reader, fail func(error), f *kernfile.File) kernfile.Optional[int64] {
	if f.Path == "" {
		return kernfile.Optional[int64]{}
	}
	v, err := r.Number(f)
	report(fail, err)
	return v
}

func text(r *kernfile.Reader, fail func(error), f *kernfile.File) (string, bool) {
	if f.Path == "" {
		return "", false
	}
	data, err := r.ReadFile(f)
	report(fail, err)
	return string(bytes.TrimSpace(data)), err == nil
}

// report passes err to fail, unless err means that there is nothing to read.
func report(fail func(error), err error) {
	if err != nil && !kernfile.Absent(err) {
		fail(err)
	}
}
