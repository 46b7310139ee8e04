// Package exporters shows how to export the metrics of pools from a program that creates its own
// MeterProvider: with the Prometheus exporter, with explicit buckets or native histograms, and with
// contrib's autoexport. The examples are compiled and run as tests.
package exporters
