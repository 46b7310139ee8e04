package monitor_test

import (
	"errors"
	"fmt"

	"github.com/poolgauge/poolgauge/instrument/monitor"
)

func Example() {
	run, err := monitor.Start("nightly import")
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 10 {
		_ = run.Do(func() error {
			if i == 7 {
				return errors.New("the file is damaged")
			}
			return nil
		})
	}
	report := run.End() // fmt.Print(report) prints it as a table
	share, _ := report.ErrorRate()
	fmt.Println(report.Tasks(), "tasks, of which failed:", share)
	// Output: 10 tasks, of which failed: 0.1
}
