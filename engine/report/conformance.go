package report

import (
	"fmt"
	"io"

	"github.com/faultline-go/faultline/engine/conformance"
)

// Conformance writes which promises a plugin's faults have kept.
func Conformance(w io.Writer, all []conformance.Promise, o Options) error {
	p := &page{o: o}
	count := map[conformance.State]int{}
	g := grid{head: []string{"Fault", "Promise", "", "Took"}, right: []int{3}, wrap: 1}
	for _, x := range all {
		count[x.State]++
		g.add(x.Fault, x.Promise, string(x.State), length(x.Seconds))
	}
	head := p.paint("1;"+green, "KEPT")
	if !conformance.AllKept(all) {
		head = p.paint("1;"+red, "BROKEN")
	}
	p.line(fmt.Sprintf("%s – %s kept, %d broken, %d not looked at", head, counted(count[conformance.Kept], "promise"), count[conformance.Broken], count[conformance.Skipped]))
	p.line("")
	for _, l := range drawTable(g, p.o.width(), func(s string) string {
		switch s {
		case string(conformance.Kept):
			return p.paint(green, s)
		case string(conformance.Broken):
			return p.paint(red, s)
		}
		return s
	}) {
		p.line(l)
	}
	for _, x := range all {
		if x.State == conformance.Kept {
			continue
		}
		p.line("")
		p.line(p.bold(clean(x.Fault + ": " + x.Promise + ": " + string(x.State))))
		for _, s := range x.Said {
			p.text("  ", s)
		}
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}
