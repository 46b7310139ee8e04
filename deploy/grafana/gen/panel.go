package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// query is an expression and the legend of its series.
type query struct {
	expr   string
	legend string
}

// chart holds the fields that all panels have in common.
type chart struct {
	title  string
	help   string // what the panel means and what to do, shown on hover
	unit   string // Grafana's name of the unit
	width  uint32 // in columns, of 24
	height uint32
	none   string                // shown instead of "No data"; if empty, the metric table says why there may be no data
	limits []dashboard.Threshold // colors that apply from a value upward, the lowest value first
	top    *float64
	bounds []query           // references such as a limit, drawn dashed
	sparse []*catalog.Metric // metrics whose absence is normal

	exemplars bool // show exemplars as points, if the data source has any
}

// panel is a finished panel. It implements cog.Builder by returning itself.
type panel struct{ dashboard.Panel }

// Build implements [cog.Builder].
func (p panel) Build() (dashboard.Panel, error) { return p.Panel, nil }

var source = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}

// steps returns thresholds: green below warn, orange from warn, and red from bad.
func steps(warn, bad float64) []dashboard.Threshold {
	return []dashboard.Threshold{{Color: "green"}, {Color: "orange", Value: &warn}, {Color: "red", Value: &bad}}
}

// finish sets the fields that all panels have in common.
func (c chart) finish(
	of cog.Builder[dashboard.Panel],
	color dashboard.FieldColorModeId,
	queries ...cog.Builder[variant],
) panel {
	p := must(of.Build())
	limits := c.limits
	if limits == nil {
		limits = []dashboard.Threshold{{Color: "green"}}
	}
	p.Title, p.Description, p.Datasource = &c.title, &c.help, &source
	p.GridPos = &dashboard.GridPos{W: c.width, H: c.height}
	if p.FieldConfig == nil {
		p.FieldConfig = dashboard.NewFieldConfigSource()
	}
	f := &p.FieldConfig.Defaults
	f.Unit, f.Min, f.Max = &c.unit, cog.ToPtr(0.0), c.top
	f.Color = &dashboard.FieldColor{Mode: color}
	f.Thresholds = &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: limits}
	if none := c.noValue(); none != "" {
		f.NoValue = &none
	}
	for _, q := range queries {
		p.Targets = append(p.Targets, must(q.Build()))
	}
	return panel{p}
}

// noValue returns the text of a panel without data: none or, if that is empty, the reasons in the
// metric table.
func (c chart) noValue() string {
	if c.none != "" {
		return c.none
	}
	var reasons []string
	for _, m := range c.sparse {
		if m.Absent == "" {
			panic(m.Name + " is never absent")
		}
		reasons = append(reasons, m.Absent)
	}
	return strings.Join(reasons, "; ")
}

// target returns q as the query with index i of a panel.
func target(i int, q query, format prometheus.PromQueryFormat) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().
		RefId(refID(i)).
		Datasource(source).
		Expr(q.expr).
		LegendFormat(q.legend).
		Format(format)
}

func refID(i int) string { return string(rune('A' + i)) }

func (c chart) timeseries(opacity float64, stacked bool, queries []query) panel {
	of := timeseries.NewPanelBuilder().
		LineWidth(1).FillOpacity(opacity).ShowPoints(common.VisibilityModeNever).AxisSoftMin(0).
		Tooltip(common.NewVizTooltipOptionsBuilder().
			Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)).
		Legend(common.NewVizLegendOptionsBuilder().
			DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true))
	if stacked {
		of.Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A"))
	}
	if len(c.limits) > 1 {
		of.ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
	}
	var targets []cog.Builder[variant]
	for i, q := range slices.Concat(queries, c.bounds) {
		t := target(i, q, prometheus.PromQueryFormatTimeSeries).Range()
		if c.exemplars {
			t.Exemplar(true)
		}
		targets = append(targets, t)
		if i >= len(queries) {
			of.OverrideByQuery(refID(i), []dashboard.DynamicConfigValue{
				{
					Id:    "custom.lineStyle",
					Value: common.LineStyle{Fill: cog.ToPtr(common.LineStyleFillDash), Dash: []float64{8, 6}},
				},
				{Id: "custom.fillOpacity", Value: 0},
			})
		}
	}
	return c.finish(of, dashboard.FieldColorModeIdPaletteClassic, targets...)
}

// lines returns a panel of lines over time.
func (c chart) lines(queries ...query) panel { return c.timeseries(8, false, queries) }

// areas returns a panel of stacked lines over time.
func (c chart) areas(queries ...query) panel { return c.timeseries(35, true, queries) }

// figure returns a panel that shows one number, colored according to the limits, with the number's
// history behind it.
func (c chart) figure(q query) panel {
	of := stat.NewPanelBuilder().
		Orientation(common.VizOrientationAuto).
		GraphMode(common.BigValueGraphModeArea).
		ColorMode(common.BigValueColorModeValue).TextMode(common.BigValueTextModeValue).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
	return c.finish(
		of,
		dashboard.FieldColorModeIdThresholds,
		target(0, q, prometheus.PromQueryFormatTimeSeries).Range(),
	)
}

// states returns a panel with a bar for each series while the series is above 0. Series whose names
// match green are green, and the others are orange.
func (c chart) states(q query, green string) panel {
	colored := func(color string) dashboard.ThresholdsConfig {
		return dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: []dashboard.Threshold{
			{Color: "transparent"}, {Color: color, Value: cog.ToPtr(1.0)},
		}}
	}
	c.limits = colored("orange").Steps
	of := statetimeline.NewPanelBuilder().
		ShowValue(common.VisibilityModeNever).
		RowHeight(0.8).
		MergeValues(true).
		OverrideByRegexp(green, []dashboard.DynamicConfigValue{{Id: "thresholds", Value: colored("green")}})
	return c.finish(
		of,
		dashboard.FieldColorModeIdThresholds,
		target(0, q, prometheus.PromQueryFormatTimeSeries).Range(),
	)
}

// heat returns a heatmap of a histogram's buckets over time.
func (c chart) heat(expr string) panel {
	of := heatmap.NewPanelBuilder().
		CellGap(1).
		ShowLegend().ShowValue(common.VisibilityModeNever).FilterValues(heatmap.NewFilterValueRangeBuilder().Le(1e-9)).
		Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeScheme).Scheme("Oranges").
			Scale(heatmap.HeatmapColorScaleExponential).Exponent(0.5).Steps(64)).
		YAxis(heatmap.NewYAxisConfigBuilder().AxisPlacement(common.AxisPlacementLeft).Unit(c.unit)).
		Tooltip(heatmap.NewHeatmapTooltipBuilder().
			Mode(common.TooltipDisplayModeSingle).YHistogram(true).ShowColorScale(true))
	return c.finish(
		of,
		dashboard.FieldColorModeIdPaletteClassic,
		target(0, query{expr, "{{le}}"}, prometheus.PromQueryFormatHeatmap).Range(),
	)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("dashboard: %v", err))
	}
	return v
}
