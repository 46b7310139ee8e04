package thread

import (
	"testing"
	"time"
)

func ns(n int) time.Duration { return time.Duration(n) }

func TestSplitNeverExceedsTheWallTime(t *testing.T) {
	for in, want := range map[[3]int]Split{
		{100, 60, 30}:   {Wall: 100, OnCPU: 60, RunQueue: 30, Blocked: 10},
		{100, 101, 5}:   {Wall: 100, OnCPU: 100},
		{100, 60, 50}:   {Wall: 100, OnCPU: 60, RunQueue: 40},
		{100, -1, -1}:   {Wall: 100, Blocked: 100},
		{-1, 1, 1}:      {},
		{100, 0, 0}:     {Wall: 100, Blocked: 100},
		{0, 60, 30}:     {},
		{100, 100, 0}:   {Wall: 100, OnCPU: 100},
		{100, 0, 10000}: {Wall: 100, RunQueue: 100},
	} {
		if got := splitOf(ns(in[0]), ns(in[1]), ns(in[2])); got != want {
			t.Errorf("%v: got %+v, want %+v", in, got, want)
		}
	}
}

func TestProcessCPUGrows(_ *testing.T) {
	before := ProcessCPU()
	for used := before; used <= before; used = ProcessCPU() {
		continue
	}
}
