package proc

import (
	"strings"
	"testing"
)

func FuzzParseStat(f *testing.F) {
	f.Add([]byte(strings.Replace(statLine, "%s", "app", 1)))
	f.Add([]byte("1 (a) b) R 9999999999999999999999"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseStat(data)
		if err != nil && s != (Stat{}) {
			t.Errorf("got an error and %+v, want the zero Stat", s)
		}
		if s.User < 0 || s.System < 0 || s.Resident < 0 || s.Virtual < 0 || s.StartTime < 0 {
			t.Errorf("negative value: %+v", s)
		}
	})
}

func FuzzParseSchedstat(f *testing.F) {
	f.Add([]byte("1 2 3\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, err := parseSchedstat(data); v.Defined && err != nil || v.Value < 0 {
			t.Errorf("got %v, %v", v, err)
		}
	})
}

func FuzzParseSwitches(f *testing.F) {
	f.Add([]byte("voluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, nv, _ := parseSwitches(data)
		if v.Value < 0 || nv.Value < 0 {
			t.Errorf("negative count: %v, %v", v, nv)
		}
	})
}
