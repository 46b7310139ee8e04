package pools_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"time"

	"github.com/poolgauge/poolgauge/pools"
)

func ExampleWorkers() {
	w, err := pools.NewWorkers("mail", 4, pools.WorkersConfig{Queue: 100, TaskTimeout: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()

	ctx := context.Background()
	err = w.Submit(ctx, func(context.Context) error {
		fmt.Println("sent")
		return nil
	})
	if err != nil {
		log.Print(err)
	}
	if err := w.Shutdown(ctx); err != nil { // waits for all submitted tasks
		log.Print(err)
	}
	fmt.Println(errors.Is(w.TrySubmit(func(context.Context) error { return nil }), pools.ErrClosed))
	// Output:
	// sent
	// true
}

func ExampleDo() {
	w, err := pools.NewWorkers("sums", 4, pools.WorkersConfig{})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()

	ctx := context.Background()
	sum := pools.Do(ctx, w, func(context.Context) (int, error) { return 19 + 23, nil })
	fmt.Println(sum.Wait(ctx))
	// Output: 42 <nil>
}

func ExampleMap() {
	w, err := pools.NewWorkers("squares", 4, pools.WorkersConfig{})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()

	square := func(_ context.Context, n int) (int, error) {
		if n < 0 {
			return 0, fmt.Errorf("%d is negative", n)
		}
		return n * n, nil
	}
	var errs []error // all errors; to stop at the first, break out of the loop
	for result, err := range pools.Map(context.Background(), w, slices.Values([]int{3, -1, 5, -2}), square) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Println(result)
	}
	fmt.Println(errors.Join(errs...))
	// Output:
	// 9
	// 25
	// -1 is negative
	// -2 is negative
}

func ExampleForEach() {
	w, err := pools.NewWorkers("checks", 4, pools.WorkersConfig{})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()

	err = pools.ForEach(
		context.Background(),
		w,
		slices.Values([]string{"a", "", "c"}),
		func(_ context.Context, name string) error {
			if name == "" {
				return errors.New("a name is empty")
			}
			return nil
		},
	)
	fmt.Println(err)
	// Output: a name is empty
}

func ExampleGroup() {
	g, ctx := pools.WithContext(context.Background())
	g.SetLimit(2)
	for i := range 5 {
		g.Go(func() error {
			if i == 3 {
				return errors.New("task 3 failed")
			}
			return ctx.Err()
		})
	}
	fmt.Println(g.Wait())
	// Output: task 3 failed
}

func ExampleGroups() {
	fanOut, err := pools.NewGroups("fan-out")
	if err != nil {
		log.Fatal(err)
	}
	defer fanOut.Close()

	for range 2 { // two requests
		g, _ := fanOut.WithContext(context.Background())
		for range 3 {
			g.Go(func() error { return nil })
		}
		if err := g.Wait(); err != nil {
			log.Print(err)
		}
	}
	n, _ := fanOut.Stats().Requests[0].Get()
	fmt.Println(n, "calls")
	// Output: 6 calls
}
