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
	none   string                // shown instead of "No data"; if empty, see noValue
	limits []dashboard.Threshold // colors that apply from a value upward, the lowest value first
	top    *float64              // maximum of the axis; nil means automatic
	bounds []query               // reference values such as a limit, drawn dashed
	sparse []*catalog.Metric     // metrics that may be absent; the metric table says when

	exemplars bool // show exemplars as points, if the data source has any
}

// panel is a finished panel. It implements [cog.Builder].
type panel struct{ dashboard.Panel }

// Build implements [cog.Builder].
func (p panel) Build() (dashboard.Panel, error) { return p.Panel, nil }

var source = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}

// steps returns thresholds: green below warn, orange from warn, and red from bad.
func steps(warn, bad float64) []dashboard.Threshold {
	return []dashboard.Threshold{{Color: "green"}, {Color: "orange", Value: &warn}, {Color: "red", Value: &bad}}
}

// finish builds the panel and sets the fields that all panels have in common.
func (c chart) finish(
	builder cog.Builder[dashboard.Panel],
	color dashboard.FieldColorModeId,
	queries ...cog.Builder[variant],
) panel {
	p := must(builder.Build())
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

// noValue returns the text that is shown if the panel has no data: none or, if that is empty, the
// reasons in the metric table why the metrics in sparse may be absent.
func (c chart) noValue() string {
	if c.none != "" {
		return c.none
	}
	var reasons []string
	for _, m := range c.sparse {
		if m.Absent == "" {
			panic("dashboard: " + m.Name + " is listed as sparse, but the metric table does not say when it is absent")
		}
		reasons = append(reasons, m.Absent)
	}
	return strings.Join(reasons, "; ")
}

// target returns q as query number i of a panel.
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
	builder := timeseries.NewPanelBuilder().
		LineWidth(1).FillOpacity(opacity).ShowPoints(common.VisibilityModeNever).AxisSoftMin(0).
		Tooltip(common.NewVizTooltipOptionsBuilder().
			Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)).
		Legend(common.NewVizLegendOptionsBuilder().
			DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true))
	if stacked {
		builder.Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A"))
	}
	if len(c.limits) > 1 {
		builder.ThresholdsStyle(
			common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed),
		)
	}
	var targets []cog.Builder[variant]
	for i, q := range slices.Concat(queries, c.bounds) {
		t := target(i, q, prometheus.PromQueryFormatTimeSeries).Range()
		if c.exemplars {
			t.Exemplar(true)
		}
		targets = append(targets, t)
		if i >= len(queries) {
			builder.OverrideByQuery(refID(i), []dashboard.DynamicConfigValue{
				{
					Id:    "custom.lineStyle",
					Value: common.LineStyle{Fill: cog.ToPtr(common.LineStyleFillDash), Dash: []float64{8, 6}},
				},
				{Id: "custom.fillOpacity", Value: 0},
			})
		}
	}
	return c.finish(builder, dashboard.FieldColorModeIdPaletteClassic, targets...)
}

// lines returns a panel of lines over time.
func (c chart) lines(queries ...query) panel { return c.timeseries(8, false, queries) }

// areas returns a panel of stacked lines over time.
func (c chart) areas(queries ...query) panel { return c.timeseries(35, true, queries) }

// number returns a panel that shows one number, colored according to the limits, with the number's
// history in the background.
func (c chart) number(q query) panel {
	builder := stat.NewPanelBuilder().
		Orientation(common.VizOrientationAuto).
		GraphMode(common.BigValueGraphModeArea).
		ColorMode(common.BigValueColorModeValue).TextMode(common.BigValueTextModeValue).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
	return c.finish(
		builder,
		dashboard.FieldColorModeIdThresholds,
		target(0, q, prometheus.PromQueryFormatTimeSeries).Range(),
	)
}

// states returns a state timeline with a row per series, which is colored while the series is above
// 0: green if the name of the series matches the regular expression green, and orange otherwise.
func (c chart) states(q query, green string) panel {
	colored := func(color string) dashboard.ThresholdsConfig {
		return dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: []dashboard.Threshold{
			{Color: "transparent"}, {Color: color, Value: cog.ToPtr(1.0)},
		}}
	}
	c.limits = colored("orange").Steps
	builder := statetimeline.NewPanelBuilder().
		ShowValue(common.VisibilityModeNever).
		RowHeight(0.8).
		MergeValues(true).
		OverrideByRegexp(green, []dashboard.DynamicConfigValue{{Id: "thresholds", Value: colored("green")}})
	return c.finish(
		builder,
		dashboard.FieldColorModeIdThresholds,
		target(0, q, prometheus.PromQueryFormatTimeSeries).Range(),
	)
}

// heatmap returns a heatmap of a histogram's buckets over time.
func (c chart) heatmap(expr string) panel {
	builder := heatmap.NewPanelBuilder().
		CellGap(1).
		ShowLegend().ShowValue(common.VisibilityModeNever).FilterValues(heatmap.NewFilterValueRangeBuilder().Le(1e-9)).
		Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeScheme).Scheme("Oranges").
			Scale(heatmap.HeatmapColorScaleExponential).Exponent(0.5).Steps(64)).
		YAxis(heatmap.NewYAxisConfigBuilder().AxisPlacement(common.AxisPlacementLeft).Unit(c.unit)).
		Tooltip(heatmap.NewHeatmapTooltipBuilder().
			Mode(common.TooltipDisplayModeSingle).YHistogram(true).ShowColorScale(true))
	return c.finish(
		builder,
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
