// Package scenario is the language of game days: it reads HCL files into a typed
// Scenario, and says where and why when it cannot.
//
// Loading has two steps inside. The files are parsed once and the blocks found;
// then each block's body is decoded against the schema of the plugin that serves
// its type. Everything later works on the typed form: no other package of the
// engine knows HCL.
package scenario
