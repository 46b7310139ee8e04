package catalog

import semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

// DBClient is the group of metrics of database connection pools, under the names of the
// conventions.
var DBClient = &Group{
	Name: "db.client",
	Help: "Pools of database connections, under the conventions' names as well if they were made with `instrument.WithConventions`.",
	Attributes: []Attribute{
		{Key: semconv.DBClientConnectionPoolNameKey, Help: "the name of the pool"},
	},
	Metrics: []*Metric{
		DBConnectionCount, DBConnectionMax, DBConnectionPending, DBConnectionTimeouts,
		DBConnectionCreateTime, DBConnectionWaitTime, DBConnectionUseTime,
	},
}

// The rows of [DBClient].
var (
	DBConnectionCount = &Metric{
		Name: "db.client.connection.count", Kind: UpDownCounter, Number: Int, Unit: "{connection}", Standard: true,
		Help:       "Connections by state.",
		Attributes: []Attribute{{Key: semconv.DBClientConnectionStateKey, Values: []string{"used", "idle"}}},
	}
	DBConnectionMax = &Metric{
		Name: "db.client.connection.max", Kind: UpDownCounter, Number: Int, Unit: "{connection}", Standard: true,
		Help: "How many connections there may be.", Absent: "unlimited",
	}
	DBConnectionPending = &Metric{
		Name:     "db.client.connection.pending_requests",
		Kind:     UpDownCounter,
		Number:   Int,
		Unit:     "{request}",
		Standard: true,
		Help:     "Callers that wait for a connection.",
		Absent:   "pools that do not say; database/sql does not",
	}
	DBConnectionTimeouts = &Metric{
		Name: "db.client.connection.timeouts", Kind: Counter, Number: Int, Unit: "{timeout}", Standard: true,
		Help: "Callers that gave up at their deadline.", Absent: "pools that do not say; database/sql does not",
	}
	DBConnectionCreateTime = &Metric{
		Name: "db.client.connection.create_time", Kind: Histogram, Unit: "s", Standard: true,
		Help: "Time to make a connection, of those that came to be.", Absent: "pools that do not say",
	}
	DBConnectionWaitTime = &Metric{
		Name:     "db.client.connection.wait_time",
		Kind:     Histogram,
		Unit:     "s",
		Standard: true,
		Help:     "Time that a caller waited for the connection that it got.",
		Absent:   "pools that do not say; database/sql does not",
	}
	DBConnectionUseTime = &Metric{
		Name:     "db.client.connection.use_time",
		Kind:     Histogram,
		Unit:     "s",
		Standard: true,
		Help:     "Time from taking a connection to giving it back. Sampled with weight unless exact was asked for.",
		Absent:   "pools that do not say",
	}
)

// HTTPClient is the group of metrics of HTTP clients, under the names of the conventions.
var HTTPClient = &Group{
	Name: "http.client",
	Help: "Wrapped HTTP transports, by host, under the conventions' names if they were made with `instrument.WithConventions`. " +
		"Hosts beyond the first 100 of a transport share the address `_OTHER`, without a port.",
	Attributes: []Attribute{
		{Key: semconv.ServerAddressKey, Help: "the host of the URL, or `_OTHER`"},
		{Key: semconv.ServerPortKey},
		{Key: semconv.URLSchemeKey},
	},
	Metrics: []*Metric{HTTPActiveRequests, HTTPRequestDuration},
}

// The rows of [HTTPClient].
var (
	HTTPActiveRequests = &Metric{
		Name: "http.client.active_requests", Kind: UpDownCounter, Number: Int, Unit: "{request}", Standard: true,
		Help: "Requests without a response so far.",
	}
	HTTPRequestDuration = &Metric{
		Name: "http.client.request.duration", Kind: Histogram, Unit: "s", Standard: true,
		Help: "Time from the request to the header of the response.",
		Attributes: []Attribute{
			{Key: semconv.HTTPRequestMethodKey, Help: "or `_OTHER`"},
			{Key: semconv.HTTPResponseStatusCodeKey, Help: "absent without a response"},
			{
				Key:  semconv.ErrorTypeKey,
				Help: "timeout, canceled, error, or the status from 400 on; absent if all went well",
			},
		},
	}
)
