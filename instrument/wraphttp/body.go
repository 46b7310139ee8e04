package wraphttp

import (
	"errors"
	"io"
	"net/http"

	"github.com/poolgauge/poolgauge/instrument"
)

// respond lets the use of the connection end with the body.
func (tr *trip) respond(resp *http.Response) {
	if p := tr.part; p != nil && resp.ProtoMajor > 1 {
		p.Lock()
		p.spokeHTTP2()
		p.Unlock()
	}
	if resp.Body == nil || resp.Body == http.NoBody {
		tr.end(instrument.OK)
		return
	}
	tr.body = body{ReadCloser: resp.Body, trip: tr}
	if w, ok := resp.Body.(io.Writer); ok {
		resp.Body = tr.own(w)
		return
	}
	resp.Body = &tr.body
}

// body ends the use of a connection.
type body struct {
	io.ReadCloser
	trip *trip
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		b.trip.end(instrument.OK)
	case err != nil:
		b.trip.end(instrument.Failed)
	}
	return n, err
}

// Close implements io.Closer. The use ends first: once it is closed, the connection or its slot may
// be another's.
func (b *body) Close() error {
	b.trip.end(instrument.OK)
	return b.ReadCloser.Close()
}

// connection is the body of a response that switched to another protocol: the caller has the
// connection itself, with all that net/http gives, until it is closed. The end of what the server
// sends is not the end of the use.
type connection struct {
	io.Reader
	io.Writer
	io.Closer
}

// half is one that can be closed for writing, as that of net/http can.
type half struct {
	connection
	closeWriter
}

type closeWriter interface{ CloseWrite() error }

// own returns the body for a caller to which the connection now belongs.
func (tr *trip) own(w io.Writer) io.ReadCloser {
	if p := tr.part; p != nil {
		p.Lock()
		tr.owned = true
		p.Unlock()
	}
	inner := tr.body.ReadCloser
	c := connection{inner, w, &tr.body}
	if h, ok := inner.(closeWriter); ok {
		return half{c, h}
	}
	return c
}
