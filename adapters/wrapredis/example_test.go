package wrapredis_test

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/poolgauge/poolgauge/adapters/wrapredis"
)

func ExampleClient() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379", PoolSize: 20})
	defer client.Close()

	reg, err := wrapredis.Client("cache", client)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reg.Close()
	fmt.Println(client.PoolStats().TotalConns, "connections")
	// Output: 0 connections
}

func ExamplePipelines() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379", PipelinePoolSize: 5})
	defer client.Close()

	reg, err := wrapredis.Pipelines("cache pipelines", client)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reg.Close()
	fmt.Println(client.PoolStats().PipelineStats.TotalConns, "connections")
	// Output: 0 connections
}
