// Package python holds a plugin in Python against the contract; its code is in the files
// beside this one.
package python
