package wrapsql_test

import (
	"database/sql"
	"fmt"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrapsql"
)

func ExampleDB() {
	db := sql.OpenDB(new(server)) // or sql.Open with your driver
	defer db.Close()
	db.SetMaxOpenConns(10)

	reg, err := wrapsql.DB("orders", db)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reg.Close()

	if err := db.Ping(); err != nil {
		fmt.Println(err)
		return
	}
	reader := instrument.OpenReader() // the Producer of instrument/producer has one
	defer reader.Close()
	for p := range reader.Points() {
		if state, ok := p.Attributes.Value("poolgauge.pool.state"); ok || p.Metric.Name == "poolgauge.pool.limit" {
			fmt.Println(p.Metric.Name, state.String(), p.Int)
		}
	}
	// Output:
	// poolgauge.pool.limit  10
	// poolgauge.pool.usage used 0
	// poolgauge.pool.usage idle 1
}
