package monitor

import "testing"

func TestParseStatus(t *testing.T) {
	for in, want := range map[string]reading{
		"Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n": {1 << 20, 2 << 20},
		"VmRSS:\t1024 kB\n":                   {},
		"VmHWM:\t-1 kB\nVmRSS:\t1 kB\n":       {},
		"VmHWM:\t1\nVmRSS:\t1 kB\n":           {},
		"VmHWM:\t1 kB\nVmRSS:\tmany kB\n":     {},
		"":                                    {},
		"VmHWM: 99999999999999999999999 kB\n": {},
	} {
		got, ok := parseStatus([]byte(in))
		if ok != (want != reading{}) || ok && got != want {
			t.Errorf("parseStatus(%q) = %+v, %v, want %+v", in, got, ok, want)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte("VmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, ok := parseStatus(b); ok && (m.resident < 0 || m.peak < 0) {
			t.Errorf("parseStatus(%q) = %+v, want no negative value", b, m)
		}
	})
}
