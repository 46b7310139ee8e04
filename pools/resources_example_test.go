package pools_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

type conn struct{ id int }

func (c *conn) close() { fmt.Println("closed connection", c.id) }

func ExampleResources() {
	dialed := 0
	dial := func(context.Context) (*conn, error) {
		dialed++
		return &conn{dialed}, nil
	}
	db, err := pools.NewResources("db", 8, dial, pools.ResourcesConfig[*conn]{
		Destroy:     (*conn).close,
		MaxIdleTime: time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	lease, err := db.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lease.Release()
	fmt.Println("using connection", lease.Value().id)

	s := db.Stats()
	fmt.Println("used:", s.Usage[instrument.Used].Or(0), "of", s.Limit.Or(0))
	// Output:
	// using connection 1
	// used: 1 of 8
	// closed connection 1
}

func ExampleLease() {
	dial := func(context.Context) (*conn, error) { return &conn{7}, nil }
	db, err := pools.NewResources("db", 1, dial, pools.ResourcesConfig[*conn]{Destroy: (*conn).close})
	if err != nil {
		log.Fatal(err)
	}
	lease, err := db.Acquire(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	lease.Destroy() // it turned out to be broken
	db.Close()

	defer func() { fmt.Println(recover()) }()
	lease.Release()
	// Output:
	// closed connection 7
	// pools: resources "db": Release called on a lease that has ended
}

func ExampleResourcesConfig() {
	ping := func(context.Context, *conn) error { return nil }
	config := pools.ResourcesConfig[*conn]{
		Destroy:     (*conn).close,
		Check:       ping,
		CheckAfter:  5 * time.Second, // recently used connections are not checked
		MinIdle:     2,
		MaxIdleTime: 10 * time.Minute,
		MaxLifetime: time.Hour,
	}
	dial := func(context.Context) (*conn, error) { return &conn{}, nil }
	_, err := pools.NewResources("db", 1, dial, config)
	fmt.Println(err)
	// Output: pools: resources "db": MinIdle is 2, expected 0 to 1 (the limit)
}
