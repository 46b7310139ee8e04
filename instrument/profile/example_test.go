package profile_test

import (
	"context"
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/instrument/profile"
)

func ExampleTimes() {
	fetch := func(context.Context) error {
		time.Sleep(10 * time.Millisecond) // a database, say
		return nil
	}
	p, err := profile.Times(context.Background(), 20, fetch)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Class) // fmt.Print(p) prints the figures that decided it, and what to do
	// Output: I/O-bound
}
