package catalog

import semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

// DBClient holds OpenTelemetry's semantic-convention metrics of database connection pools.
var DBClient = &Group{
	Name: "db.client",
	Help: "Database connection pools that were created with `instrument.WithConventions`, under OpenTelemetry's semantic-convention metric names, in addition to `poolgauge.pool.*`.",
	Attributes: []Attribute{
		{Key: semconv.DBClientConnectionPoolNameKey, Help: "the name of the pool"},
	},
	Metrics: []*Metric{
		DBConnectionCount, DBConnectionMax, DBConnectionPending, DBConnectionTimeouts,
		DBConnectionCreateTime, DBConnectionWaitTime, DBConnectionUseTime,
	},
}

// The metrics in [DBClient].
var (
	DBConnectionCount = &Metric{
		Name: "db.client.connection.count", Kind: UpDownCounter, Number: Int, Unit: "{connection}", Standard: true,
		Help:       "Connections by state.",
		Attributes: []Attribute{{Key: semconv.DBClientConnectionStateKey, Values: []string{"used", "idle"}}},
	}
	DBConnectionMax = &Metric{
		Name: "db.client.connection.max", Kind: UpDownCounter, Number: Int, Unit: "{connection}", Standard: true,
		Help: "Maximum number of connections.", Absent: "unlimited",
	}
	DBConnectionPending = &Metric{
		Name:     "db.client.connection.pending_requests",
		Kind:     UpDownCounter,
		Number:   Int,
		Unit:     "{request}",
		Standard: true,
		Help:     "Callers that are waiting for a connection.",
		Absent:   "pools that do not report it, such as database/sql",
	}
	DBConnectionTimeouts = &Metric{
		Name:     "db.client.connection.timeouts",
		Kind:     Counter,
		Number:   Int,
		Unit:     "{timeout}",
		Standard: true,
		Help:     "Callers that gave up waiting at their deadline.",
		Absent:   "pools that do not report it, such as database/sql",
	}
	DBConnectionCreateTime = &Metric{
		Name: "db.client.connection.create_time", Kind: Histogram, Unit: "s", Standard: true,
		Help: "Time to establish a connection, if that succeeded.", Absent: "pools that do not report it",
	}
	DBConnectionWaitTime = &Metric{
		Name:     "db.client.connection.wait_time",
		Kind:     Histogram,
		Unit:     "s",
		Standard: true,
		Help:     "Time that a caller waited for the connection that it got.",
		Absent:   "pools that do not report it, such as database/sql",
	}
	DBConnectionUseTime = &Metric{
		Name:     "db.client.connection.use_time",
		Kind:     Histogram,
		Unit:     "s",
		Standard: true,
		Help:     "Time from taking a connection to returning it. Sampled and weighted above 100,000 uses a second, unless the pool has exact timing.",
		Absent:   "pools that do not report it",
	}
)

// HTTPClient holds OpenTelemetry's semantic-convention metrics of HTTP clients.
var HTTPClient = &Group{
	Name: "http.client",
	Help: "Wrapped HTTP transports that were created with `instrument.WithConventions`, by host, under OpenTelemetry's semantic-convention metric names. " +
		"Hosts beyond the first 100 of a transport share the address `_OTHER`, without a port.",
	Attributes: []Attribute{
		{Key: semconv.ServerAddressKey, Help: "the host of the URL, or `_OTHER`"},
		{Key: semconv.ServerPortKey},
		{Key: semconv.URLSchemeKey},
	},
	Metrics: []*Metric{HTTPActiveRequests, HTTPRequestDuration},
}

// The metrics in [HTTPClient].
var (
	HTTPActiveRequests = &Metric{
		Name: "http.client.active_requests", Kind: UpDownCounter, Number: Int, Unit: "{request}", Standard: true,
		Help: "Requests that have not received a response yet.",
	}
	HTTPRequestDuration = &Metric{
		Name: "http.client.request.duration", Kind: Histogram, Unit: "s", Standard: true,
		Help: "Time from the request to the response's header.",
		Attributes: []Attribute{
			{Key: semconv.HTTPRequestMethodKey, Help: "or `_OTHER`"},
			{Key: semconv.HTTPResponseStatusCodeKey, Help: "absent without a response"},
			{
				Key:  semconv.ErrorTypeKey,
				Help: "timeout, canceled, error, or the status from 400 on; absent on success",
			},
		},
	}
)
