package wraphttp

import (
	"errors"
	"io"
	"net/http"

	"github.com/poolgauge/poolgauge/instrument"
)

// respond wraps the response's body so that the connection's use ends when the body is read to the
// end or closed.
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

// body is a response body. When it has been read to the end or is closed, it records the end of the
// connection's use.
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

// Close implements io.Closer. It records the end of the use before it closes the body, because
// afterwards the connection or its slot may go to another request.
func (b *body) Close() error {
	b.trip.end(instrument.OK)
	return b.ReadCloser.Close()
}

// connection is the body of a response that switched to another protocol. The caller owns the
// connection itself, with all methods that net/http provides, until the caller closes it. EOF from
// the server does not end the use.
type connection struct {
	io.Reader
	io.Writer
	io.Closer
}

// half is a connection that can be closed for writing, like net/http's connections.
type half struct {
	connection
	closeWriter
}

type closeWriter interface{ CloseWrite() error }

// own returns the response body to give to a caller that now owns connection w.
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
