package compress

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

// sample returns n bytes of data that compress about as well as most data.
func sample(n int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.IntN(20))
	}
	return b
}

func mustPack(t testing.TB, encoding string, data []byte) []byte {
	t.Helper()
	packed, err := Pack(encoding, data)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// Data survives compression and decompression, including several members or frames, and
// concurrently.
func TestRoundTrip(t *testing.T) {
	for _, encoding := range []string{Gzip, Zstd} {
		var all sync.WaitGroup
		for _, n := range []int{0, 1, 4096, 100_000, 300_000} {
			all.Go(func() {
				data := sample(n)
				packed := mustPack(t, encoding, data)
				for _, c := range []struct{ packed, want []byte }{
					{packed, data}, {append(bytes.Clone(packed), packed...), append(bytes.Clone(data), data...)},
				} {
					got, err := Unpack(encoding, c.packed, len(c.want))
					if err != nil || !bytes.Equal(got, c.want) {
						t.Errorf("%s of %d bytes: %d bytes, %v", encoding, n, len(got), err)
					}
				}
				if n == 0 {
					return
				}
				if _, err := Unpack(encoding, packed, n-1); !errors.Is(err, ErrTooLarge) {
					t.Errorf("%s of %d bytes, one less allowed: %v", encoding, n, err)
				}
				if _, err := Unpack(encoding, packed[:len(packed)/2], n); err == nil || errors.Is(err, ErrTooLarge) {
					t.Errorf("half of %s of %d bytes: %v", encoding, n, err)
				}
			})
		}
		all.Wait()
	}
}

func TestUnknownEncoding(t *testing.T) {
	if _, err := Pack("lz4", nil); err == nil {
		t.Error("packed")
	}
	if _, err := Unpack("lz4", nil, 1); err == nil {
		t.Error("unpacked")
	}
}

// Small data that decompresses to large data takes no more memory than allowed.
func TestBombs(t *testing.T) {
	const most = 1 << 20
	for _, encoding := range []string{Gzip, Zstd} {
		bomb := mustPack(t, encoding, make([]byte, 16<<20))
		liar := bytes.Clone(bomb)
		copy(liar[len(liar)-4:], "\xff\xff\xff\x7f") // the size, for gzip
		for _, packed := range [][]byte{bomb, liar} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Unpack(encoding, packed, most)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s: %v", encoding, err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 16*most {
				t.Errorf("%s: %d bytes were allocated", encoding, used)
			}
		}
	}
}

func TestMarks(t *testing.T) {
	for encoding, mark := range marks {
		message := append(bytes.Clone(mark), "packed"...)
		if got, packed := Packed(message); got != encoding || string(packed) != "packed" {
			t.Errorf("%s: %s, %q", encoding, got, packed)
		}
	}
	if got, packed := Packed([]byte{0x0a, 0}); got != None || len(packed) != 2 {
		t.Errorf("a message that is not packed: %s, %q", got, packed)
	}
}

// No data makes Unpack panic or exceed the limit.
func FuzzUnpack(f *testing.F) {
	for _, encoding := range []string{Gzip, Zstd} {
		f.Add(encoding, mustPack(f, encoding, sample(300)), 300)
	}
	f.Fuzz(func(t *testing.T, encoding string, packed []byte, most int) {
		most = min(max(most, 0), 1<<16)
		if data, err := Unpack(encoding, packed, most); err == nil && len(data) > most {
			t.Errorf("%d bytes, at most %d", len(data), most)
		}
		Size(encoding, packed)
	})
}
