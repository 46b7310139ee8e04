package wrappgx_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/poolgauge/poolgauge/adapters/wrappgx"
)

func ExamplePool() {
	pool, err := pgxpool.New(context.Background(), "postgres://app@localhost:5432/orders?pool_max_conns=20")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()

	reg, err := wrappgx.Pool("orders", pool)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reg.Close()

	if err := pool.Ping(context.Background()); err != nil {
		fmt.Println(err)
	}
}
