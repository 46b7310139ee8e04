package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/go-analyze/charts"
)

// curve is a line of a plot.
type curve struct {
	name string
	at   map[int]float64 // by number of workers
}

// Plot writes what the pools gained over sequential runs, by their size, to files in dir, as SVG and
// PNG, for light and for dark pages. It returns their names.
func (r Report) Plot(dir string) ([]string, error) {
	var curves []curve
	for _, w := range r.Works {
		c := curve{w.Name, map[int]float64{}}
		for _, row := range w.Rows {
			if row.SpeedUp > 0 && (row.Model == Sequential || row.Model == Workers) {
				c.at[row.Size] = row.SpeedUp
			}
		}
		curves = append(curves, c)
	}
	return plot(dir, "bench", "Throughput by number of workers, × sequential", curves)
}

// PlotSweeps writes the curves of sweeps, relative to one worker, to files in dir like Report.Plot.
func PlotSweeps(dir string, all []SweepReport) ([]string, error) {
	var curves []curve
	for _, r := range all {
		if len(r.Curve) == 0 {
			continue
		}
		name := fmt.Sprintf("%s (%d workers)", r.Name, r.Knee)
		c := curve{name, map[int]float64{}}
		for _, p := range r.Curve {
			c.at[p.Workers] = p.Rate / r.Curve[0].Rate
		}
		curves = append(curves, c)
	}
	return plot(dir, "sweep", "Throughput by number of workers, × one worker", curves)
}

func plot(dir, base, title string, curves []curve) ([]string, error) {
	var sizes []int
	for _, c := range curves {
		for n := range c.at {
			sizes = append(sizes, n)
		}
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	if len(sizes) == 0 {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	var names []string
	for _, theme := range []string{charts.ThemeLight, charts.ThemeDark} {
		for _, format := range []string{charts.ChartOutputSVG, charts.ChartOutputPNG} {
			image, err := draw(title, curves, sizes, theme, format)
			if err != nil {
				return names, err
			}
			name := filepath.Join(dir, fmt.Sprintf("%s-%s.%s", base, theme, format))
			if err := os.WriteFile(name, image, 0o600); err != nil {
				return names, err
			}
			names = append(names, name)
		}
	}
	return names, nil
}

func draw(title string, curves []curve, sizes []int, theme, format string) ([]byte, error) {
	labels := make([]string, len(sizes))
	for i, n := range sizes {
		labels[i] = strconv.Itoa(n)
	}
	values := make([][]float64, len(curves))
	names := make([]string, len(curves))
	for i, c := range curves {
		names[i] = c.name
		values[i] = c.along(sizes)
	}
	p := charts.NewPainter(charts.PainterOptions{
		OutputFormat: format, Width: 900, Height: 500, Theme: charts.GetTheme(theme),
	})
	opt := charts.NewLineChartOptionWithData(values)
	opt.Theme = charts.GetTheme(theme)
	opt.Title.Text = title
	opt.Title.FontStyle.FontSize = 16
	opt.Legend.SeriesNames = names
	opt.Legend.Offset = charts.OffsetStr{Left: "0", Top: "32"}
	opt.XAxis.Labels = labels
	opt.XAxis.Title = "workers"
	opt.YAxis = []charts.YAxisOption{{Min: charts.Ptr(0.0)}}
	opt.ValueFormatter = func(v float64) string { return fmt.Sprintf("%.3g", v) }
	opt.LineStrokeWidth = 2
	if err := p.LineChart(opt); err != nil {
		return nil, err
	}
	return p.Bytes()
}

// along returns the values at all sizes, on straight lines between those measured, and nothing
// beyond the last.
func (c curve) along(sizes []int) []float64 {
	values := make([]float64, len(sizes))
	known := -1
	for i, n := range sizes {
		v, ok := c.at[n]
		if !ok {
			values[i] = charts.GetNullValue()
			continue
		}
		for j := known + 1; known >= 0 && j < i; j++ {
			part := float64(sizes[j]-sizes[known]) / float64(n-sizes[known])
			values[j] = values[known] + part*(v-values[known])
		}
		values[i], known = v, i
	}
	return values
}
