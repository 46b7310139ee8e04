// Package engine runs, in this process, the parts of Prometheus that a query needs: the OTLP
// receiver and its translation, scraping, the time series database, PromQL and the evaluation of
// rules.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
)

// Engine is a running, embedded Prometheus. It is safe for concurrent use. The caller must close
// it.
type Engine struct {
	OTLP   http.Handler // the OTLP/HTTP receiver
	db     *tsdb.DB
	engine *promql.Engine
}

// Parser returns Prometheus's parser without experimental functions.
func Parser() parser.Parser { return parser.NewParser(parser.Options{}) }

// Start starts an Engine with a database in dir. The Engine receives OTLP as configured in file, a
// Prometheus configuration file.
func Start(dir, file string) (*Engine, error) {
	quiet := slog.New(slog.DiscardHandler)
	cfg, err := config.LoadFile(file, false, quiet)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	options := tsdb.DefaultOptions()
	options.OutOfOrderTimeWindow = cfg.StorageConfig.TSDBConfig.OutOfOrderTimeWindow
	db, err := tsdb.Open(dir, quiet, nil, options, nil)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	return &Engine{
		OTLP: remote.NewOTLPWriteHandler(
			quiet,
			prometheus.NewRegistry(),
			db,
			func() config.Config { return *cfg },
			remote.OTLPOptions{
				LookbackDelta: lookback,
			},
		),
		db: db,
		engine: promql.NewEngine(promql.EngineOpts{
			Logger: quiet, MaxSamples: 50_000_000, Timeout: time.Minute, LookbackDelta: lookback,
			NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
			EnableAtModifier:         true, EnableNegativeOffset: true, Parser: Parser(),
		}),
	}, nil
}

// lookback is Prometheus's default lookback delta.
const lookback = 5 * time.Minute

// Close closes the engine and its database.
func (e *Engine) Close() error {
	return errors.Join(e.engine.Close(), e.db.Close())
}

// Instant evaluates query at the given time.
func (e *Engine) Instant(ctx context.Context, query string, at time.Time) (promql.Vector, error) {
	q, err := e.engine.NewInstantQuery(ctx, e.db, nil, query, at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(ctx)
	if result.Err != nil {
		return nil, result.Err
	}
	return result.Vector()
}

// Range evaluates query at intervals of step, beginning at the time from and ending at the time to.
func (e *Engine) Range(
	ctx context.Context,
	query string,
	from, to time.Time,
	step time.Duration,
) (promql.Matrix, error) {
	q, err := e.engine.NewRangeQuery(ctx, e.db, nil, query, from, to, step)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(ctx)
	if result.Err != nil {
		return nil, result.Err
	}
	matrix, err := result.Matrix()
	if err != nil {
		return nil, err
	}
	for i, s := range matrix { // closing the query invalidates its samples, so they are copied
		matrix[i].Floats = append([]promql.FPoint(nil), s.Floats...)
		for j, h := range s.Histograms {
			matrix[i].Histograms[j].H = h.H.Copy()
		}
		matrix[i].Histograms = append([]promql.HPoint(nil), s.Histograms...)
	}
	return matrix, nil
}

// Rules loads the rules in file. Evaluating them stores the results in the database.
func (e *Engine) Rules(ctx context.Context, file string, interval time.Duration) ([]*rules.Group, error) {
	m := rules.NewManager(&rules.ManagerOptions{
		NameValidationScheme: model.LegacyValidation,
		Context:              ctx,
		AppendableV2:         e.db,
		Queryable:            e.db,
		Logger:               slog.New(slog.DiscardHandler),
		QueryFunc:            rules.EngineQueryFunc(e.engine, e.db),
		NotifyFunc:           func(context.Context, string, ...*rules.Alert) {},
		Parser:               Parser(),
	})
	loaded, errs := m.LoadGroups(interval, labels.EmptyLabels(), "", nil, false, file)
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	var groups []*rules.Group
	for _, name := range groupOrder(loaded) {
		groups = append(groups, loaded[name])
	}
	return groups, nil
}

// groupOrder returns the names of groups in reverse order, so that recording rules come before the
// alerts that use them.
func groupOrder(groups map[string]*rules.Group) []string {
	names := slices.Sorted(maps.Keys(groups))
	slices.Reverse(names)
	return names
}
