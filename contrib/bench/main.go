// Command bench measures faultline as its users meet it, whole processes, and prints
// a table: each figure beside its floor or peer, measured in the same run on the same
// machine, and beside the goal. It asserts nothing: machines differ and are noisy, the
// ratios are what to look at.
//
//	go run ./contrib/bench -bin bin
//	go run ./contrib/bench -bin bin -only start,call,memory
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is a line of the table.
type row struct {
	what     string
	measured string
	beside   string // the floor or the peer
	goal     string
}

func main() {
	bin := flag.String("bin", "bin", "folder of the built binaries")
	client := flag.String("client", "", "internal: send requests to this URL, as the peer of the probe")
	socket := flag.String("echo", "", "internal: serve gRPC at this socket, as the peer of a call")
	only := flag.String("only", "", "the figures to measure, separated by commas: "+strings.Join(names(), ", ")+" (default all)")
	floor := flag.String("decode", "", "internal: decode this journal by encoding/json, as the peer of a report")
	flag.Parse()
	if *floor != "" {
		if err := bareDecode(*floor); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if *client != "" {
		bareClient(*client)
		return
	}
	if *socket != "" {
		if err := serveEcho(*socket); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if err := bench(*bin, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// figures are what can be measured. The last needs a run that an earlier one made.
var figures = []struct {
	name    string
	measure func(*benches) ([]row, error)
}{
	{"start", (*benches).start}, {"call", (*benches).call}, {"memory", (*benches).memory},
	{"validate", (*benches).validate}, {"large", (*benches).validateLarge}, {"hour", (*benches).hour},
	{"overhead", (*benches).overhead}, {"probe", (*benches).probe}, {"history", (*benches).history},
}

func names() (out []string) {
	for _, f := range figures {
		out = append(out, f.name)
	}
	return out
}

func bench(bin, only string) error {
	wanted := names()
	if only != "" {
		wanted = strings.Split(only, ",")
	}
	for _, name := range wanted {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("there is no figure %q; there are %s", name, strings.Join(names(), ", "))
		}
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "faultline-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &benches{bin: bin, dir: dir}
	var rows []row
	for _, f := range figures {
		if !slices.Contains(wanted, f.name) {
			continue
		}
		more, err := f.measure(b)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		rows = append(rows, more...)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tMEASURED\tBESIDE\tGOAL")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.what, r.measured, r.beside, r.goal)
	}
	return w.Flush()
}

// benches has what every measurement needs.
type benches struct {
	bin string
	dir string
}

func median(all []time.Duration) time.Duration {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }
