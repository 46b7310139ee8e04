// Package composed tests instrument's wrappers in combination with other libraries that wrap the
// same types.
package composed
