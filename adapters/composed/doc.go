// Package composed tests instrument's wrappers together with other libraries that wrap the same
// types.
package composed
