// Package install gets plugins that do not come with faultline, and remembers what it
// got, so that a run starts nothing else.
//
// Three files say what may be installed. The scenario says which plugin it needs: its
// address and which versions will do. The CLI configuration, which is the user's, says
// where addresses are fetched from and whose signatures count. The lock file beside the
// scenario, which is written here and committed by people, pins a version and the
// SHA-256 of its binary for every platform.
//
//	choose     the locked version, or the newest that the scenario allows
//	Source     a mirror: a folder or a web server, of the same layout
//	vouch      SHA256SUMS, signed by a key that the configuration names for the address
//	unpack     one file of the archive, and nothing else of it
//	Store      binaries by checksum, complete or not there
//
// Nothing that a mirror says is believed before the signature was checked, and nothing
// is put into the store that does not say of itself what the mirror said of it.
package install
