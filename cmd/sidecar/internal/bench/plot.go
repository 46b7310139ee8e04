package bench

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/plot"
)

// Plot plots each pool's gain over sequential runs against its size. It writes one SVG that suits
// light and dark pages, and one PNG for each, to dir, and returns the names of the files. If
// nothing was measured, it writes no files.
func (r Report) Plot(dir string) ([]string, error) {
	c := plot.Chart{Title: "Throughput by number of workers, relative to sequential"}
	for _, w := range r.Works {
		line := plot.Line{Name: w.Name, Mark: float64(w.Size)}
		for _, row := range w.Rows {
			if row.Model == Sequential || row.Model == Workers {
				line.Points = append(line.Points, plot.Point{X: float64(row.Size), Y: row.SpeedUp})
			}
		}
		c.Lines = append(c.Lines, line)
	}
	return write(dir, "bench", c)
}

// PlotSweeps plots the throughput curves of sweeps, relative to one worker. It writes the same
// kinds of files to dir as [Report.Plot].
func PlotSweeps(dir string, all []SweepReport) ([]string, error) {
	c := plot.Chart{Title: "Throughput by number of workers, relative to one"}
	for _, r := range all {
		line := plot.Line{Name: r.Name, Mark: float64(r.Knee)}
		for _, p := range r.Curve {
			line.Points = append(line.Points, plot.Point{X: float64(p.Workers), Y: p.Rate / r.Curve[0].Rate})
		}
		c.Lines = append(c.Lines, line)
	}
	return write(dir, "sweep", c)
}

func write(dir, base string, c plot.Chart) ([]string, error) {
	c.Note, c.XTitle, c.Unit = "Rings: the recommended size. Both axes are logarithmic.", "workers", "×"
	for i, l := range c.Lines {
		if l.Mark > 0 {
			c.Lines[i].Name = fmt.Sprintf("%s: %g", l.Name, l.Mark)
		}
	}
	if c.Empty() {
		return nil, nil
	}
	light, err := c.PNG(false)
	if err != nil {
		return nil, err
	}
	dark, err := c.PNG(true)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	var names []string
	for _, file := range []struct {
		suffix  string
		content []byte
	}{{".svg", c.SVG()}, {"-light.png", light}, {"-dark.png", dark}} {
		name := filepath.Join(dir, base+file.suffix)
		if err := os.WriteFile(name, file.content, 0o600); err != nil {
			return names, err
		}
		names = append(names, name)
	}
	return names, nil
}
