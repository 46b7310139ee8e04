package engine

import (
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/scrape"
)

// Scrape scrapes target until stop is called. yaml is a configuration with a single job, whose name
// is job.
func (e *Engine) Scrape(yaml, job, target string) (stop func() error, err error) {
	quiet := slog.New(slog.DiscardHandler)
	cfg, err := config.Load(yaml, quiet)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	// The Prometheus binary sets this option too.
	options := &scrape.Options{DiscoveryReloadOnStartup: true}
	manager, err := scrape.NewManager(options, quiet, nil, nil, e.db, prometheus.NewRegistry())
	if err != nil {
		return nil, fmt.Errorf("scraper: %w", err)
	}
	if err := manager.ApplyConfig(cfg); err != nil {
		return nil, fmt.Errorf("scraper: %w", err)
	}
	targets, exited := make(chan map[string][]*targetgroup.Group, 1), make(chan error, 1)
	address := model.LabelSet{model.AddressLabel: model.LabelValue(target)}
	targets <- map[string][]*targetgroup.Group{job: {{Source: job, Targets: []model.LabelSet{address}}}}
	go func() { exited <- manager.Run(targets) }()
	return func() error {
		manager.Stop()
		return <-exited
	}, nil
}
