// Package exporters shows how to export pools from a program that builds its own MeterProvider: with
// the Prometheus exporter, as explicit buckets or as native histograms, and with contrib's
// autoexport. Its examples are compiled and run as tests.
package exporters
