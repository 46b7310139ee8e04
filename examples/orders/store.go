package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	_ "github.com/jackc/pgx/v5/stdlib" // driver for DATABASE_URL
	_ "modernc.org/sqlite"             // driver for SQLite files
)

// store stores the orders. Its SQL works with both SQLite and PostgreSQL.
type store struct{ *sql.DB }

// openStore opens the PostgreSQL database at databaseURL or, if that is empty, the SQLite file.
func openStore(ctx context.Context, databaseURL, file string, conns int) (*store, error) {
	driver, source := "pgx", databaseURL
	if databaseURL == "" {
		path := url.URL{Scheme: "file", Opaque: url.PathEscape(file)}
		driver, source = "sqlite", path.String()+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		return nil, fmt.Errorf("cannot open the database: %w", err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	const schema = `CREATE TABLE IF NOT EXISTS orders
		(id TEXT PRIMARY KEY, item TEXT NOT NULL, cents BIGINT NOT NULL, state TEXT NOT NULL, receipt BYTEA)`
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, fmt.Errorf("cannot create the table of orders: %w", errors.Join(err, db.Close()))
	}
	return &store{db}, nil
}

func (s *store) close(context.Context) error { return s.Close() }

func (s *store) insert(ctx context.Context, o order) error {
	_, err := s.ExecContext(
		ctx,
		`INSERT INTO orders (id, item, cents, state) VALUES ($1, $2, $3, $4)`,
		o.ID,
		o.Item,
		o.Cents,
		o.State,
	)
	return err
}

func (s *store) finish(ctx context.Context, id, state string, receipt []byte) error {
	_, err := s.ExecContext(ctx, `UPDATE orders SET state = $1, receipt = $2 WHERE id = $3`, state, receipt, id)
	return err
}

func (s *store) order(ctx context.Context, id string) (o order, err error) {
	row := s.QueryRowContext(ctx, `SELECT id, item, cents, state FROM orders WHERE id = $1`, id)
	err = row.Scan(&o.ID, &o.Item, &o.Cents, &o.State)
	return o, err
}

func (s *store) unfinished(ctx context.Context) (orders []order, err error) {
	rows, err := s.QueryContext(ctx, `SELECT id, item, cents, state FROM orders WHERE state = $1`, accepted)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var o order
		if err := rows.Scan(&o.ID, &o.Item, &o.Cents, &o.State); err != nil {
			return nil, err
		}
		orders = append(orders, o)
	}
	return orders, rows.Err()
}
