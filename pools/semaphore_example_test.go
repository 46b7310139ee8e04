package pools_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/pools"
)

func ExampleSemaphore() {
	uploads, err := pools.NewSemaphore("uploads", 4, pools.SemaphoreConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer uploads.Close()

	ctx := context.Background()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if err := uploads.Acquire(ctx, 1); err != nil {
				return // ctx ended first
			}
			defer uploads.Release(1)
			// upload something
		})
	}
	wg.Wait()
	fmt.Println(uploads.Stats().Requests[instrument.Acquired].Or(0), "uploads")
	// Output: 10 uploads
}

func ExampleSemaphore_Resize() {
	downstream, err := pools.NewSemaphore("downstream", 100, pools.SemaphoreConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer downstream.Close()

	_ = downstream.Acquire(context.Background(), 80)
	if err := downstream.Resize(50); err != nil {
		fmt.Println(err)
	}
	// 80 permits stay used until they are released
	fmt.Println("more:", downstream.TryAcquire(1))
	downstream.Release(40)
	fmt.Println("more:", downstream.TryAcquire(1))
	// Output:
	// more: false
	// more: true
}

func ExampleMemoryBudget() {
	const largest = 64 << 20
	// In a container Available and Max can be omitted: the budget then follows the limit of the
	// container and GOMEMLIMIT.
	images, err := pools.NewMemoryBudget("images", largest, pools.MemoryConfig{Max: 512 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer images.Close()

	const size = 48 << 20
	if err := images.Acquire(context.Background(), size); err != nil {
		fmt.Println(err)
		return
	}
	defer images.Release(size)
	// decode an image of that size
	fmt.Println(images.Stats().Usage[instrument.Used].Or(0)>>20, "MiB")
	// Output: 48 MiB
}
