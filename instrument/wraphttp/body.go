package wraphttp

import (
	"errors"
	"io"
	"net/http"

	"github.com/poolgauge/poolgauge/instrument"
)

// respond makes the use of the connection end with the body of the response.
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

// body ends the use of a connection when it has been read to the end or is closed.
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

// Close implements io.Closer. The use ends first, because once the body is closed, the connection
// or its slot may be given to another request.
func (b *body) Close() error {
	b.trip.end(instrument.OK)
	return b.ReadCloser.Close()
}

// connection is the body of a response that switched to another protocol. The caller then owns the
// connection itself, with all methods that net/http provides, until it is closed. EOF from the
// server does not end the use.
type connection struct {
	io.Reader
	io.Writer
	io.Closer
}

// half is a connection that can be closed for writing, as those of net/http can.
type half struct {
	connection
	closeWriter
}

type closeWriter interface{ CloseWrite() error }

// own returns the body for a caller that now owns the connection.
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
