package wrapsql_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"sync/atomic"
)

// server is an in-memory database in which every query returns one row with the query's arguments.
// Its connections implement no optional interfaces.
type server struct {
	connect func(ctx context.Context) error // called for each connection, unless nil
	query   func() error                    // called by each query, unless nil
	wrap    func(*conn) driver.Conn         // returns the driver's connection; if nil, that is the conn itself

	opened, closed atomic.Int64 // numbers of connections
	serverClosed   atomic.Int64 // number of calls to Close
}

func (s *server) Connect(ctx context.Context) (driver.Conn, error) {
	if s.connect != nil {
		if err := s.connect(ctx); err != nil {
			return nil, err
		}
	}
	s.opened.Add(1)
	c := &conn{server: s}
	if s.wrap != nil {
		return s.wrap(c), nil
	}
	return c, nil
}

func (s *server) Driver() driver.Driver { return s }

// Open implements driver.Driver. database/sql calls it to establish a connection if the driver was
// looked up by name.
func (s *server) Open(string) (driver.Conn, error) { return s.Connect(context.Background()) }

// Close is called by sql.DB.Close, since server is an io.Closer.
func (s *server) Close() error {
	s.serverClosed.Add(1)
	return nil
}

type conn struct{ server *server }

func (c *conn) Prepare(string) (driver.Stmt, error) { return stmt{c}, nil }

func (c *conn) Begin() (driver.Tx, error) { return tx{}, nil }

func (c *conn) Close() error {
	c.server.closed.Add(1)
	return nil
}

type tx struct{}

func (tx) Commit() error   { return nil }
func (tx) Rollback() error { return nil }

type stmt struct{ *conn }

func (stmt) Close() error  { return nil }
func (stmt) NumInput() int { return -1 }

func (s stmt) Exec(args []driver.Value) (driver.Result, error) {
	if s.server.query != nil {
		if err := s.server.query(); err != nil {
			return nil, err
		}
	}
	return driver.RowsAffected(len(args)), nil
}

func (s stmt) Query(args []driver.Value) (driver.Rows, error) {
	if _, err := s.Exec(args); err != nil {
		return nil, err
	}
	return &rows{args: args}, nil
}

type rows struct {
	args []driver.Value
	done bool
}

func (r *rows) Columns() []string { return make([]string, len(r.args)) }
func (r *rows) Close() error      { return nil }

func (r *rows) Next(to []driver.Value) error {
	if r.done {
		return io.EOF
	}
	r.done = true
	copy(to, r.args)
	return nil
}

var errRefused = errors.New("connection refused")
