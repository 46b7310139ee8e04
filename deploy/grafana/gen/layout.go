package main

import (
	"maps"
	"slices"
)

// row is a heading and the panels below it.
type row struct {
	title  string
	panels []panel
}

// columns are those of Grafana's grid.
const columns = 24

// place gives every panel its id and its place: from left to right, as long as there is room, then in the next line.
func place(rows []row) []panel {
	var placed []panel
	y := 0
	add := func(p panel, x int) {
		p.ID = len(placed) + 1
		p.GridPos.X, p.GridPos.Y = x, y
		placed = append(placed, p)
	}
	for _, r := range rows {
		open := false
		add(panel{Type: "row", Title: r.title, GridPos: position{W: columns, H: 1}, Collapsed: &open}, 0)
		y++
		x, height := 0, 0
		for _, p := range r.panels {
			if x+p.GridPos.W > columns {
				x, y, height = 0, y+height, 0
			}
			add(p, x)
			x, height = x+p.GridPos.W, max(height, p.GridPos.H)
		}
		y += height
	}
	return placed
}

// newDashboard returns a dashboard with links to the others. Its variables have the labels of the metric.
func newDashboard(uid, title, help, of string, rows []row, more ...variable) dashboard {
	return dashboard{
		UID: uid, Title: title, Description: help, Tags: []string{"poolgauge"}, SchemaVersion: 41, Version: 1, GraphTooltip: 1, Refresh: "30s",
		Time: timeRange{From: "now-1h", To: "now"}, Timezone: "browser", Links: links(uid),
		Templating: templating{List: variables(of, more...)}, Panels: place(rows),
	}
}

// The uids of the dashboards.
const (
	poolsUID = "poolgauge-pools"
	hostUID  = "poolgauge-host"
	fleetUID = "poolgauge-fleet"
)

// links are those from one dashboard to the others. The service of a pool is not the sidecar that sees its host, so that only Kubernetes'
// variables go along.
func links(from string) []object {
	var list []object
	for _, to := range []struct{ uid, title string }{{poolsUID, "Pools"}, {hostUID, "Host and container"}, {fleetUID, "Fleet"}} {
		if to.uid == from {
			continue
		}
		list = append(list, object{
			"type": "link", "title": to.title, "icon": "dashboard", "targetBlank": false, "keepTime": true, "includeVars": false, "asDropdown": false,
			"tags": []string{}, "tooltip": "", "url": "/d/" + to.uid + "?" + carried,
		})
	}
	return list
}

// carried are the variables that go along with a link.
const carried = "${datasource:queryparam}&${cluster:queryparam}&${namespace:queryparam}&${workload:queryparam}&${pod:queryparam}"

// to is a link of a table's cell to a dashboard, with the values of the row for the variables.
func to(title, uid string, fromRow map[string]string) []object {
	url := "/d/" + uid + "?${datasource:queryparam}&${__url_time_range}"
	for _, v := range slices.Sorted(maps.Keys(fromRow)) {
		url += "&var-" + v + `=${__data.fields["` + fromRow[v] + `"]}`
	}
	return []object{{"title": title, "url": url, "targetBlank": false}}
}
