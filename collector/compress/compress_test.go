package compress

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

// sample returns n bytes of data that is moderately compressible.
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

// Data is unchanged after compression and decompression. This includes data in several members or
// frames, and concurrent calls.
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
						t.Errorf("%s, %d bytes: got %d bytes, %v, want the original", encoding, n, len(got), err)
					}
				}
				if n == 0 {
					return
				}
				if _, err := Unpack(encoding, packed, n-1); !errors.Is(err, ErrTooLarge) {
					t.Errorf("%s, %d bytes, limit one byte too low: got %v, want ErrTooLarge", encoding, n, err)
				}
				if _, err := Unpack(encoding, packed[:len(packed)/2], n); err == nil || errors.Is(err, ErrTooLarge) {
					t.Errorf("%s, %d bytes, truncated: got %v, want an error other than ErrTooLarge", encoding, n, err)
				}
			})
		}
		all.Wait()
	}
}

func TestUnknownEncoding(t *testing.T) {
	if _, err := Pack("lz4", nil); err == nil {
		t.Error("Pack accepted lz4")
	}
	if _, err := Unpack("lz4", nil, 1); err == nil {
		t.Error("Unpack accepted lz4")
	}
}

// Unpack bounds the memory that it uses for small data that decompresses to a lot of data, even if
// the declared size is wrong.
func TestBombs(t *testing.T) {
	const limit = 1 << 20
	for _, encoding := range []string{Gzip, Zstd} {
		bomb := mustPack(t, encoding, make([]byte, 16<<20))
		liar := bytes.Clone(bomb)
		copy(liar[len(liar)-4:], "\xff\xff\xff\x7f") // in gzip, the size of the content
		for _, packed := range [][]byte{bomb, liar} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Unpack(encoding, packed, limit)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s: got %v, want ErrTooLarge", encoding, err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 16*limit {
				t.Errorf("%s: %d bytes were allocated, want at most %d", encoding, used, 16*limit)
			}
		}
	}
}

func TestSizeIsNeverNegative(t *testing.T) {
	for name, tail := range map[string]string{"largest": "\xff\xff\xff\xff", "above an int32": "\x00\x00\x00\x80"} {
		packed := append(make([]byte, 64<<20), tail...)
		if n := Size(Gzip, packed); n < 0 || n > math.MaxInt32 {
			t.Errorf("%s: size %d", name, n)
		}
		if _, err := Unpack(Gzip, append(mustPack(t, Gzip, []byte("x")), tail...), 1<<20); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestMarks(t *testing.T) {
	for encoding, mark := range marks {
		message := append(bytes.Clone(mark), "packed"...)
		if got, packed := Packed(message); got != encoding || string(packed) != "packed" {
			t.Errorf("%s: got %s and %q", encoding, got, packed)
		}
	}
	if got, packed := Packed([]byte{0x0a, 0}); got != None || len(packed) != 2 {
		t.Errorf("uncompressed message: got %s and %q, want none and the message", got, packed)
	}
}

// Unpack neither panics nor exceeds the limit, whatever the data.
func FuzzUnpack(f *testing.F) {
	for _, encoding := range []string{Gzip, Zstd} {
		f.Add(encoding, mustPack(f, encoding, sample(300)), 300)
	}
	f.Fuzz(func(t *testing.T, encoding string, packed []byte, limit int) {
		limit = min(max(limit, 0), 1<<16)
		if data, err := Unpack(encoding, packed, limit); err == nil && len(data) > limit {
			t.Errorf("got %d bytes, want at most %d", len(data), limit)
		}
		Size(encoding, packed)
	})
}
