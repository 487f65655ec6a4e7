// Package sdk is what a plugin author imports. A plugin is a main function that
// hands faults, probes, actions and target kinds, written as plain typed Go, to
// Serve:
//
//	func main() {
//		sdk.Serve(sdk.Plugin{
//			Name: "lamp", Version: "0.1.0", Doc: "Switches lamps off.",
//			Faults: []sdk.FaultType{lampOff},
//		})
//	}
//
// The author writes what happens to one target; the SDK does the rest: leases and
// their timers, fan-out over targets with bounded concurrency, deadlines, panics
// turned into errors, signals, the death of the engine, the open loop of a probe,
// and the encoding of configurations and undo records.
//
// Configurations are structs, and their tags are the schema by which the engine checks a
// scenario before anything runs, and from which `faultline docs` is made:
//
//	hcl:"name"             an argument, required unless ",optional" or with a default
//	hcl:"name,block"       a nested block: a struct, a pointer to one, or a slice; a map of
//	                       structs by their labels
//	doc:"…"                one sentence of help
//	default:"…"            the value when absent, written as in HCL without quotes; a list or
//	                       a map as JSON
//	example:"…"            a value for the example in the documentation, written like default
//	enum:"a|b|c"           the only values allowed
//	pattern:"[a-z]+"       a regular expression that the whole of a string matches
//	min:"0" max:"100"      bounds, inclusive; durations as "300ms", sizes as "64MiB"
//	min_items, max_items   how many elements or blocks there are
//	unit:"packets"         of a number; "percent" is 0 to 100 and "ratio" 0 to 1 by itself
//	sensitive:"true"       never shown or written down
//	deprecated:"use x"     still works, with a warning
//	exactly_one:"group"    of all fields with this group one is given; likewise at_most_one,
//	                       at_least_one, and together (all or none)
//
// An argument is a string, bool, int, int64, float64, time.Duration, Size, Rate or Amount, a
// slice of these, a map of them by strings, or a pointer to tell an absent one from a
// zero. enum, pattern and bounds of a slice or a map hold for each element. The same tags
// describe a target's match block and a plugin's settings. A tag that cannot be read, or is
// none of these, is an error at the plugin's start and in its tests, with the field's name.
//
// What tags cannot say is for a Check, whose errors name the argument with At. The
// arguments of the scenario's plugin block are made by SettingsOf; a secret is a variable
// that they name, which Env reads. Log is for what a plugin has to say meanwhile. Undo
// records are structs that encoding/json can carry; they never hold a secret, only a
// reference to one.
//
// Package plugintest puts a fault through its whole contract, on real targets and with
// real crashes, in one call; sdk/internal/lamp is the smallest whole plugin with its
// test.
package sdk
