package wrapsql

import (
	"context"
	"database/sql/driver"
	"errors"
)

func executes(c driver.Conn) bool {
	_, is := c.(driver.ExecerContext)
	_, was := c.(driver.Execer) //nolint:staticcheck // older drivers implement it
	return is || was
}

func queries(c driver.Conn) bool {
	_, is := c.(driver.QueryerContext)
	_, was := c.(driver.Queryer) //nolint:staticcheck // older drivers implement it
	return is || was
}

// execer is added to connections of drivers that can execute a query without preparing a statement.
type execer struct{ on *conn }

// ExecContext implements driver.ExecerContext.
func (e execer) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	e.on.touch()
	if c, ok := e.on.Conn.(driver.ExecerContext); ok {
		return c.ExecContext(ctx, query, args)
	}
	plain, err := unnamed(ctx, args)
	if err != nil {
		return nil, err
	}
	return e.on.Conn.(driver.Execer).Exec(query, plain) //nolint:staticcheck // as database/sql does
}

// queryer is added to connections of drivers that can query without preparing a statement.
type queryer struct{ on *conn }

// QueryContext implements driver.QueryerContext.
func (q queryer) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	q.on.touch()
	if c, ok := q.on.Conn.(driver.QueryerContext); ok {
		return c.QueryContext(ctx, query, args)
	}
	plain, err := unnamed(ctx, args)
	if err != nil {
		return nil, err
	}
	return q.on.Conn.(driver.Queryer).Query(query, plain) //nolint:staticcheck // as database/sql does
}

// unnamed converts arguments for older drivers. If an argument is named, it returns the same error
// as database/sql.
func unnamed(ctx context.Context, args []driver.NamedValue) ([]driver.Value, error) {
	plain := make([]driver.Value, len(args))
	for i, a := range args {
		if a.Name != "" {
			return nil, errors.New("sql: driver does not support the use of Named Parameters")
		}
		plain[i] = a.Value
	}
	return plain, ctx.Err()
}
