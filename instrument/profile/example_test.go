package profile_test

import (
	"context"
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/instrument/profile"
)

func ExampleTimes() {
	fetch := func(context.Context) error {
		time.Sleep(10 * time.Millisecond) // such as a database query
		return nil
	}
	p, err := profile.Times(context.Background(), 20, fetch)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Class) // fmt.Print(p) also prints the measurements behind the class, and advice
	// Output: I/O-bound
}
