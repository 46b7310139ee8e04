package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/table"
)

type (
	variant = variants.Dataquery
	object  = map[string]any
)

// column is a column of a table: a query, and the format of the values.
type column struct {
	title  string
	expr   string
	unit   string
	limits []dashboard.Threshold
	gauge  bool // a bar from 0 to 1
}

// label is a column of a table that shows the values of a label.
type label struct {
	title string
	name  string
	links []object // links of each cell; may be nil
}

// table returns a table with a row for each set of labels, sorted by the first of the columns in
// descending order.
func (c chart) table(labels []label, columns []column) panel {
	builder := table.NewPanelBuilder().CellHeight(common.TableCellHeightSm).ShowHeader(true).
		SortBy([]cog.Builder[common.TableSortByFieldState]{
			common.NewTableSortByFieldStateBuilder().DisplayName(columns[0].title).Desc(true),
		})
	names, order := object{}, object{}
	for i, l := range labels {
		names[l.name], order[l.name] = l.title, i
		if l.links != nil {
			builder.OverrideByName(l.title, []dashboard.DynamicConfigValue{{Id: "links", Value: l.links}})
		}
	}
	var targets []cog.Builder[variant]
	for i, col := range columns {
		value := "Value #" + refID(i)
		names[value], order[value] = col.title, len(labels)+i
		builder.OverrideByName(col.title, col.properties())
		targets = append(targets, target(i, query{expr: col.expr}, prometheus.PromQueryFormatTable).Instant())
	}
	builder.WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: object{}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: object{
			"excludeByName": object{"Time": true}, "indexByName": order, "renameByName": names,
		}})
	return c.finish(builder, dashboard.FieldColorModeIdThresholds, targets...)
}

func (col column) properties() []dashboard.DynamicConfigValue {
	decimals := 1
	if col.unit == "short" {
		decimals = 0
	}
	list := []dashboard.DynamicConfigValue{{Id: "unit", Value: col.unit}, {Id: "decimals", Value: decimals}}
	if col.limits != nil {
		list = append(list, dashboard.DynamicConfigValue{
			Id:    "thresholds",
			Value: dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: col.limits},
		})
	}
	switch {
	case col.gauge:
		list = append(list, dashboard.DynamicConfigValue{
			Id: "custom.cellOptions", Value: object{"type": "gauge", "mode": "basic", "valueDisplayMode": "text"},
		}, dashboard.DynamicConfigValue{Id: "max", Value: 1})
	case col.limits != nil:
		list = append(list, dashboard.DynamicConfigValue{Id: "custom.cellOptions", Value: object{"type": "color-text"}})
	}
	return list
}
