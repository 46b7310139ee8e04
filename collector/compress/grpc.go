package compress

import (
	"bytes"
	"io"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // is registered before ours, which takes its place
)

func init() {
	for _, name := range []string{Gzip, Zstd} {
		encoding.RegisterCompressor(compressor(name))
	}
}

// compressor is one of gRPC's, by its name. It packs what is sent, and marks what is received.
type compressor string

// marks begin a message that is packed. No message of protobuf begins with one: 0x1f is a field of
// type 7, which does not exist.
var marks = map[string][]byte{Gzip: {0x1f, 'g'}, Zstd: {0x1f, 'z'}}

// Packed returns how a message is packed that gRPC received, and the message without the mark.
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
