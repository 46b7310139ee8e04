// Package exporters shows how pools get out of a program that builds its own MeterProvider: by the
// Prometheus exporter, with explicit buckets or with native histograms, and by contrib's
// autoexport. Its examples are compiled and run as tests.
package exporters
