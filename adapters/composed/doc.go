// Package composed tests the wrappers of instrument together with other libraries that wrap the
// same things.
package composed
