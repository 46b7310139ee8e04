// Package compress compresses and decompresses OTLP messages with gzip and zstd, for both OTLP/gRPC
// and OTLP/HTTP.
//
// By default gRPC decompresses a message as soon as it arrives, however large it is and however
// many arrive at the same time. If a program imports this package, gRPC delivers messages
// compressed. [Packed] then returns how a message is compressed, and [Unpack] decompresses it, once
// there is memory for the result.
package compress

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The compression algorithms, as named in OTEL_EXPORTER_OTLP_COMPRESSION, Content-Encoding and
// grpc-encoding.
const (
	None = "none"
	Gzip = "gzip"
	Zstd = "zstd"
)

// ErrTooLarge is wrapped by the error that [Unpack] returns if the decompressed data exceeds the
// limit.
var ErrTooLarge = errors.New("too large")

// window is the size in bytes of the window that each zstd encoder keeps in memory.
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
		panic(err) // only if an option is invalid
	}
	return e
}

func newUnpacker() *zstd.Decoder {
	// Frames that need a window above 8 MiB are rejected before memory is allocated for them.
	d, err := zstd.NewReader(
		nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(8<<20),
	)
	if err != nil {
		panic(err) // only if an option is invalid
	}
	return d
}

// Pack returns data compressed with the given encoding. It is safe for concurrent use.
func Pack(encoding string, data []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := writer(encoding, &packed)
	if err != nil {
		return nil, err
	}
	_, _ = w.Write(data) // writing to memory never fails
	_ = w.Close()
	return packed.Bytes(), nil
}

// pooledStream is a stream from a pool. Close returns the stream to the pool.
type pooledStream struct {
	stream
	pool *sync.Pool
}

// stream is the common interface of the gzip and zstd writers, which compress what is written to
// them.
type stream interface {
	io.WriteCloser
	Reset(io.Writer)
}

// Close completes the compressed data. It does not close the underlying writer.
func (p pooledStream) Close() error {
	err := p.stream.Close()
	p.Reset(nil)
	p.pool.Put(p.stream)
	return err
}

// writer returns a writer that compresses to w. Its Close method does not close w.
func writer(encoding string, w io.Writer) (io.WriteCloser, error) {
	pools := map[string]*sync.Pool{Gzip: &deflaters, Zstd: &packers}
	pool := pools[encoding]
	if pool == nil {
		return nil, fmt.Errorf("compression: expected gzip or zstd, got %q", encoding)
	}
	s, _ := pool.Get().(stream)
	s.Reset(w)
	return pooledStream{s, pool}, nil
}

// Unpack returns the decompressed content of packed. It fails with [ErrTooLarge] if the content
// exceeds limit bytes. If packed declares the size of its content, as it usually does, Unpack uses
// little more memory than the result needs. It is safe for concurrent use.
func Unpack(encoding string, packed []byte, limit int) ([]byte, error) {
	switch encoding {
	case Gzip:
		inflater, _ := inflaters.Get().(*gzip.Reader)
		defer inflaters.Put(inflater)
		if err := inflater.Reset(bytes.NewReader(packed)); err != nil {
			return nil, fmt.Errorf("reading the header: %w", err)
		}
		return readAll(inflater, Size(encoding, packed), limit)
	case Zstd:
		unpacker, _ := unpackers.Get().(*zstd.Decoder)
		defer unpackers.Put(unpacker)
		if err := unpacker.Reset(bytes.NewReader(packed)); err != nil {
			return nil, fmt.Errorf("reading the header: %w", err)
		}
		defer func() { _ = unpacker.Reset(nil) }() // release the reference to packed
		return readAll(unpacker, Size(encoding, packed), limit)
	default:
		return nil, fmt.Errorf("compression: expected gzip or zstd, got %q", encoding)
	}
}

// maxRatio is the highest compression ratio that Size assumes.
const maxRatio = 64

// Size estimates the size of packed once decompressed. The estimate may be wrong, because packed
// may declare any size.
func Size(encoding string, packed []byte) int {
	likely := min(maxRatio*uint64(len(packed)), math.MaxInt32)
	size := min(likely, 64<<10)
	switch encoding {
	case Gzip: // the last four bytes are the size of the last member's content
		if n := len(packed); n > 4 {
			size = min(likely, uint64(binary.LittleEndian.Uint32(packed[n-4:])))
		}
	case Zstd:
		var h zstd.Header
		if err := h.Decode(packed); err == nil && h.HasFCS && h.FrameContentSize < likely {
			size = h.FrameContentSize
		}
	}
	return int(size) //nolint:gosec // at most likely
}

func readAll(r io.Reader, expected, limit int) ([]byte, error) {
	b := make([]byte, 0, min(expected, limit)+1) // one extra byte, to see io.EOF without growing b
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > limit:
			return nil, fmt.Errorf("%w: more than %d bytes after decompression", ErrTooLarge, limit)
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return nil, err
		case len(b) == cap(b):
			b = append(make([]byte, 0, min(2*cap(b), limit+1)), b...)
		}
	}
}
