// Package pools has pools that report themselves.
package pools
