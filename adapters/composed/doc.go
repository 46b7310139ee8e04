// Package composed tests wrappers of instrument together with libraries that wrap the same things.
package composed
