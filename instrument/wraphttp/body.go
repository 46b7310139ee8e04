package wraphttp

import (
	"errors"
	"io"
	"net/http"

	"github.com/poolgauge/poolgauge/instrument"
)

// wrapBody wraps the response's body so that the connection's use ends when the body is closed or
// has been read to the end.
func (tr *trip) wrapBody(resp *http.Response) {
	if p := tr.part; p != nil && resp.ProtoMajor > 1 {
		p.Lock()
		p.setHTTP2()
		p.Unlock()
	}
	if resp.Body == nil || resp.Body == http.NoBody {
		tr.endUse(instrument.OK)
		return
	}
	tr.body = body{ReadCloser: resp.Body, trip: tr}
	if w, ok := resp.Body.(io.Writer); ok {
		resp.Body = tr.switchedBody(w)
		return
	}
	resp.Body = &tr.body
}

// body wraps a response body. When it is closed or has been read to the end, it records the end of
// the connection's use.
type body struct {
	io.ReadCloser
	trip *trip
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		b.trip.endUse(instrument.OK)
	case err != nil:
		b.trip.endUse(instrument.Failed)
	}
	return n, err
}

// Close implements io.Closer. It records the end of the use before it closes the body, because the
// connection may go to another request as soon as the body is closed.
func (b *body) Close() error {
	b.trip.endUse(instrument.OK)
	return b.ReadCloser.Close()
}

// switchedConn is the body of a response that switched to another protocol. It has all methods of
// the body that net/http provides. The caller owns the connection until it closes the body, so EOF
// from the server does not end the use.
type switchedConn struct {
	io.Reader
	io.Writer
	io.Closer
}

// halfCloser is a switchedConn that can be closed for writing, if net/http's body can.
type halfCloser struct {
	switchedConn
	closeWriter
}

type closeWriter interface{ CloseWrite() error }

// switchedBody returns the body of a response that switched to another protocol. w is the writer of
// the original body.
func (tr *trip) switchedBody(w io.Writer) io.ReadCloser {
	if p := tr.part; p != nil {
		p.Lock()
		tr.owned = true
		p.Unlock()
	}
	inner := tr.body.ReadCloser
	c := switchedConn{inner, w, &tr.body}
	if h, ok := inner.(closeWriter); ok {
		return halfCloser{c, h}
	}
	return c
}
