package wrapsql

import (
	"context"
	"database/sql/driver"
	"errors"
)

// canExec reports whether c can execute a query without preparing a statement.
func canExec(c driver.Conn) bool {
	_, current := c.(driver.ExecerContext)
	_, deprecated := c.(driver.Execer) //nolint:staticcheck // older drivers implement it
	return current || deprecated
}

// canQuery reports whether c can query without preparing a statement.
func canQuery(c driver.Conn) bool {
	_, current := c.(driver.QueryerContext)
	_, deprecated := c.(driver.Queryer) //nolint:staticcheck // older drivers implement it
	return current || deprecated
}

// execer adds ExecContext to connections for which canExec returns true.
type execer struct{ wrapper *conn }

// ExecContext implements driver.ExecerContext.
func (e execer) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	e.wrapper.touch()
	if c, ok := e.wrapper.Conn.(driver.ExecerContext); ok {
		return c.ExecContext(ctx, query, args)
	}
	values, err := positional(ctx, args)
	if err != nil {
		return nil, err
	}
	return e.wrapper.Conn.(driver.Execer).Exec(query, values) //nolint:staticcheck // as database/sql does
}

// queryer adds QueryContext to connections for which canQuery returns true.
type queryer struct{ wrapper *conn }

// QueryContext implements driver.QueryerContext.
func (q queryer) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	q.wrapper.touch()
	if c, ok := q.wrapper.Conn.(driver.QueryerContext); ok {
		return c.QueryContext(ctx, query, args)
	}
	values, err := positional(ctx, args)
	if err != nil {
		return nil, err
	}
	return q.wrapper.Conn.(driver.Queryer).Query(query, values) //nolint:staticcheck // as database/sql does
}

// positional converts args for older drivers, which do not support named arguments. If an argument
// is named, it returns the same error as database/sql.
func positional(ctx context.Context, args []driver.NamedValue) ([]driver.Value, error) {
	values := make([]driver.Value, len(args))
	for i, a := range args {
		if a.Name != "" {
			return nil, errors.New("sql: driver does not support the use of Named Parameters")
		}
		values[i] = a.Value
	}
	return values, ctx.Err()
}
