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
// Configurations are structs whose fields carry the tags
//
//	hcl:"name"            an argument, required unless ",optional"
//	hcl:"name,block"      a nested block: a struct, a pointer to one, or a slice
//	doc:"…"               one sentence of help
//	default:"…"           the value when absent, written as in HCL without quotes
//	enum:"a|b|c"          the only values allowed
//	min:"0" max:"100"     bounds, inclusive; durations as "300ms"
//	sensitive:"true"      never shown or written down
//
// and whose types are string, bool, int, float64, time.Duration, []string,
// []float64 or map[string]string. The same tags describe a target's match block
// and a plugin's settings. Undo records are structs that encoding/json can carry;
// they never hold a secret, only a reference to one.
//
// Package plugintest puts a fault through its whole contract, on real targets and with
// real crashes, in one call; sdk/internal/lamp is the smallest whole plugin with its
// test.
package sdk
