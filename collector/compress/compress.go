// Package compress compresses and decompresses OTLP messages with gzip and zstd, for both
// transports.
//
// gRPC would decompress a message as soon as it arrives, however large it is and however many arrive
// at once. Importing this package makes gRPC pass messages on as they arrived: [Packed] returns
// their compression, and the codec calls [Unpack] when there is memory for the result.
package compress

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The compressions, by their names in OTEL_EXPORTER_OTLP_COMPRESSION, Content-Encoding and
// grpc-encoding.
const (
	None = "none"
	Gzip = "gzip"
	Zstd = "zstd"
)

// ErrTooLarge is wrapped by errors of [Unpack] about data that is larger than it may be.
var ErrTooLarge = errors.New("too large")

// window is how far back zstd looks, in bytes: it has as much in memory.
const window = 128 << 10

var (
	inflaters = sync.Pool{New: func() any { return new(gzip.Reader) }}
	deflaters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}
	packers   = sync.Pool{New: func() any { return newPacker() }}
	unpackers = sync.Pool{New: func() any { return newUnpacker() }}
)

func newPacker() *zstd.Encoder {
	e, err := zstd.NewWriter(
		nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(window),
		zstd.WithLowerEncoderMem(true),
	)
	if err != nil {
		panic(err) // an option is wrong
	}
	return e
}

func newUnpacker() *zstd.Decoder {
	// Frames that are larger than a message are refused before memory is taken for them.
	d, err := zstd.NewReader(
		nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(8<<20),
	)
	if err != nil {
		panic(err) // an option is wrong
	}
	return d
}

// Pack returns data packed. It is safe for concurrent use.
func Pack(encoding string, data []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := writer(encoding, &packed)
	if err != nil {
		return nil, err
	}
	_, _ = w.Write(data) // to memory: it does not fail
	_ = w.Close()
	return packed.Bytes(), nil
}

// packing writes to a stream.
type packing struct {
	stream
	pool *sync.Pool
}

// stream is what the packers have in common.
type stream interface {
	io.WriteCloser
	Reset(io.Writer)
}

// Close ends the packed data. What was written to is not closed.
func (p packing) Close() error {
	err := p.stream.Close()
	p.Reset(nil)
	p.pool.Put(p.stream)
	return err
}

func writer(encoding string, w io.Writer) (io.WriteCloser, error) {
	pools := map[string]*sync.Pool{Gzip: &deflaters, Zstd: &packers}
	pool := pools[encoding]
	if pool == nil {
		return nil, fmt.Errorf("compression: expected gzip or zstd, got %q", encoding)
	}
	s, _ := pool.Get().(stream)
	s.Reset(w)
	return packing{s, pool}, nil
}

// Unpack returns what packed holds, of at most so many bytes. It is safe for concurrent use; its
// memory is that of the result, and little more if packed tells its size, as most do.
func Unpack(encoding string, packed []byte, most int) ([]byte, error) {
	switch encoding {
	case Gzip:
		inflater, _ := inflaters.Get().(*gzip.Reader)
		defer inflaters.Put(inflater)
		if err := inflater.Reset(bytes.NewReader(packed)); err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return readAll(inflater, Size(encoding, packed), most)
	case Zstd:
		unpacker, _ := unpackers.Get().(*zstd.Decoder)
		defer unpackers.Put(unpacker)
		if err := unpacker.Reset(bytes.NewReader(packed)); err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		defer func() { _ = unpacker.Reset(nil) }() // or it would keep packed
		return readAll(unpacker, Size(encoding, packed), most)
	default:
		return nil, fmt.Errorf("compression: expected gzip or zstd, got %q", encoding)
	}
}

// mostRatio is how many times as large as its packed form something may be expected to be, before
// it is unpacked.
const mostRatio = 64

// Size returns how large the content of packed may be, as far as can be told before it is unpacked.
// It may be wrong: packed may say anything.
func Size(encoding string, packed []byte) int {
	likely := mostRatio * len(packed)
	switch encoding {
	case Gzip: // its last four bytes are the size of what is in the last member
		if n := len(packed); n > 4 {
			return min(likely, int(binary.LittleEndian.Uint32(packed[n-4:])))
		}
	case Zstd:
		var h zstd.Header
		if err := h.Decode(packed); err == nil && h.HasFCS && h.FrameContentSize < uint64(likely) {
			return int(h.FrameContentSize) //nolint:gosec // it is less than likely
		}
	}
	return min(likely, 64<<10)
}

func readAll(r io.Reader, expected, most int) ([]byte, error) {
	b := make([]byte, 0, min(expected, most)+1) // one byte more to meet the end without growing
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > most:
			return nil, fmt.Errorf("%w: more than %d bytes, decompressed", ErrTooLarge, most)
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return nil, err
		case len(b) == cap(b):
			b = append(make([]byte, 0, min(2*cap(b), most+1)), b...)
		}
	}
}
