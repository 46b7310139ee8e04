package compress

import (
	"bytes"
	"io"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // imported to register first, so that our compressor replaces it
)

func init() {
	for _, name := range []string{Gzip, Zstd} {
		encoding.RegisterCompressor(compressor(name))
	}
}

// compressor is a gRPC compressor, identified by its name. It compresses outgoing messages. It
// marks incoming messages as compressed instead of decompressing them.
type compressor string

// marks holds, for each algorithm, the prefix that marks an incoming message as compressed. No
// protobuf message begins with such a prefix: 0x1f would be a field with wire type 7, which does
// not exist.
var marks = map[string][]byte{Gzip: {0x1f, 'g'}, Zstd: {0x1f, 'z'}}

// Packed returns the compression algorithm of a message received by gRPC, and the message without
// the prefix that marks it as compressed.
func Packed(message []byte) (encoding string, packed []byte) {
	for name, mark := range marks {
		if after, ok := bytes.CutPrefix(message, mark); ok {
			return name, after
		}
	}
	return None, message
}

// Name implements encoding.Compressor.
func (c compressor) Name() string { return string(c) }

// Compress implements encoding.Compressor.
func (c compressor) Compress(w io.Writer) (io.WriteCloser, error) { return writer(string(c), w) }

// Decompress implements encoding.Compressor.
func (c compressor) Decompress(r io.Reader) (io.Reader, error) {
	return io.MultiReader(bytes.NewReader(marks[string(c)]), r), nil
}
