package otlp

import "google.golang.org/grpc/mem"

// Raw is a codec of gRPC that passes messages as the bytes that they are: a message sent is a []byte, one received a *[]byte.
type Raw struct{}

// Marshal implements encoding.CodecV2. The bytes must not change while they are sent.
func (Raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// Unmarshal implements encoding.CodecV2. The bytes are a copy, which the receiver owns.
func (Raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// Name implements encoding.CodecV2.
func (Raw) Name() string { return "proto" }
