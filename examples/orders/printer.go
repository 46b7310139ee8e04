package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
)

// printer prints compressed receipts. It takes about 800 KB of memory, so the service creates few
// printers and reuses them.
type printer struct {
	buffer bytes.Buffer
	gzip   *gzip.Writer
}

func newPrinter(context.Context) (*printer, error) {
	p := &printer{}
	var err error
	p.gzip, err = gzip.NewWriterLevel(&p.buffer, gzip.BestCompression)
	return p, err
}

func (p *printer) print(o order, charge string) ([]byte, error) {
	p.buffer.Reset()
	p.gzip.Reset(&p.buffer)
	fmt.Fprintf(p.gzip, "order %s\n%s\n%d.%02d\npaid by %s\n", o.ID, o.Item, o.Cents/100, o.Cents%100, charge)
	if err := p.gzip.Close(); err != nil {
		return nil, err
	}
	return bytes.Clone(p.buffer.Bytes()), nil
}
