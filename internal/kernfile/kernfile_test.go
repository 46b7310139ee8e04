package kernfile

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestReadGrowsAndReusesItsBuffer(t *testing.T) {
	dir := t.TempDir()
	var r Reader
	for _, size := range []int{0, 1, 4095, 4096, 4097, 100_000, 10} {
		path := filepath.Join(dir, "file")
		want := bytes.Repeat([]byte("x"), size)
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Read(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("size %d: got %d bytes, %v", size, len(got), err)
		}
	}
	path := filepath.Join(dir, "file")
	if n := testing.AllocsPerRun(100, func() { _, _ = r.Read(path) }); n > 1 {
		t.Errorf("%v allocations per read, want at most 1, for the path", n)
	}
}

func TestReadRejectsHugeFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huge")
	if err := os.WriteFile(path, make([]byte, maxSize+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := new(Reader).Read(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names the file", err)
	}
}

func TestAbsent(t *testing.T) {
	_, err := new(Reader).Read(filepath.Join(t.TempDir(), "nothing"))
	if !Absent(err) {
		t.Errorf("%v must count as absent", err)
	}
	for _, errno := range []syscall.Errno{syscall.ENODEV, syscall.ESRCH, syscall.EOPNOTSUPP} {
		if !Absent(&fs.PathError{Err: errno}) {
			t.Errorf("%v must count as absent", errno)
		}
	}
	for _, err := range []error{nil, syscall.EACCES, syscall.EISDIR, errors.New("other")} {
		if Absent(err) {
			t.Errorf("%v must not count as absent", err)
		}
	}
}

func TestParseInt(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "42": 42, "9223372036854775808": math.MaxInt64, "18446744073709551615": math.MaxInt64} {
		if got, err := ParseInt([]byte(in)); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "-1", "1.5", "0x1", " 1", "max", "18446744073709551616", strings.Repeat("9", 1000)} {
		if got, err := ParseInt([]byte(in)); err == nil || len(err.Error()) > 80 {
			t.Errorf("%q: got %d, %v; want a short error", in, got, err)
		}
	}
}

func TestParsePressure(t *testing.T) {
	p, err := parsePressure(
		[]byte("some avg10=0.1 avg60=0.0 avg300=0.0 total=1500000\nfull avg10=0.0 avg60=0.0 avg300=0.0 total=0\n"),
	)
	if want := (Pressure{Some: Some(1500 * time.Millisecond), Full: Some(time.Duration(0))}); err != nil || p != want {
		t.Errorf("got %+v, %v; want %+v", p, err, want)
	}
	p, err = parsePressure([]byte("some avg10=0.1 total=7\n"))
	if want := (Pressure{Some: Some(7 * time.Microsecond)}); err != nil || p != want {
		t.Errorf("an old kernel: got %+v, %v; want %+v", p, err, want)
	}
}

func FuzzParsePressure(f *testing.F) {
	f.Add([]byte("some avg10=0.1 avg60=0.0 avg300=0.0 total=1500000\nfull total=18446744073709551615\n"))
	f.Add([]byte("some\nfull total=\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parsePressure(data)
		if p.Some.Value < 0 || p.Full.Value < 0 {
			t.Errorf("negative: %+v", p)
		}
		if len(data) > 0 && err == nil && !p.Some.Defined && !p.Full.Defined {
			t.Error("neither a value nor an error")
		}
	})
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("a 1\nb 2\n"))
	f.Add([]byte("a\t1\nb x\na"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a, b Optional[int64]
		Table(data, func(err error) {
			if !strings.HasPrefix(err.Error(), "a: ") && !strings.HasPrefix(err.Error(), "b: ") {
				t.Errorf("error %q names no key", err)
			}
		}, Key{"a", &a}, Key{"b", &b})
		if a.Value < 0 || b.Value < 0 {
			t.Errorf("negative: %v %v", a, b)
		}
	})
}

func TestReadErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	var r Reader
	if got, err := r.Read(dir); err == nil || Absent(err) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory: got %q, %v; want an error that names it", got, err)
	}
	path := filepath.Join(dir, "junk")
	if err := os.WriteFile(path, []byte("junk\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := NewFile(path)
	if v, err := r.Number(&f); err == nil || v.Defined || !strings.Contains(err.Error(), path) {
		t.Errorf("number: got %v, %v; want an error that names the file", v, err)
	}
	if p, err := r.Pressure(&f); err == nil || p != (Pressure{}) || !strings.Contains(err.Error(), path) {
		t.Errorf("pressure: got %v, %v; want an error that names the file", p, err)
	}
}

func TestNumber(t *testing.T) {
	var r Reader
	for content, want := range map[string]Optional[int64]{"42\n": Some[int64](42), "max\n": {}} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		f := NewFile(path)
		if got, err := r.Number(&f); err != nil || got != want {
			t.Errorf("%q: got %v, %v; want %v", content, got, err, want)
		}
	}
}
