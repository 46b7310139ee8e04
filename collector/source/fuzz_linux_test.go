package source

import "testing"

func FuzzParseInterface(f *testing.F) {
	f.Add([]byte(" 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"))
	f.Add([]byte("1 2 3"))
	f.Add([]byte("99999999999999999999 -1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		one, err := parseInterface(data)
		for _, n := range []int64{
			one.in.bytes, one.in.packets, one.in.errors, one.in.dropped,
			one.out.bytes, one.out.packets, one.out.errors, one.out.dropped,
		} {
			if n < 0 {
				t.Errorf("%+v, %v", one, err)
			}
		}
	})
}
