package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// query is an expression and what its series are called.
type query struct {
	expr   string
	legend string
}

// chart is what all panels have in common.
type chart struct {
	title  string
	help   string // what it means and what to do about it, shown on hover
	unit   string // Grafana's name of the unit
	width  int    // of 24
	height int
	none   string // shown instead of "No data"; rows that may be absent say why themselves
	limits []step // colors from a value on; the first is below all others
	top    *float64
	bounds []query           // what lines are held against, such as a limit: drawn dashed
	sparse []*catalog.Metric // rows whose absence is nothing unusual
}

func number(v float64) *float64 { return &v }

// steps are green, then orange from warn and red from bad on.
func steps(warn, bad float64) []step {
	return []step{{Color: "green"}, {Color: "orange", Value: number(warn)}, {Color: "red", Value: number(bad)}}
}

func (c chart) panel(kind, format string, queries []query) panel {
	p := panel{
		Type: kind, Title: c.title, Description: c.help, GridPos: position{W: c.width, H: c.height}, Datasource: &source,
		FieldConfig: &fieldConfig{Overrides: []object{}, Defaults: c.field()},
	}
	for i, q := range queries {
		instant := kind != "timeseries" && kind != "heatmap"
		p.Targets = append(p.Targets, target{
			RefID: string(rune('A' + i)), Datasource: source, Expr: q.expr, LegendFormat: q.legend, Format: format, Instant: instant, Range: !instant,
		})
	}
	return p
}

// dashed makes the lines of the query at i dashed.
func dashed(i int) object {
	return object{
		"matcher": object{"id": "byFrameRefID", "options": string(rune('A' + i))},
		"properties": []object{
			{"id": "custom.lineStyle", "value": object{"fill": "dash", "dash": []int{8, 6}}}, {"id": "custom.fillOpacity", "value": 0},
		},
	}
}

func (c chart) field() field {
	limits := c.limits
	if limits == nil {
		limits = []step{{Color: "green"}}
	}
	return field{
		Unit: c.unit, Min: number(0), Max: c.top, NoValue: c.noValue(), Color: object{"mode": "palette-classic"},
		Thresholds: thresholds{Mode: "absolute", Steps: limits},
	}
}

// noValue says why there may be nothing to see, in the words of the table.
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

// lines is a panel of lines over time.
func (c chart) lines(queries ...query) panel {
	p := c.panel("timeseries", "time_series", slices.Concat(queries, c.bounds))
	for i := range c.bounds {
		p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, dashed(len(queries)+i))
	}
	p.FieldConfig.Defaults.Custom = object{
		"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "gradientMode": "opacity", "showPoints": "never", "spanNulls": false,
		"axisBorderShow": false, "axisSoftMin": 0, "stacking": object{"mode": "none", "group": "A"}, "thresholdsStyle": object{"mode": "off"},
	}
	if len(c.limits) > 1 {
		p.FieldConfig.Defaults.Custom["thresholdsStyle"] = object{"mode": "dashed"}
	}
	p.Options = object{
		"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": object{"mode": "multi", "sort": "desc"},
	}
	return p
}

// areas is a panel of lines that are stacked.
func (c chart) areas(queries ...query) panel {
	p := c.lines(queries...)
	p.FieldConfig.Defaults.Custom["fillOpacity"] = 35
	p.FieldConfig.Defaults.Custom["gradientMode"] = "none"
	p.FieldConfig.Defaults.Custom["stacking"] = object{"mode": "normal", "group": "A"}
	return p
}

// figure is a panel of one number, colored by the limits, with its course behind it.
func (c chart) figure(q query) panel {
	p := c.panel("stat", "time_series", []query{q})
	p.Targets[0].Instant, p.Targets[0].Range = false, true
	p.FieldConfig.Defaults.Color = object{"mode": "thresholds"}
	p.Options = object{
		"colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "value",
		"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
	}
	return p
}

// heat is a heatmap of a histogram's buckets over time.
func (c chart) heat(expr string) panel {
	p := c.panel("heatmap", "heatmap", []query{{expr, "{{le}}"}})
	p.FieldConfig.Defaults.Custom = object{"scaleDistribution": object{"type": "linear"}}
	p.Options = object{
		"calculate": false, "cellGap": 1, "legend": object{"show": true}, "rowsFrame": object{"layout": "auto"}, "showValue": "never",
		"color":        object{"mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5, "steps": 64, "reverse": false, "fill": "dark-orange"},
		"yAxis":        object{"axisPlacement": "left", "unit": c.unit, "reverse": false},
		"tooltip":      object{"mode": "single", "yHistogram": true, "showColorScale": true},
		"filterValues": object{"le": 1e-9},
	}
	return p
}

// column is a query of a table, and how its values are shown.
type column struct {
	title  string
	expr   string
	unit   string
	limits []step
	gauge  bool // a bar from 0 to 1
}

// label is a column of a table with the values of a label.
type label struct {
	title string
	name  string
	links []object
}

// table is a table with a row for each set of labels, sorted by the first of the columns.
func (c chart) table(labels []label, columns []column) panel {
	queries := make([]query, len(columns))
	for i, col := range columns {
		queries[i].expr = col.expr
	}
	p := c.panel("table", "table", queries)
	p.FieldConfig.Defaults.Color = object{"mode": "thresholds"}
	p.FieldConfig.Defaults.Custom = object{"align": "auto", "cellOptions": object{"type": "auto"}, "filterable": false}
	names, order := object{}, object{}
	for i, l := range labels {
		names[l.name], order[l.name] = l.title, i
		if l.links != nil {
			p.override(l.title, property{"links", l.links})
		}
	}
	for i, col := range columns {
		value := fmt.Sprintf("Value #%c", 'A'+i)
		names[value], order[value] = col.title, len(labels)+i
		p.override(col.title, col.properties()...)
	}
	p.Transformations = []object{
		{"id": "merge", "options": object{}},
		{"id": "organize", "options": object{"excludeByName": object{"Time": true}, "indexByName": order, "renameByName": names}},
	}
	p.Options = object{
		"showHeader": true, "cellHeight": "sm", "footer": object{"show": false, "reducer": []string{"sum"}, "fields": ""},
		"sortBy": []object{{"displayName": columns[0].title, "desc": true}},
	}
	return p
}

type property struct {
	id    string
	value any
}

func (p *panel) override(title string, properties ...property) {
	list := make([]object, len(properties))
	for i, s := range properties {
		list[i] = object{"id": s.id, "value": s.value}
	}
	p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, object{
		"matcher": object{"id": "byName", "options": title}, "properties": list,
	})
}

func (col column) properties() []property {
	list := []property{{"unit", col.unit}, {"decimals", 1}}
	if col.unit == "short" {
		list[1].value = 0
	}
	if col.limits != nil {
		list = append(list, property{"thresholds", thresholds{Mode: "absolute", Steps: col.limits}})
	}
	switch {
	case col.gauge:
		list = append(list, property{"custom.cellOptions", object{"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}}, property{"max", 1})
	case col.limits != nil:
		list = append(list, property{"custom.cellOptions", object{"type": "color-text"}})
	}
	return list
}
